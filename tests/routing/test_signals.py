"""What can be read off a query and its scores: hand-computed values, and what holds for any."""

from __future__ import annotations

import random
import time
from math import erf, exp, inf, isfinite, log, log2, nan, sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from listwise.routing.signals import MEANINGS, Seen, margin, overlap, signals_of

LEVELS = [1.0] * 10 + [-1.0] * 10
"""Of mean 0 and standard deviation 1."""
finite = st.floats(-1e300, 1e300)


def seen(scores: list[float], query: str = "", passages: list[str] | None = None, **more: object) -> Seen:
    return Seen(query, passages or ["x"] * len(scores), scores, **more)  # type: ignore[arg-type]


def test_signals_of_scores_are_those_computed_by_hand() -> None:
    told = signals_of(seen(LEVELS, query="two words"))
    one = 1 / (10 * (1 + exp(-2)))
    assert told == pytest.approx(
        {
            "gap_1": 0,
            "gap_5": 0,
            "gap_10": 2,
            "margin": 2,
            "near": 9,
            "swaps": 20 * (1 - erf(2 / sqrt(2))) / 2,
            "entropy": -10 * (one * log(one) + one * exp(-2) * log(one * exp(-2))) / log(20),
            "top_spread": 0,
            "top_height": 1 / sqrt(2),
            "skew": 0,
            "words": 2,
            "candidates": 20,
            "tokens": 20 / 4,
            "rarity": log(21),
            "covered": 0,
        }
    )


def test_signals_of_probabilities_are_those_computed_by_hand() -> None:
    told = signals_of(seen([2.0, 1.0], probabilities=[0.0, 1.0]))
    assert (told["likely"], told["likely_top"], told["likely_first"]) == (1, 0.5, 0)
    assert told["headroom"] == pytest.approx(1 - 1 / log2(3))
    assert signals_of(seen([2.0, 1.0], probabilities=[1.0, 0.0]))["headroom"] == 0
    assert signals_of(seen([2.0, 1.0], probabilities=[0.0, 0.0]))["headroom"] == 0


def test_signals_of_orders_are_those_computed_by_hand() -> None:
    told = signals_of(seen([2.0, 1.0], first_stage=[1, 0], second=[0, 1]))
    assert (told["first_stage"], told["second_scorer"]) == (0.5, 1)
    assert overlap([10, 11, 0]) == pytest.approx((0 + 0 + 1 / 3) / 3)


def test_signals_of_texts_are_those_computed_by_hand() -> None:
    told = signals_of(seen([2.0, 1.0], "Red cat, red!", ["RED dogs", "redcats"]))
    assert told["words"] == 3
    assert told["rarity"] == pytest.approx(log(3 / 2) / 2)
    assert told["covered"] == pytest.approx((1 + 1 / 2) / 2)
    assert told["tokens"] == 15 / 4


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=60), st.floats(0.01, 100), st.integers(-1000, 1000))
def test_they_do_not_depend_on_scale_and_shift(values: list[int], scale: float, shift: int) -> None:
    assume(len(values) < 11 or len(set(values)) > 1)
    told, moved = (
        signals_of(seen(each)) for each in ([float(v) for v in values], [v * scale + shift for v in values])
    )
    borderline = {"near"}  # a count: a rounding error may move one over its edge
    assert {**moved, "near": 0} == pytest.approx({**told, "near": 0}, abs=1e-6)
    assert moved.keys() - borderline == told.keys() - borderline


@given(st.lists(finite, min_size=2, max_size=60), st.randoms(use_true_random=False))
def test_those_of_scores_do_not_depend_on_who_has_which(values: list[float], draw: random.Random) -> None:
    mixed = draw.sample(values, len(values))
    assert signals_of(seen(mixed)) == signals_of(seen(values))


@given(
    st.lists(finite, max_size=130),
    st.text(max_size=60),
    st.lists(st.text(max_size=40), max_size=130),
    st.lists(st.floats(0, 1), max_size=130),
    st.randoms(use_true_random=False),
)
def test_they_are_within_their_bounds_whatever_is_seen(
    scores: list[float], query: str, passages: list[str], probabilities: list[float], draw: random.Random
) -> None:
    places = draw.sample(range(len(scores)), len(scores))
    told = signals_of(
        Seen(query, passages, scores, probabilities[: len(scores)], first_stage=places, second=places[::-1])
    )
    assert (not told) == (len(scores) < 2)
    assert told.keys() <= MEANINGS.keys()
    assert all(map(isfinite, told.values()))
    for name in ("entropy", "headroom", "first_stage", "second_scorer", "covered", "likely_top", "likely_first"):
        assert -1e-9 <= told.get(name, 0) <= 1 + 1e-9, name
    for name in set(told) - {"skew", "headroom"}:
        assert told[name] >= -1e-9, name
    assert told.get("near", 0) < max(1, len(scores))
    assert told.get("swaps", 0) <= len(scores) / 2 + 1e-9


@given(st.lists(st.floats(), max_size=30), st.lists(st.floats(), max_size=30))
def test_what_is_no_number_tells_nothing(scores: list[float], probabilities: list[float]) -> None:
    told = signals_of(seen(scores, "a query", probabilities=probabilities))
    assert all(map(isfinite, told.values()))
    assert bool(told) == (len(scores) > 1 and all(map(isfinite, scores)))
    likely = bool(told) and bool(probabilities) and all(0 <= each <= 1 for each in probabilities)
    assert ("likely" in told) == likely


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, nan], [inf, 1.0], [1.0, 2.0, -inf]])
def test_of_too_few_scores_or_none_nothing_is_told(scores: list[float]) -> None:
    assert signals_of(seen(scores, query="a query")) == {}
    assert margin(scores) is None


def test_scores_that_are_all_the_same_tell_nothing_apart() -> None:
    told = signals_of(seen([0.1] * 30))
    assert [told[name] for name in ("gap_1", "gap_10", "margin", "top_spread", "skew")] == [0] * 5
    assert told["entropy"] == pytest.approx(1)
    assert [told["near"], told["swaps"]] == pytest.approx([29, 15])


def test_a_signal_that_cannot_be_told_is_left_out() -> None:
    assert {"gap_5", "gap_10", "near", "swaps", "likely", "first_stage", "rarity"}.isdisjoint(
        signals_of(seen([3.0, 2.0, 1.0]))
    )


@given(st.lists(finite, max_size=120))
def test_a_margin_is_none_or_not_negative_and_the_signal(values: list[float]) -> None:
    found = margin(values)
    assert (found is None) == (len(values) < 2)
    assert found is None or found >= 0
    assert signals_of(seen(values)).get("margin") == found


def test_a_cliff_after_rank_ten_is_a_clear_query_and_a_plain_an_ambiguous_one() -> None:
    cliff = [10.0] * 10 + [0.0] * 90
    slope = [float(-at) for at in range(100)]
    flat = [1.0] * 100
    found = [signals_of(seen(scores)) for scores in (cliff, slope, flat)]
    for name, falls in (("margin", True), ("swaps", False), ("entropy", False)):
        values = [each[name] for each in found]
        assert values == sorted(values, reverse=falls), name


def test_a_query_of_a_book_is_read_as_fast_as_any() -> None:
    book = " ".join(f"word{at}" for at in range(100_000))
    started = time.perf_counter()
    told = signals_of(seen([float(at) for at in range(100)], book, ["y" * 1000] * 100))
    assert told["words"] == 100_000
    assert time.perf_counter() - started < 2.0
