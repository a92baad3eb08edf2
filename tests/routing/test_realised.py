from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from statistics import fmean

import pytest

from listwise.routing.exploration import explores
from listwise.routing.realised import Estimate, costs, gains
from listwise.spend.routes import RouteNote

SLOPE = 0.25
SHARE = 0.05


def notes_of(
    count: int, seed: int, *, off_chosen: float = 0.0, off_left: float = 0.0, share: float = SHARE
) -> list[RouteNote]:
    """Queries that gain what is predicted, with noise and what is ``off``; a third is escalated."""
    draw = random.Random(seed)
    notes = []
    for at in range(count):
        predicted = draw.uniform(0, 0.2)
        escalated = predicted > 0.133
        explored = not escalated and explores(seed, str(at), share)
        real = predicted + draw.gauss(0, 0.05) + (off_chosen if escalated else off_left)
        notes.append(
            RouteNote(
                "explored" if explored else "gain",
                tier="llm" if escalated or explored else None,
                propensity=1.0 if escalated else share,
                predicted_gain=predicted,
                predicted_nano_usd=1000,
                disagreement=real / SLOPE if escalated or explored else None,
                nano_usd=int(draw.lognormvariate(6.9, 0.3)) if escalated or explored else 0,
            )
        )
    return notes


def test_intervals_hold_what_they_should() -> None:
    """95 % of the intervals over queries of which few have a label hold the truth, which is no difference."""
    found = [gains(notes_of(1000, seed), SLOPE, 0.0) for seed in range(300)]
    held = [each.difference.low <= 0 <= each.difference.high for each in found if each]
    assert len(held) == 300
    assert 0.92 <= fmean(held) <= 0.98
    slopes = [each.slope for each in found if each and each.slope]
    assert fmean(each.value for each in slopes) == pytest.approx(1, abs=0.02)
    assert fmean(each.low <= 1 <= each.high for each in slopes) >= 0.92


def test_what_the_left_queries_gain_counts_for_all_of_them() -> None:
    """Two thirds are left, and gain .09 more than was thought."""
    found = gains(notes_of(3000, 1, off_left=0.09), SLOPE, 0.0)
    assert found is not None
    assert found.difference.value == pytest.approx(0.06, abs=0.015)
    assert found.covered == 1
    assert found.p_value < 0.001


def test_of_the_escalated_ones_more_is_known() -> None:
    """What is off by .03 everywhere is found over 600 queries of which few are explored."""
    found = gains(notes_of(600, 1, off_chosen=0.03, off_left=0.03, share=0.02), SLOPE, 0.0)
    assert found is not None
    assert found.escalated is not None
    assert found.escalated.error < found.difference.error / 2
    assert found.plainest is found.escalated
    assert found.p_value < 0.01 < found.difference.p_value(0.01)


def test_without_exploration_nothing_is_said_of_those_that_stay() -> None:
    found = gains(notes_of(600, 1, off_left=0.09, share=0.0), SLOPE, 0.0)
    assert found is not None
    assert found.covered == pytest.approx(1 / 3, abs=0.05)
    assert found.difference.value == pytest.approx(0, abs=0.01)


def test_few_explored_ones_stand_for_nobody() -> None:
    few = notes_of(600, 1, share=0.01)
    assert 0 < sum(note.explored for note in few) < 5
    found = gains(few, SLOPE, 0.0)
    assert found is not None
    assert found.covered < 0.5


def test_what_the_fit_does_not_know_is_no_alarm() -> None:
    notes = notes_of(3000, 1, off_chosen=0.04, off_left=0.04)
    sure, unsure = gains(notes, SLOPE, 0.0), gains(notes, SLOPE, 0.03)
    assert sure is not None
    assert unsure is not None
    assert sure.p_value < 0.001
    assert unsure.p_value > 0.1


def test_a_small_difference_is_none() -> None:
    found = gains(notes_of(20_000, 1, off_chosen=0.005, off_left=0.005), SLOPE, 0.0)
    assert found is not None
    assert found.difference.low > 0
    assert found.p_value == 1


def test_predictions_that_say_too_much_have_a_slope_below_1() -> None:
    boasting = [
        RouteNote("rule", propensity=1.0, predicted_gain=at / 100, disagreement=at / 200 / SLOPE)
        for at in range(-20, 80)
    ]
    found = gains(boasting, SLOPE, 0.0)
    assert found is not None
    assert found.slope is not None
    assert found.slope.value == pytest.approx(0.5)


def test_where_all_predictions_are_the_same_there_is_no_slope() -> None:
    same = [RouteNote("rule", propensity=1.0, predicted_gain=0.1, disagreement=0.4)] * 10
    found = gains(same, SLOPE, 0.0)
    assert found is not None
    assert found.slope is None
    assert found.p_value == 1


@pytest.mark.parametrize(
    "notes",
    [
        [],
        [RouteNote("rule", propensity=1.0, disagreement=0.5)] * 50,
        [RouteNote("gain", predicted_gain=0.1)] * 50,
        [RouteNote("rule", propensity=1.0, predicted_gain=0.1, disagreement=0.5)] * 4,
    ],
)
def test_too_few_labels_say_nothing(notes: Sequence[RouteNote]) -> None:
    assert gains(notes, SLOPE, 0.0) is None
    assert costs(notes) is None


@pytest.mark.parametrize(("factor", "alarm"), [(1.0, False), (1.05, False), (1.3, True), (0.7, True)])
def test_costs(factor: float, alarm: bool) -> None:
    draw = random.Random(3)
    notes = [
        RouteNote(
            "gain",
            propensity=1.0,
            predicted_nano_usd=expected,
            disagreement=0.1,
            nano_usd=int(expected * factor * draw.lognormvariate(0, 0.2)),
        )
        for expected in (draw.randrange(500_000, 2_000_000) for _ in range(400))
    ]
    cached = RouteNote("gain", propensity=1.0, predicted_nano_usd=10**9, disagreement=0.1, cache_hits=1)
    unanswered = RouteNote("gain", propensity=1.0, predicted_nano_usd=10**9)
    found = costs([*notes, cached, unanswered])
    assert found is not None
    assert found.queries == 400
    assert found.excess.value == pytest.approx(factor - 1, abs=0.06)
    assert (found.p_value < 0.01) == alarm


@pytest.mark.parametrize(
    ("value", "error", "check"),
    [
        (0.0, 0.0, lambda p: p == 1),
        (0.2, 0.0, lambda p: p == 0),
        (-0.2, 0.05, lambda p: 0 < p < 0.1),
        (0.05, 0.01, lambda p: p == 1),
    ],
)
def test_tails_beyond_a_tolerance(value: float, error: float, check: Callable[[float], bool]) -> None:
    assert check(Estimate.of(value, error, 20).p_value(0.1))
