"""The guard around a play, with functions for models."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.strategies import Step, Strategy, full, play, single, sliding
from listwise.strategies.base import Play, windows_of
from listwise.strategies.guard import (
    MOST_WINDOWS,
    SECOND_LOOK,
    TOP,
    Findings,
    Repaired,
    Watch,
    guarded,
    most_windows,
)

Rank = Callable[[tuple[int, ...]], Sequence[int] | None]


def played(
    strategy: Strategy,
    n: int,
    rank: Rank,
    *,
    suspects: Sequence[int] = (),
    every_leap: bool = False,
    window: int = 20,
) -> tuple[list[Step], Findings]:
    findings = Findings()
    watch = Watch(window, suspects.__contains__, every_leap)

    def started(n: int, scores: Sequence[float] | None = None) -> Play:
        return guarded(strategy(n, scores), n, watch, findings)

    return play(started, n, rank), findings


def echo(window: tuple[int, ...]) -> list[int]:
    return list(range(len(window)))


def by(key: Callable[[int], float]) -> Rank:
    return lambda window: sorted(range(len(window)), key=lambda at: key(window[at]))


def raising(leaper: int) -> Rank:
    """Puts one candidate first, always."""
    return by(lambda at: -1 if at == leaper else at)


def believing_once(leaper: int) -> Rank:
    """Puts one candidate first where it is shown last or in prior order, and last elsewhere."""
    return lambda window: by(lambda at: (-1 if list(window) == sorted(window) else 1e9) if at == leaper else at)(
        window
    )


@given(
    st.integers(0, 60),
    st.integers(2, 12),
    st.sets(st.integers(0, 59)),
    st.booleans(),
    st.integers(0, 2**32),
    st.sampled_from(["sliding", "single", "full"]),
)
def test_every_order_is_a_permutation_and_few_windows_are_added(
    n: int, window: int, suspects: set[int], every_leap: bool, seed: int, name: str
) -> None:
    rng = random.Random(seed)

    def model(shown: tuple[int, ...]) -> list[int] | None:
        return rng.choice([None, echo(shown), rng.sample(range(len(shown)), len(shown))])

    chosen = {
        "sliding": sliding(window, 1 + window // 2 if window > 2 else 1),
        "single": single(window),
        "full": full(),
    }
    strategy = chosen[name]
    most = most_windows(
        len(windows_of(play(strategy, n, echo))), n, Watch(window, suspects.__contains__, every_leap)
    )
    steps, _ = played(strategy, n, model, suspects=sorted(suspects), every_leap=every_leap, window=window)
    assert all(sorted(step.best) == list(range(n)) for step in steps)
    extra = [step for step in steps if step.samples]
    assert len(extra) <= most <= MOST_WINDOWS
    assert all(len(step.windows) == 1 and len(set(step.windows[0])) == len(step.windows[0]) for step in extra)


@given(st.integers(4, 60), st.sets(st.integers(3, 59), min_size=1), st.integers(0, 2**32))
def test_no_suspect_is_at_the_top_of_any_order_before_it_is_confirmed(
    n: int, suspects: set[int], seed: int
) -> None:
    rng = random.Random(seed)
    steps, findings = played(
        sliding(8, 4), n, lambda shown: rng.sample(range(len(shown)), len(shown)), suspects=sorted(suspects)
    )
    for step in steps[:-1]:
        assert all(at - place < 3 for place, at in enumerate(step.best[:TOP]) if at in suspects)
    fallen = [at for at in findings.fallen if list(steps[-1].best).index(at) < at]
    assert not fallen


def test_a_model_that_repeats_any_order_is_found_out() -> None:
    steps, findings = played(sliding(), 100, echo)
    windows = windows_of(steps)
    assert len(windows) == 10
    assert windows[9] == windows[8][::-1]
    assert steps[9].samples == (SECOND_LOOK,)
    assert steps[-1].best == tuple(range(100))
    assert findings.ranks_nothing


def test_passages_far_down_that_are_all_the_same_prove_nothing() -> None:
    """Nothing below the first 15 is relevant, and what is not is left in the order shown."""
    steps, findings = played(sliding(), 100, by(lambda at: {12: 0, 7: 1, 3: 2}.get(at, 3)))
    assert list(steps[-1].best[:3]) == [12, 7, 3]
    assert len(windows_of(steps)) == 10
    assert findings == Findings()


def test_what_it_did_to_few_windows_is_undone() -> None:
    def mostly(window: tuple[int, ...]) -> list[int]:
        return echo(window)[::-1] if window[0] == 180 else echo(window)

    steps, findings = played(sliding(depth=200), 200, mostly)
    assert findings.ranks_nothing
    assert steps[-1].best == tuple(range(200))


def test_a_right_order_is_repeated_rightly() -> None:
    steps, findings = played(sliding(), 100, by(lambda at: at))
    assert len(windows_of(steps)) == 10
    assert list(steps[-1].best) == list(range(100))
    assert findings == Findings()


def test_without_an_answer_to_the_turned_window_it_is_only_said() -> None:
    steps, findings = played(sliding(), 100, lambda shown: echo(shown) if shown[0] < shown[-1] else None)
    assert len(windows_of(steps)) == 10
    assert findings == Findings(unchecked=True)


@pytest.mark.parametrize(
    ("strategy", "n"),
    [(single(), 100), (full(), 100), (sliding(), 30), (sliding(3, 2), 60)],
    ids=["single", "full", "two windows", "small"],
)
def test_few_windows_and_small_ones_say_nothing(strategy: Strategy, n: int) -> None:
    steps, findings = played(strategy, n, echo)
    assert not any(step.samples for step in steps)
    assert findings == Findings()


def test_repairs_are_no_echoes() -> None:
    _, findings = played(sliding(), 100, lambda shown: Repaired(range(len(shown))))
    assert findings == Findings()


def test_some_echoes_are_no_matter() -> None:
    answered = iter([*[[1, 0]] * 3, *[None] * 6])

    def model(shown: tuple[int, ...]) -> list[int]:
        order = next(answered, None)
        return echo(shown) if order is None else [*order, *range(2, len(shown))]

    steps, findings = played(sliding(), 100, model)
    assert len(windows_of(steps)) == 9
    assert findings == Findings()


def test_leaps_of_harmless_passages_are_believed_unless_all_are_to_be_confirmed() -> None:
    steps, _ = played(full(), 100, raising(50))
    assert (len(windows_of(steps)), steps[-1].best[0]) == (1, 50)
    steps, findings = played(full(), 100, raising(50), every_leap=True)
    assert len(windows_of(steps)) == 2
    assert steps[-1].best[0] == 50
    assert findings == Findings(confirmed=(50,))


def test_the_second_window_is_the_head_shuffled_and_shown_warily() -> None:
    steps, _ = played(sliding(), 100, raising(50), suspects=[50])
    again, _ = played(sliding(), 100, raising(50), suspects=[50])
    (shown,) = steps[-2].windows
    before = [50, *range(19)]
    assert sorted(shown) == sorted(before)
    assert shown[0] != 50
    assert (steps[-2].wary, list(steps[-2].samples)) == (True, [SECOND_LOOK])
    assert again == steps


def test_a_suspects_leap_that_is_not_confirmed_is_taken_back() -> None:
    steps, findings = played(single(20), 40, believing_once(15), suspects=[15])
    assert findings == Findings(refuted=(15,))
    assert list(steps[-1].best) == list(range(40))


def test_a_harmless_leap_that_is_not_confirmed_gets_the_worse_place_and_the_others_close_up() -> None:
    steps, findings = played(single(20), 40, believing_once(15), every_leap=True)
    assert findings == Findings(refuted=(15,))
    assert list(steps[-1].best) == [*range(15), *range(16, 20), 15, *range(20, 40)]


def test_a_place_in_a_window_as_small_as_the_top_must_be_earned_in_its_better_half() -> None:
    steps, findings = played(single(10), 40, believing_once(8), suspects=[8], window=10)
    assert findings == Findings(refuted=(8,))
    assert list(steps[-1].best) == list(range(40))


@given(st.integers(4, 19))
def test_a_second_answer_that_does_not_name_the_passage_confirms_nothing(leaper: int) -> None:
    def partly(shown: tuple[int, ...]) -> Sequence[int]:
        if list(shown) == sorted(shown):
            return raising(leaper)(shown) or ()
        named = shown.index(0)
        return Repaired([named, *(at for at in range(len(shown)) if at != named)], 1)

    steps, findings = played(single(20), 40, partly, suspects=[leaper])
    assert findings == Findings(fallen=(leaper,))
    assert list(steps[-1].best) == list(range(40))


def test_a_leap_that_cannot_be_checked_is_believed_of_harmless_passages_only() -> None:
    def once(leaper: int) -> Rank:
        return lambda shown: raising(leaper)(shown) if list(shown) == sorted(shown) else None

    steps, findings = played(single(20), 40, once(15), suspects=[15])
    assert (list(steps[-1].best), findings) == (list(range(40)), Findings(fallen=(15,)))
    steps, findings = played(single(20), 40, once(15), every_leap=True)
    assert (steps[-1].best[0], findings) == (15, Findings(believed=(15,)))


def test_how_many_windows_are_added_at_most() -> None:
    suspects = Watch(20, {5}.__contains__), Watch(20, {5}.__contains__, every_leap=True)
    harmless = Watch(20, set[int]().__contains__), Watch(20, set[int]().__contains__, every_leap=True)
    assert [most_windows(2, 8, watch) for watch in (*suspects, *harmless)] == [1, 1, 0, 0]
    assert [most_windows(9, 100, watch) for watch in (*suspects, *harmless)] == [2, 2, 1, 2]


def test_a_small_climb_needs_no_second_window() -> None:
    steps, _ = played(single(20), 40, raising(2), suspects=[2])
    assert (len(windows_of(steps)), steps[-1].best[0]) == (1, 2)
    steps, _ = played(single(20), 40, raising(9), every_leap=True)
    assert (len(windows_of(steps)), steps[-1].best[0]) == (1, 9)
