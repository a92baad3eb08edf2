"""The strategy that reads one window, and more only where that disagrees with the prior."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.strategies import play
from listwise.strategies.base import windows_of
from listwise.strategies.widening import STEPS, most_windows, widening
from tests.strategies.test_adaptive import by, falling, scores_of
from tests.strategies.test_every_strategy import erratic

PRIORS = [None, falling(100)]


def promotes(count: int) -> list[int]:
    """Worths of 100 candidates; of the best ten, ``count`` are from rank 11 on, and the rest from the top."""
    best = [*range(10, 10 + count), *range(10 - count)]
    order = [*best, *(at for at in range(100) if at not in best)]
    return [-order.index(at) for at in range(100)]


@given(scores_of, st.integers(2, 25), st.integers(1, 60), st.integers(1, 15), st.integers(0, 2**32))
def test_any_answers_to_any_scores(scores: list[float], window: int, depth: int, top: int, seed: int) -> None:
    n = len(scores)
    steps = play(widening(window, depth, top), n, erratic(seed), scores)
    for step in steps:
        assert sorted(step.best) == list(range(n))
        assert list(step.best[depth:]) == list(range(n))[depth:]
        assert len(step.windows) <= 1
    windows = windows_of(steps)
    assert all(2 <= len(set(shown)) == len(shown) <= window for shown in windows)
    assert len(windows) <= most_windows(min(n, depth), window, top) <= STEPS


@pytest.mark.parametrize("scores", PRIORS)
@pytest.mark.parametrize(("brought", "windows"), [(0, 1), (3, 1), (4, 2), (10, 2)])
def test_it_ends_where_the_head_agrees(scores: list[float] | None, brought: int, windows: int) -> None:
    """And widens by one window where it does not, and nothing below the head is any good."""
    steps = play(widening(), 100, by(promotes(brought)), scores)
    assert len(windows_of(steps)) == windows
    assert windows_of(steps)[0] == tuple(range(20))


@pytest.mark.parametrize("scores", PRIORS)
def test_it_shows_the_top_again_with_what_is_new(scores: list[float] | None) -> None:
    _, second = windows_of(play(widening(), 100, by(promotes(6)), scores))[:2]
    assert set(second[-10:]) == set(range(20, 30))
    assert set(range(10, 16)) <= set(second[:10])


@pytest.mark.parametrize("scores", PRIORS)
def test_it_widens_while_windows_bring_something_new(scores: list[float] | None) -> None:
    worth = [float(at if at < 50 else -at) for at in range(100)]
    windows = windows_of(play(widening(), 100, by(worth), scores))
    assert len(windows) == STEPS
    assert {at for shown in windows for at in shown} == set(range(50))


def test_without_scores_a_model_that_is_never_wrong_has_the_best_of_all_it_read() -> None:
    worth = [float(at if at < 50 else -at) for at in range(100)]
    final = play(widening(), 100, by(worth))[-1].best
    assert list(final[:10]) == list(range(49, 39, -1))
    assert list(final[50:]) == list(range(50, 100))


@given(st.permutations(range(60)), st.integers(4, 20), st.integers(1, 10))
def test_without_scores_the_top_is_the_models_best_of_what_was_read(
    worth: Sequence[int], window: int, top: int
) -> None:
    steps = play(widening(window, 60, top), 60, by([float(each) for each in worth]))
    read = {at for shown in windows_of(steps) for at in shown}
    few = min(top, window // 2)
    assert list(steps[-1].best[:few]) == sorted(read, key=lambda at: -worth[at])[:few]


@pytest.mark.parametrize("n", [2, 10, 20])
def test_what_one_window_holds_is_read_once(n: int) -> None:
    steps = play(widening(), n, lambda window: range(len(window))[::-1], falling(n))
    assert [len(shown) for shown in windows_of(steps)] == [n]


def test_an_answer_that_does_not_come_ends_it() -> None:
    steps = play(widening(), 100, lambda window: None, falling(100))
    assert [len(shown) for shown in windows_of(steps)] == [20]
    assert list(steps[-1].best) == list(range(100))
