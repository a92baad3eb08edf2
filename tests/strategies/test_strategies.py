"""Properties that every strategy has, whatever the model does."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import ConfigError
from listwise.strategies import Strategy, full, make, play, single, sliding
from listwise.strategies.base import Step, windows_of

SIZES = [0, 1, 2, 7, 19, 20, 21, 25, 30, 95, 100, 101, 119, 1000]


def identity(window: tuple[int, ...]) -> list[int]:
    return list(range(len(window)))


@st.composite
def any_strategy(draw: st.DrawFn) -> tuple[Strategy, int, int]:
    window = draw(st.integers(2, 12))
    stride = draw(st.integers(1, window - 1))
    depth = draw(st.integers(1, 60))
    name = draw(st.sampled_from(["sliding", "single", "full"]))
    limit = depth if name == "full" else window
    return make(name, window=window, stride=stride, depth=depth), limit, depth


@given(any_strategy(), st.integers(0, 70), st.integers(0, 2**32))
def test_always_a_permutation_at_every_step(chosen: tuple[Strategy, int, int], n: int, seed: int) -> None:
    strategy, limit, depth = chosen
    rng = random.Random(seed)

    def model(window: tuple[int, ...]) -> list[int] | None:
        return None if rng.random() < 0.2 else rng.sample(range(len(window)), len(window))

    steps = play(strategy, n, model)
    for step in steps:
        assert sorted(step.best) == list(range(n))
        assert list(step.best[depth:]) == list(range(n))[depth:]
    for window in windows_of(steps):
        assert 2 <= len(window) <= limit
        assert len(set(window)) == len(window)


@given(any_strategy(), st.integers(0, 70))
def test_a_model_that_cannot_answer_changes_nothing(chosen: tuple[Strategy, int, int], n: int) -> None:
    steps = play(chosen[0], n, lambda window: None)
    assert list(steps[-1].best) == list(range(n))


@given(st.integers(2, 150), st.integers(2, 25), st.data())
def test_sliding_brings_the_best_to_the_top(n: int, window: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, window - 1))
    worth = data.draw(st.permutations(range(n)))
    steps = play(
        sliding(window, stride, n), n, lambda shown: sorted(range(len(shown)), key=lambda at: -worth[shown[at]])
    )
    top = min(n, window - stride)
    best = sorted(range(n), key=lambda at: -worth[at])
    assert list(steps[-1].best[:top]) == best[:top]


@pytest.mark.parametrize("n", SIZES)
def test_sliding_reads_every_candidate_within_the_depth(n: int) -> None:
    read = {at for window in windows_of(play(sliding(20, 10, 100), n, identity)) for at in window}
    assert read == (set(range(min(n, 100))) if n > 1 else set())


def test_sliding_reads_what_rankgpt_reads() -> None:
    windows = windows_of(play(sliding(20, 10, 100), 100, identity))
    assert [(window[0], window[-1] + 1) for window in windows] == [(s, s + 20) for s in range(80, -1, -10)]


@pytest.mark.parametrize(("n", "spans"), [(7, [(0, 7)]), (21, [(10, 21), (0, 20)]), (25, [(10, 25), (0, 20)])])
def test_sliding_gives_the_head_a_whole_window(n: int, spans: list[tuple[int, int]]) -> None:
    windows = windows_of(play(sliding(20, 10, 100), n, identity))
    assert [(window[0], window[-1] + 1) for window in windows] == spans


def test_single_reads_the_head_and_full_everything() -> None:
    def reverse(window: tuple[int, ...]) -> list[int]:
        return list(range(len(window)))[::-1]

    assert list(play(single(3), 5, reverse)[-1].best) == [2, 1, 0, 3, 4]
    assert list(play(full(4), 5, reverse)[-1].best) == [3, 2, 1, 0, 4]
    assert play(single(3), 1, reverse) == [Step((), (0,))]


@pytest.mark.parametrize(
    ("sizes", "word"),
    [
        ({"window": 1, "stride": 1, "depth": 10}, "window"),
        ({"window": 20, "stride": 20, "depth": 10}, "stride"),
        ({"window": 20, "stride": 0, "depth": 10}, "stride"),
        ({"window": 20, "stride": 10, "depth": 0}, "depth"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(sizes: Any, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        make("sliding", **sizes)


def test_an_unknown_strategy_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="sliding, single, full"):
        make("slidng", window=20, stride=10, depth=100)
