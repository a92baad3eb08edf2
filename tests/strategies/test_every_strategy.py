"""What every strategy that has a name does, whatever the model answers. A new one is covered once registered."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypedDict, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import ConfigError
from listwise.strategies import Graded, StrategyName, adapts, make, most_windows, play, question_of
from listwise.strategies.base import Step, windows_of

NAMES: tuple[StrategyName, ...] = get_args(StrategyName)
every_strategy = pytest.mark.parametrize("name", NAMES)

Rank = Callable[[tuple[int, ...]], Sequence[int] | None]


class Sizes(TypedDict):
    window: int
    stride: int
    depth: int
    top: int


LARGEST: dict[str, Callable[[Sizes], int]] = {
    "full": lambda s: s["depth"],
    "pointwise": lambda s: 1,
    "pairwise": lambda s: 2,
    "pairwise-all": lambda s: 2,
}
"""Passages in a window at most, where that is not the window's size."""

RIGHT: dict[str, Callable[[Sizes], int]] = {
    "sliding": lambda s: s["window"] - s["stride"],
    "single": lambda s: 0,
    "full": lambda s: s["depth"],
    "first": lambda s: s["window"] - s["stride"],
    "pointwise": lambda s: s["depth"],
    "pairwise": lambda s: s["top"],
    "pairwise-all": lambda s: s["depth"],
    "setwise": lambda s: s["top"],
    "adaptive": lambda s: min(s["top"], s["window"] // 2),
    "widening": lambda s: 0,
    "topdown": lambda s: min(s["top"], s["window"] // 2),
    "tournament": lambda s: 1,
    "blitz": lambda s: s["top"],
}
"""How many at the head a strategy promises to put in the right order, with a model that is never wrong."""


@st.composite
def any_sizes(draw: st.DrawFn) -> Sizes:
    window = draw(st.integers(2, 12))
    return {
        "window": window,
        "stride": draw(st.integers(1, window - 1)),
        "depth": draw(st.integers(1, 40)),
        "top": draw(st.integers(1, 15)),
    }


def never_wrong(worth: Sequence[int]) -> Rank:
    return lambda window: Graded.by([float(worth[at]) for at in window])


def erratic(seed: int, silence: float = 0.2, graded: float = 0.3) -> Rank:
    """Answers anything: nothing, grades, or an order; the same window the same at every time."""

    def rank(window: tuple[int, ...]) -> Sequence[int] | None:
        rng = random.Random(f"{seed} {window}")
        if (kind := rng.random()) < silence:
            return None
        if kind < silence + graded:
            return Graded.by([rng.choice([0.0, 0.5, rng.random()]) for _ in window])
        return rng.sample(range(len(window)), len(window))

    return rank


@every_strategy
@given(sizes=any_sizes(), n=st.integers(0, 50), seed=st.integers(0, 2**32))
def test_a_permutation_at_every_step_and_no_window_too_large(
    name: StrategyName, sizes: Sizes, n: int, seed: int
) -> None:
    steps = play(make(name, **sizes), n, erratic(seed))
    depth = sizes["depth"]
    for step in steps:
        assert sorted(step.best) == list(range(n))
        assert list(step.best[depth:]) == list(range(n))[depth:]
        assert not step.samples or len(step.samples) == len(step.windows)
    most = LARGEST[name](sizes) if name in LARGEST else sizes["window"]
    for window in windows_of(steps):
        assert min(2, most) <= len(window) <= most
        assert len(set(window)) == len(window)
        assert set(window) <= set(range(min(n, depth)))


@every_strategy
@given(sizes=any_sizes(), n=st.integers(0, 50), seed=st.integers(0, 2**32))
def test_never_more_windows_than_stated(name: StrategyName, sizes: Sizes, n: int, seed: int) -> None:
    most = most_windows(name, n, **sizes)
    assert len(windows_of(play(make(name, **sizes), n, erratic(seed)))) <= most
    assert len(windows_of(play(make(name, **sizes), n, lambda window: range(len(window))[::-1]))) <= most
    assert len(windows_of(_against_itself(name, sizes, n))) <= most


@pytest.mark.parametrize("name", [name for name in NAMES if not adapts(name)])
@given(sizes=any_sizes(), n=st.integers(0, 50), seed=st.integers(0, 2**32))
def test_exactly_as_many_windows_as_stated_where_answers_do_not_matter(
    name: StrategyName, sizes: Sizes, n: int, seed: int
) -> None:
    assert len(windows_of(play(make(name, **sizes), n, erratic(seed)))) == most_windows(name, n, **sizes)


def _against_itself(name: StrategyName, sizes: Sizes, n: int) -> list[Step]:
    """A play against a model that prefers whatever the strategy thinks less of at the time."""
    steps: list[Step] = []
    running = make(name, **sizes)(n)
    try:
        step = next(running)
        while True:
            steps.append(step)
            place = {at: number for number, at in enumerate(step.best)}
            step = running.send([Graded.by([float(place[at]) for at in window]) for window in step.windows])
    except StopIteration:
        return steps


@every_strategy
@given(sizes=any_sizes(), n=st.integers(0, 50))
def test_a_model_that_cannot_answer_or_agrees_changes_nothing(name: StrategyName, sizes: Sizes, n: int) -> None:
    ranks: list[Rank] = [lambda window: None]
    if name != "tournament":  # which shuffles what it shows
        ranks.append(lambda window: range(len(window)))
    for rank in ranks:
        for step in play(make(name, **sizes), n, rank):
            assert list(step.best) == list(range(n))


@every_strategy
@given(sizes=any_sizes(), n=st.integers(0, 50), data=st.data())
def test_a_model_that_is_never_wrong_gives_the_best_that_was_promised(
    name: StrategyName, sizes: Sizes, n: int, data: st.DataObject
) -> None:
    worth = data.draw(st.permutations(range(n)))
    looked_at = range(min(n, sizes["depth"]))
    right = min(RIGHT[name](sizes), len(looked_at))
    final = play(make(name, **sizes), n, never_wrong(worth))[-1].best
    assert list(final[:right]) == sorted(looked_at, key=lambda at: -worth[at])[:right]


@every_strategy
@given(sizes=any_sizes(), n=st.integers(0, 50), seed=st.integers(0, 2**32))
def test_the_same_answers_give_the_same_play(name: StrategyName, sizes: Sizes, n: int, seed: int) -> None:
    strategy = make(name, **sizes)
    assert play(strategy, n, erratic(seed)) == play(strategy, n, erratic(seed))


@pytest.mark.parametrize("name", [name for name in NAMES if question_of(name) == "choice"])
@given(sizes=any_sizes(), n=st.integers(0, 30), seed=st.integers(0, 2**32))
def test_of_a_choice_only_the_best_passage_counts(name: StrategyName, sizes: Sizes, n: int, seed: int) -> None:
    whole = erratic(seed, graded=0)

    def chosen(window: tuple[int, ...]) -> Sequence[int] | None:
        answer = whole(window)
        return None if answer is None else (answer[0], *(at for at in range(len(window)) if at != answer[0]))

    assert play(make(name, **sizes), n, chosen) == play(make(name, **sizes), n, whole)


@every_strategy
@pytest.mark.parametrize("n", [0, 1])
def test_nothing_is_asked_where_nothing_can_change(name: StrategyName, n: int) -> None:
    (end,) = play(make(name, window=20, stride=10, depth=100), n, lambda window: None)
    assert (end.windows, list(end.best)) == ((), list(range(n)))
    assert most_windows(name, n, window=20, stride=10, depth=100) == 0


def test_sizes_are_checked_whatever_the_name() -> None:
    for name in NAMES:
        with pytest.raises(ConfigError, match="top is 0"):
            make(name, window=20, stride=10, depth=100, top=0)
    with pytest.raises(ConfigError, match="sliding, single, full"):
        question_of("slidng")
