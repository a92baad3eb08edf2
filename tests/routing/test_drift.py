"""Drift: how often it is seen where there is none, and how much of it is seen; on simulated logs, seeds fixed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from listwise.routing.drift import COSTS, GAINS, WINDOW, Check, Fitted, check
from listwise.routing.reference import Reference
from listwise.spend.routes import Routed, RouteNote

SIGNALS = ("margin", "entropy", "swaps", "agreement", "terms", "tokens")
FITTED_ON = 135
"""Queries of DL21 and DL23."""
SLOPE = 0.25


def signals_of(draw: random.Random, moved_by: float = 0.0) -> dict[str, float]:
    """Signals that go together; two have ties. The first moves, by so many standard deviations."""
    common = draw.gauss(0, 0.7)
    values = [common + draw.gauss(0, 0.7) for _ in SIGNALS]
    values[0] += moved_by
    values[3] = round(values[3])
    values[4] = float(values[4] > 0.5)
    return dict(zip(SIGNALS, values, strict=True))


def log_of(count: int, seed: int, moved_by: float = 0.0, *, off: float = 0.0, dearer: float = 1.0) -> list[Routed]:
    """A log in which a third of the queries is escalated, and all gain what was predicted, plus ``off``."""
    draw = random.Random(seed)
    log = []
    for at in range(count):
        predicted = draw.uniform(0, 0.2)
        escalated, explored = predicted > 0.133, draw.random() < 0.02
        note = RouteNote(
            "explored" if explored and not escalated else "gain",
            signals_of(draw, moved_by),
            propensity=1.0 if escalated else 0.02,
            predicted_gain=predicted,
            predicted_nano_usd=1_000_000,
        )
        if escalated or explored:
            realised = predicted + off + draw.gauss(0, 0.05)
            spent = int(1_000_000 * dearer * draw.uniform(0.8, 1.2))
            note = replace(note, tier="llm", disagreement=realised / SLOPE, nano_usd=spent)
        log.append(Routed(float(at), "r", "a", f"{seed} {at}", note))
    return log


def fitted(seed: int, count: int = FITTED_ON) -> Fitted:
    draw = random.Random(f"fit {seed}")
    seen = [signals_of(draw) for _ in range(count)]
    return Fitted("v1", {name: Reference.of(each[name] for each in seen) for name in SIGNALS}, 0.0, SLOPE)


def alarms(logs: Sequence[tuple[Sequence[Routed], Fitted]], window: int = WINDOW) -> float:
    """The share of these logs that call for a refit."""
    return sum(check(log, router, window).status == "refit" for log, router in logs) / len(logs)


@pytest.mark.slow
def test_where_nothing_moves_repeated_checks_alarm_in_at_most_one_of_twenty_routers() -> None:
    """Eight checks of each of 100 routers, the last over gains and costs, too."""
    window, ends = 100, (100, 200, 300, 400, 500, 600, 800, 1000)
    alarmed = 0
    for seed in range(100):
        router, log = fitted(seed), log_of(1000, seed)
        alarmed += any(check(log[:end], router, window).status == "refit" for end in ends)
    assert alarmed / 100 <= 0.05


@pytest.mark.parametrize(
    ("moved_by", "count", "found"),
    [(0.3, FITTED_ON, 0.15), (0.5, FITTED_ON, 0.75), (0.7, FITTED_ON, 0.95), (0.4, 1000, 0.85)],
)
def test_how_large_a_shift_200_queries_show(moved_by: float, count: int, found: float) -> None:
    """At least so often, in standard deviations of one of six signals, by how many queries the fit saw."""
    logs = [(log_of(WINDOW, seed, moved_by), fitted(seed, count)) for seed in range(100)]
    assert alarms(logs) >= found


def test_it_says_which_signal_has_moved_and_how() -> None:
    found = check(log_of(WINDOW, 1, 1.0), fitted(1))
    assert found.moved == ("margin",)
    assert found.verdict.startswith("refit: margin has moved: higher (median ")


def test_only_what_is_recent_counts() -> None:
    before, after = log_of(1000, 1), log_of(300, 2, 1.5)
    assert check([*before, *after], fitted(1)).status == "refit"
    assert check([*after, *before], fitted(1)).status == "unchanged"


def test_before_a_window_is_full_it_cannot_tell_and_says_what_it_needs() -> None:
    found = check(log_of(WINDOW - 1, 1, 3.0), fitted(1))
    assert (found.status, found.verdict) == ("too few", "too few queries to tell (199, need about 200)")
    assert check([], fitted(1)).status == "too few"


def test_signals_with_few_values_are_too_few_queries() -> None:
    assert check(log_of(49, 1), fitted(1), window=49).verdict == "too few queries to tell (49, need about 50)"


def test_until_the_next_window_is_full_it_says_the_same() -> None:
    log = [*log_of(WINDOW, 1), *log_of(WINDOW, 2, 3.0)]
    assert check(log[:-1], fitted(1)).verdict == "nothing has changed"
    assert check(log, fitted(1)).moved == ("margin",)


def test_a_query_that_comes_again_counts_once_and_moves_no_window() -> None:
    log = log_of(2 * WINDOW, 1)
    repeated = [each for pair in zip(log, [log[0]] * len(log), strict=True) for each in pair]
    assert check(repeated, fitted(1)) == check(log, fitted(1))


def test_a_signal_that_is_not_there_any_more_calls_for_a_refit() -> None:
    log = [
        each._replace(note=replace(each.note, signals={"margin": each.note.signals["margin"]}))
        for each in log_of(WINDOW, 1)
    ]
    found = check(log, fitted(1))
    assert found.missing == SIGNALS[1:]
    assert "entropy is not there any more" in found.verdict


def test_a_signal_that_few_queries_have_cannot_be_compared() -> None:
    log = log_of(WINDOW, 1)
    rare = [
        each._replace(
            note=replace(each.note, signals={name: 9.0 for name in SIGNALS if at < 20 or name != "swaps"})
        )
        for at, each in enumerate(log)
    ]
    found = check(rare, fitted(1))
    assert "swaps" not in found.shifts
    assert "swaps" not in found.missing


@pytest.mark.parametrize(
    ("off", "dearer", "moved", "words"),
    [
        (0.0, 1.0, (), "nothing has changed"),
        (0.06, 1.0, (GAINS,), "realised gain is above what was predicted, by 0.0"),
        (-0.06, 1.0, (GAINS,), "realised gain is below what was predicted, by 0.0"),
        (0.0, 1.5, (COSTS,), "realised cost is 1.49 times what was predicted"),
    ],
)
def test_gains_and_costs(off: float, dearer: float, moved: tuple[str, ...], words: str) -> None:
    found = check(log_of(2000, 1, off=off, dearer=dearer), fitted(1))
    assert found.moved == moved
    assert words in found.verdict


def test_gains_are_not_judged_before_there_are_enough() -> None:
    found = check(log_of(1999, 1, off=0.1), fitted(1))
    assert found.status == "unchanged"
    assert found.gains is not None
    assert found.gains.difference.low > 0.05


def test_what_was_fitted_survives_its_file() -> None:
    router = fitted(1)
    assert Fitted.from_json(json.loads(json.dumps(router.to_json()))) == router


@pytest.mark.parametrize(
    "change",
    [
        {"references": {}},
        {"references": None},
        {"gain_error": -1.0},
        {"gain_error": float("nan")},
        {"gain_per_disagreement": None},
    ],
)
def test_what_is_no_record_of_a_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="record of what a router was fitted on"):
        Fitted.from_json({**fitted(1).to_json(), **change})


def test_all_figures_are_data() -> None:
    found: Check = check(log_of(2000, 1), fitted(1))
    data = json.loads(json.dumps(found.to_json()))
    assert data["verdict"] == "nothing has changed"
    assert set(data["shifts"]) == set(SIGNALS)
    assert data["gains"]["difference"]["low"] < data["gains"]["difference"]["high"]
