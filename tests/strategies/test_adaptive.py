"""Our own strategy, where the prior has scores."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.strategies import make, play
from listwise.strategies.adaptive import NO_SCORES, STEPS, adaptive, most_windows
from listwise.strategies.base import windows_of
from listwise.strategies.beliefs import Beliefs
from listwise.strategies.movement import moved
from tests.strategies.test_every_strategy import Rank, erratic

scores_of = st.lists(st.floats(-20, 20), min_size=2, max_size=60).map(lambda drawn: sorted(drawn, reverse=True))


def falling(n: int) -> list[float]:
    return [float(n - at) for at in range(n)]


def by(worth: Sequence[float]) -> Rank:
    return lambda window: sorted(range(len(window)), key=lambda at: -worth[window[at]])


@given(scores_of, st.integers(2, 25), st.integers(1, 60), st.integers(1, 15), st.integers(0, 2**32))
def test_any_answers_to_any_scores(scores: list[float], window: int, depth: int, top: int, seed: int) -> None:
    n = len(scores)
    steps = play(adaptive(window, depth, top), n, erratic(seed), scores)
    for step in steps:
        assert sorted(step.best) == list(range(n))
        assert list(step.best[depth:]) == list(range(n))[depth:]
    windows = windows_of(steps)
    assert all(2 <= len(set(shown)) == len(shown) <= window for shown in windows)
    assert len(windows) <= most_windows(min(n, depth), window, top)


@given(scores_of, st.integers(0, 2**32))
def test_a_model_that_cannot_answer_is_asked_one_step_and_changes_nothing(scores: list[float], seed: int) -> None:
    steps = play(adaptive(10, 40), len(scores), lambda window: None, scores)
    assert all(list(step.best) == list(range(len(scores))) for step in steps)
    if min(scores) < max(scores):
        assert len(steps) <= 2


@given(st.permutations(range(100)), st.sampled_from([0.25, 0.6]))
def test_at_most_four_steps(worth: list[int], trust: float) -> None:
    steps = play(adaptive(20, 100, 10, trust), 100, by(worth), falling(100))
    assert len(steps) - 1 <= STEPS


def test_where_the_model_agrees_with_the_prior_it_reads_little_and_stops_soon() -> None:
    steps = play(adaptive(), 100, lambda window: range(len(window)), falling(100))
    assert list(steps[-1].best[:10]) == list(range(10))
    assert list(steps[-1].best[:10]) == list(range(10))
    assert len(steps) - 1 == 2
    assert sum(map(len, windows_of(steps))) <= 0.4 * 180


def test_where_the_model_promotes_from_the_edge_it_reads_more() -> None:
    """The model prefers what the prior has at places 35 to 45."""
    worth = [-abs(at - 40.0) for at in range(100)]
    agreed = {at for shown in windows_of(play(adaptive(), 100, by(falling(100)), falling(100))) for at in shown}
    steps = play(adaptive(), 100, by(worth), falling(100))
    read = {at for shown in windows_of(steps) for at in shown}
    assert len(read) > len(agreed)
    assert set(steps[-1].best[:5]) <= set(range(35, 46))


def test_a_prior_that_is_not_trusted_has_everything_read() -> None:
    steps = play(adaptive(trust=0.0), 100, by(falling(100)), falling(100))
    assert {at for shown in steps[0].windows for at in shown} == set(range(100))


def test_all_that_is_independent_is_one_step() -> None:
    steps = play(adaptive(trust=0.25), 100, by(falling(100)[::-1]), falling(100))
    assert len(steps[0].windows) == 5
    assert len({len(shown) for shown in steps[0].windows}) == 1


def test_the_top_of_a_consistent_model_that_roughly_agrees_is_found() -> None:
    """The best ten are among the prior's first twenty: they are all found, whatever their order there."""
    draw = random.Random(0)
    for _ in range(20):
        head, tail = list(range(20)), list(range(20, 100))
        draw.shuffle(head)
        worth = [0.0] * 100
        for place, at in enumerate((*head, *tail)):
            worth[at] = -float(place)
        final = play(adaptive(), 100, by(worth), falling(100))[-1].best
        assert len(set(final[:10]) & set(head[:10])) >= 8


@pytest.mark.parametrize("scores", [None, [1.0] * 40, [float("nan")] * 40, [float("inf"), *falling(39)]])
def test_without_scores_that_tell_it_is_topdown(scores: list[float] | None) -> None:
    first, *later = play(adaptive(10, 40), 40, erratic(3), scores)
    assert first.notes == (NO_SCORES,)
    assert [first._replace(notes=()), *later] == play(
        make("topdown", window=10, stride=5, depth=40), 40, erratic(3)
    )


def test_what_lies_below_the_depth_is_not_heeded() -> None:
    shallow = play(adaptive(10, 20), 20, erratic(1), falling(20))
    deep = play(adaptive(10, 20), 30, erratic(1), [*falling(20), *[-1000.0] * 10])
    assert [step.windows for step in shallow] == [step.windows for step in deep]


def test_moved_goes_by_the_gain_of_places() -> None:
    assert moved((0, 1, 2, 3), (0, 1, 2, 3), 3) == 0
    assert moved((0, 1, 2), (3, 4, 5), 3) == pytest.approx(1)
    swaps = [moved((0, 1, 2, 3), order, 4) for order in ((1, 0, 2, 3), (0, 1, 3, 2))]
    assert swaps[0] > swaps[1] > 0


class TestBeliefs:
    def test_begin_with_the_priors_order(self) -> None:
        beliefs = Beliefs([3.0, 1.0, 1.0, 0.5], 0.6)
        assert beliefs.order() == (0, 1, 2, 3)
        chances = beliefs.chances(1)
        assert chances == sorted(chances, reverse=True)

    @given(st.permutations(range(12)))
    def test_follow_an_answer_that_is_all_there_is(self, order: list[int]) -> None:
        beliefs = Beliefs([0.0] * 12, 0.0)
        beliefs.learn([order])
        assert list(beliefs.order()) == order

    def test_a_surprise_moves_them_half_way(self) -> None:
        """Last by the prior and first by the answer: better than believed, but not yet the best."""
        beliefs = Beliefs([float(20 - at) for at in range(20)], 0.6)
        beliefs.learn([(19, *range(19))])
        assert 0 < beliefs.order().index(19) < 19
        beliefs.learn([(19, *range(19))] * 3)
        assert beliefs.order().index(19) == 0

    def test_become_surer_with_every_window(self) -> None:
        beliefs = Beliefs([float(10 - at) for at in range(10)], 0.3)
        first = beliefs.chances(5)
        beliefs.learn([range(10)])
        second = beliefs.chances(5)
        assert second[0] > first[0]
        assert second[9] < first[9]
        assert beliefs.read == [True] * 10

    def test_a_better_windows_best_is_better(self) -> None:
        beliefs = Beliefs([float(40 - at) for at in range(40)], 0.8)
        beliefs.learn([tuple(range(20)), tuple(range(20, 40))])
        order = beliefs.order()
        assert order.index(0) < order.index(20)
