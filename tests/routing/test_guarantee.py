from __future__ import annotations

import random
from collections.abc import Callable
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.routing.guarantee import FEW_CASES, THRESHOLDS, betting, certified, guarantee, least_cases

ALPHA, CONFIDENCE = 0.01, 0.9

gains = st.floats(-1, 1)
cases = st.lists(st.tuples(st.floats(-0.2, 0.6), gains), max_size=60)


def split(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [said for said, _ in pairs], [gain for _, gain in pairs]


def typical(count: int, seed: int = 1) -> tuple[list[float], list[float]]:
    """Predictions that are right on average, of gains that differ much."""
    rng = random.Random(seed)
    predicted = [max(0.0, rng.gauss(0.08, 0.06)) for _ in range(count)]
    return predicted, [max(-1.0, min(1.0, rng.gauss(said, 0.12))) for said in predicted]


def disasters(rng: random.Random) -> float:
    return float(rng.random() < 0.02)


def halves(rng: random.Random) -> float:
    return rng.choice([-0.48, 0.52])


def harm_and_disasters(rng: random.Random) -> float:
    return 1.0 if rng.random() < 0.05 else -0.03 / 0.95


def narrow(rng: random.Random) -> float:
    return rng.gauss(0.02, 0.05)


@pytest.mark.parametrize("draw", [disasters, halves, harm_and_disasters, narrow], ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("count", [20, 120, 500])
def test_a_mean_at_alpha_is_rejected_no_more_often_than_the_level(
    draw: Callable[[random.Random], float], count: int
) -> None:
    """All of these lose 0.02 on average; 0.03 more than 0.1 of the trials would be 4 standard errors."""
    rng = random.Random(count)
    trials = 1600
    rejected = sum(betting([draw(rng) for _ in range(count)], 0.02) <= 0.1 for _ in range(trials))
    assert rejected / trials <= 0.13


@given(st.lists(gains, max_size=50), st.floats(0.001, 0.5))
def test_a_p_value_is_a_chance(losses: list[float], alpha: float) -> None:
    assert 0 < betting(losses, alpha) <= 1
    assert betting([alpha] * len(losses), alpha) == 1


def test_without_any_loss_it_takes_hardly_more_than_any_test_must() -> None:
    least = least_cases(ALPHA, CONFIDENCE)
    any_test = log(1 - CONFIDENCE) / log(1 - ALPHA)
    assert any_test <= least <= any_test + 4
    assert betting([0.0] * (least - 1), ALPHA) > 1 - CONFIDENCE >= betting([0.0] * least, ALPHA)


def test_the_first_that_fails_ends_it() -> None:
    good, bad = [-0.5] * 40, [0.5] * 40
    assert certified([good, good, bad, good], ALPHA, CONFIDENCE) == 2
    assert certified([bad, good], ALPHA, CONFIDENCE) == 0
    assert certified([], ALPHA, CONFIDENCE) == 0


def test_more_cases_let_more_stay() -> None:
    found = [guarantee(*typical(count)) for count in (200, 500, 5000)]
    assert [each.feasible for each in found] == [False, True, True]
    assert 1 == found[0].escalated > found[1].escalated > found[2].escalated > 0.5
    assert 200 < (found[0].needed or 0) < 2000
    assert [each.needed for each in found[1:]] == [None, None]


def test_what_is_found_is_what_was_tested() -> None:
    predicted, realised = typical(800)
    found = guarantee(predicted, realised)
    assert found.threshold in THRESHOLDS
    kept = [gain for said, gain in zip(predicted, realised, strict=True) if said < found.threshold]
    assert found.escalated == pytest.approx(1 - len(kept) / 800)
    assert found.loss == pytest.approx(sum(kept) / 800)
    assert found.loss < ALPHA


@given(cases, st.floats(0.005, 0.3), st.floats(0.5, 0.99))
def test_either_a_saving_or_all_are_escalated(
    pairs: list[tuple[float, float]], alpha: float, confidence: float
) -> None:
    found = guarantee(*split(pairs), alpha, confidence)
    assert found.cases == len(pairs)
    if found.feasible:
        assert found.escalated < 1
        assert found.needed is None
        assert found.loss < alpha
    else:
        assert (found.escalated, found.loss) == (1, 0)
        assert found.needed is None or found.needed >= least_cases(alpha, confidence)


@given(st.lists(st.tuples(st.floats(-0.2, 0.6), st.floats(0, 1)), max_size=200))
def test_no_promise_from_fewer_cases_than_any_test_needs(pairs: list[tuple[float, float]]) -> None:
    assert not guarantee(*split(pairs), ALPHA, CONFIDENCE).feasible


@given(st.lists(st.tuples(st.floats(-0.2, 0.6), gains), max_size=FEW_CASES - 1))
def test_a_handful_of_cases_says_only_the_least_it_takes(pairs: list[tuple[float, float]]) -> None:
    found = guarantee(*split(pairs), ALPHA, CONFIDENCE)
    assert found.feasible or found.needed == least_cases(ALPHA, CONFIDENCE)


def test_losses_that_are_all_the_same() -> None:
    nothing = guarantee([0.1] * 231, [0.0] * 231), guarantee([0.1] * 232, [0.0] * 232)
    assert [each.feasible for each in nothing] == [False, True]
    assert nothing[0].needed == 232
    assert nothing[1].escalated == 0
    much = guarantee([0.1] * 5000, [0.02] * 5000)
    assert (much.feasible, much.needed) == (False, None)
    barely = guarantee([0.1] * 5000, [0.0099] * 5000)
    assert (barely.feasible, barely.escalated) == (False, 1)
    assert barely.needed is not None
    assert barely.needed > 5000


def test_an_llm_that_harms_is_left_out_with_few_cases() -> None:
    found = guarantee([-0.1] * 30, [-0.3] * 30)
    assert (found.feasible, found.escalated) == (True, 0)
    assert found.loss == pytest.approx(-0.3)


def test_the_order_of_the_file_wins_nothing() -> None:
    """In the order of gains, a bet on each loss by those before it would be sure to win."""
    losses = [-0.3] * 50 + [0.3] * 60
    assert betting(losses, ALPHA) < 0.001
    gains = [-0.3] * 60 + [0.3] * 50  # in the mean nothing is lost
    assert betting(gains, ALPHA) < 0.001
    assert not guarantee([0.0001] * len(gains), gains).feasible


def test_a_bet_that_was_won_before_the_losses_came_does_not_pass() -> None:
    losses = [0.0] * 12 + [1.0]
    assert betting(losses, 0.0625) <= 0.5
    assert certified([losses, [0.0] * 13], 0.0625, 0.5) == 0
    assert certified([[0.0] * 13, losses], 0.0625, 0.5) == 1
    assert certified([[]], 0.0625, 0.5) == 0


def test_it_says_what_it_promises() -> None:
    assert str(guarantee(*typical(800))).startswith(
        "a mean loss of at most 0.01 nDCG@10 with confidence 90% where predicted gains of 0.0"
    )
    assert str(guarantee([0.1] * 5, [0.0] * 5)) == (
        "not feasible on this data: a mean loss of at most 0.01 nDCG@10 with confidence 90% cannot be had from 5 "
        "cases; it takes about 232"
    )
    assert "more cases of this kind would not help" in str(guarantee([0.1] * 500, [0.2] * 500))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"alpha": 0.0}, "between 0 and 1"),
        ({"confidence": 1.0}, "between 0 and 1"),
        ({"realised": [0.1, 1.5]}, "between -1 and 1"),
        ({"realised": [0.1, float("nan")]}, "between -1 and 1"),
        ({"predicted": [0.1, float("inf")]}, "finite"),
        ({"realised": [0.1]}, "zip"),
        ({"thresholds": [0.2, 0.1]}, "rise"),
    ],
)
def test_what_cannot_be_is_an_error(changed: dict[str, object], words: str) -> None:
    given = {"predicted": [0.1, 0.2], "realised": [0.1, 0.2]} | changed
    with pytest.raises(ValueError, match=words):
        guarantee(**given)  # type: ignore[arg-type]
