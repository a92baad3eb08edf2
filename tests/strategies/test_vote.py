"""Shuffle and vote, around any strategy."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import ConfigError
from listwise.strategies import Graded, Step, Strategy, StrategyName, make, play, question_of
from listwise.strategies.base import windows_of
from listwise.strategies.vote import HEAD_VOTES, Ballot, Shuffle, Votes, vote
from tests.strategies.test_every_strategy import Rank, Sizes, erratic

SIZES: Sizes = {"window": 6, "stride": 3, "depth": 15, "top": 4}
ballots = st.builds(
    Ballot,
    votes=st.sampled_from([1, 2, 3, 5, "auto"]),
    shuffle=st.sampled_from(get_args(Shuffle)),
    rule=st.sampled_from(["borda", "reciprocal", "kemeny", "stable"]),
    seed=st.integers(0, 3),
)


def voted(name: StrategyName, ballot: Ballot) -> Strategy:
    return vote(make(name, **SIZES), ballot, window=6, top=4, question=question_of(name))


def by(worth: Sequence[float]) -> Rank:
    return lambda window: Graded.by([worth[at] for at in window])


@pytest.mark.parametrize("name", get_args(StrategyName))
@given(ballot=ballots, n=st.integers(0, 20), seed=st.integers(0, 2**32))
def test_a_permutation_at_every_step(name: StrategyName, ballot: Ballot, n: int, seed: int) -> None:
    steps = play(voted(name, ballot), n, erratic(seed))
    for step in steps:
        assert sorted(step.best) == list(range(n))
        assert list(step.best[15:]) == list(range(n))[15:]
        assert not step.samples or len(step.samples) == len(step.windows)
    assert all(len(shown) <= max(6, 15 * (name == "full")) for shown in windows_of(steps))
    assert play(voted(name, ballot), n, erratic(seed)) == steps


@pytest.mark.parametrize("name", get_args(StrategyName))
@given(ballot=ballots, n=st.integers(0, 20), data=st.data())
def test_a_model_without_bias_or_noise_is_not_changed_by_votes(
    name: StrategyName, ballot: Ballot, n: int, data: st.DataObject
) -> None:
    worth = [float(each) for each in data.draw(st.permutations(range(n)))]
    once = play(make(name, **SIZES), n, by(worth))[-1].best
    many = play(voted(name, ballot), n, by(worth))[-1].best
    if ballot.votes == "auto" and question_of(name) in ("order", "first"):
        assert set(many[:6]) == set(once[:6])
    else:
        assert list(many) == list(once)


@given(ballot=ballots, n=st.integers(0, 20))
def test_a_model_that_cannot_answer_changes_nothing(ballot: Ballot, n: int) -> None:
    assert list(play(voted("sliding", ballot), n, lambda window: None)[-1].best) == list(range(n))


@given(st.integers(2, 9), st.integers(1, 40), st.integers(0, 5))
def test_balanced_shuffles_show_every_passage_in_every_part_once(votes: int, blocks: int, seed: int) -> None:
    window = tuple(range(100, 100 + votes * blocks))
    ballot = Ballot(votes, "balanced", seed=seed)
    parts: dict[int, Counter[int]] = {each: Counter() for each in window}
    for at in range(votes):
        shown = ballot.shown(window, at, votes)
        assert sorted(shown) == sorted(window)
        for place, each in enumerate(shown):
            parts[each][place // blocks] += 1
    assert all(seen == Counter(range(votes)) for seen in parts.values())


def test_few_of_many_balanced_votes_are_spread() -> None:
    window = tuple(range(18))
    first = [Ballot("auto", "balanced").shown(window, at, 9).index(0) for at in range(3)]
    assert max(first) - min(first) >= 6
    assert len({place // 2 for place in first}) == 3


@pytest.mark.parametrize("shuffle", get_args(Shuffle))
def test_the_first_vote_is_the_strategys_own_order(shuffle: Shuffle) -> None:
    assert Ballot(3, shuffle).shown((4, 2, 9, 1), 0, 3) == (4, 2, 9, 1)


def test_random_shuffles_go_by_seed_vote_and_window() -> None:
    window = tuple(range(12))
    shown = {Ballot(3, "random", seed=seed).shown(window, at, 3) for seed in range(3) for at in (1, 2)}
    assert len(shown) == 6
    assert Ballot(3, "random").shown(window, 1, 3) == Ballot(3, "random").shown(window, 1, 3)


def test_votes_are_replicates_of_one_step() -> None:
    plain = play(make("sliding", **SIZES), 15, by([0.0] * 15))
    steps = play(voted("sliding", Ballot(3, "none")), 15, by([0.0] * 15))
    assert len(steps) == len(plain)
    assert [len(step.windows) for step in steps[:-1]] == [3] * (len(plain) - 1)
    assert all(list(step.samples) == [0, 1, 2] for step in steps[:-1])
    assert all(len(set(step.windows)) == 1 for step in steps[:-1])


def test_one_vote_is_the_strategy_itself() -> None:
    strategy = make("sliding", **SIZES)
    assert vote(strategy, Ballot(1), window=6, top=4) is strategy


def test_positional_bias_is_voted_down() -> None:
    """A model that puts what stands last above what is best: in one vote wrong, in five right."""
    worth = [float(each) for each in (5, 3, 1, 4, 0, 2, 9, 8, 7, 6)]

    def biased(window: tuple[int, ...]) -> list[int]:
        return sorted(range(len(window)), key=lambda at: -(worth[window[at]] + 5.0 * at / len(window)))

    single = make("single", window=10, stride=5, depth=10)
    truth = sorted(range(10), key=lambda at: -worth[at])
    once = play(single, 10, biased)[-1].best
    many = play(vote(single, Ballot(5), window=10, top=4), 10, biased)[-1].best
    assert list(once) != truth
    assert list(many[:4]) == truth[:4]


def test_of_choices_the_passage_chosen_most_often_wins() -> None:
    chosen = iter([(0, 1, 2), (2, 0, 1), (1, 0, 2)])

    def strategy(n: int, scores: Sequence[float] | None = None):  # type: ignore[no-untyped-def]
        (answer,) = yield Step(((7, 8, 9),), range(10))
        assert answer[0] == 0
        return range(10)

    running = vote(strategy, Ballot(3, "none"), window=3, top=1, question="choice")(10)
    next(running)
    with pytest.raises(StopIteration):
        running.send(list(chosen))
    running = vote(strategy, Ballot(3, "none"), window=3, top=1, question="choice")(10)
    next(running)
    with pytest.raises(StopIteration):
        running.send([None, None, (0, 1, 2)])


class TestAuto:
    def steps(self, rank: Rank) -> list[Step]:
        return play(voted("sliding", Ballot("auto")), 15, rank)

    def test_asks_everything_twice_and_the_head_until_it_is_settled(self) -> None:
        steps = self.steps(by([float(15 - at) for at in range(15)]))
        plain = play(make("sliding", **SIZES), 15, by([float(15 - at) for at in range(15)]))
        assert [len(step.windows) for step in steps[:-1]] == [2] * (len(plain) - 1) + [1]

    def test_does_not_go_on_for_ever(self) -> None:
        draw = random.Random(0)
        steps = self.steps(lambda window: draw.sample(range(len(window)), len(window)))
        alone = [step for step in steps if len(step.windows) == 1]
        assert 2 <= len(alone) <= HEAD_VOTES
        samples = [sample for step in alone for sample in step.samples]
        assert len(set(samples)) == len(samples)
        assert min(samples) > 1

    def test_ends_where_nothing_is_answered(self) -> None:
        answers = iter([*[(0, 1, 2, 3, 4, 5)] * 8])
        steps = self.steps(lambda window: next(answers, None))
        assert sum(len(step.windows) == 1 for step in steps) == 1


@pytest.mark.parametrize("votes", [0, -1, 101])
def test_no_votes_are_refused(votes: Votes) -> None:
    with pytest.raises(ConfigError, match="votes"):
        Ballot(votes)
