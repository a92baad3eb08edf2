from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.routing.reference import STEPS, Reference
from listwise.routing.significance import holm, kolmogorov_tail, student_quantile, student_tail

SAMPLES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)


def normal(count: int, seed: int, mean: float = 0.0, deviation: float = 1.0) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(mean, deviation) for _ in range(count)]


@given(SAMPLES)
def test_it_survives_its_file_and_is_no_distance_from_itself(values: list[float]) -> None:
    reference = Reference.of(values)
    assert Reference.from_json(json.loads(json.dumps(reference.to_json()))) == reference
    shift = reference.shift(values)
    assert shift.distance == pytest.approx(0, abs=1e-6)
    assert shift.p_value == pytest.approx(1)


@given(SAMPLES, SAMPLES)
def test_a_distance_is_at_most_that_of_kolmogorov_and_smirnov(one: list[float], other: list[float]) -> None:
    one, other = ([float(f"{value:.6g}") for value in each] for each in (one, other))

    def share(values: list[float], at: float) -> float:
        return sum(value <= at for value in values) / len(values)

    exact = max(abs(share(one, at) - share(other, at)) for at in (*one, *other))
    assert Reference.of(one).shift(other).distance <= exact + 1e-6


def test_its_quantiles_are_values_that_occurred() -> None:
    reference = Reference.of([*range(100), math.nan, math.inf])
    assert reference.count == 100
    assert reference.quantiles == (0, *range(4, 100, 5))
    assert reference.at_most == (0.01, *(step / STEPS for step in range(1, STEPS + 1)))
    assert reference.median == 49
    with pytest.raises(ValueError, match="without a value"):
        Reference.of([math.nan])


def test_ties_are_compared_exactly() -> None:
    """Two thirds of the values are 1, in the log with six digits and in the fit with all."""
    reference = Reference.of([1 / 3, 2 / 3, 2 / 3] * 50)
    assert reference.shift([0.333333, 0.666667, 0.666667] * 20).distance == pytest.approx(0, abs=1e-6)
    assert reference.shift([0.333333, 0.333333, 0.666667] * 20).distance == pytest.approx(1 / 3, abs=1e-6)


@pytest.mark.parametrize(
    ("mean", "deviation", "direction"),
    [(1, 1, "higher"), (-1, 1, "lower"), (0, 3, "more spread out"), (0, 0.3, "less spread out")],
)
def test_it_says_how_a_signal_has_moved(mean: float, deviation: float, direction: str) -> None:
    shift = Reference.of(normal(500, 1)).shift(normal(500, 2, mean, deviation))
    assert shift.p_value < 1e-6
    assert shift.direction == direction
    assert shift.medians == f"median {shift.fitted:.4g} when fitted, {shift.recent:.4g} now"


@pytest.mark.parametrize("ties", [False, True])
def test_chance_alone_is_called_so_as_often_as_it_says(ties: bool) -> None:
    """Two samples of the same kind, 1,500 times: tails are under a level as often as it says at most, but for two
    standard deviations."""
    draw = random.Random(0)

    def sample(count: int) -> list[float]:
        return [round(draw.gauss(0, 1), 0 if ties else 6) for _ in range(count)]

    tails = [Reference.of(sample(135)).shift(sample(200)).p_value for _ in range(1500)]
    for level in (0.05, 0.01):
        assert sum(tail <= level for tail in tails) / 1500 <= level + 2 * math.sqrt(level / 1500)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"count": 1, "quantiles": [1.0], "at_most": [1.0]},
        {"count": 1, "quantiles": [*range(21, 0, -1)], "at_most": [1.0] * 21},
        {"count": 0, "quantiles": [1.0] * 21, "at_most": [1.0] * 21},
        {"count": 1, "quantiles": None, "at_most": [1.0] * 21},
    ],
)
def test_what_is_no_reference_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no reference of a signal"):
        Reference.from_json(broken)


def test_tails_are_those_of_the_tables() -> None:
    for x, tail in ((1.224, 0.1), (1.358, 0.05), (1.628, 0.01), (1.949, 0.001)):
        assert kolmogorov_tail(x) == pytest.approx(tail, rel=0.01)
    assert kolmogorov_tail(0) == 1
    for degrees, t in ((2, 4.303), (4, 2.776), (10, 2.228), (100, 1.984)):
        assert student_tail(t, degrees) == pytest.approx(0.05, abs=0.005)
        assert student_quantile(student_tail(t, degrees), degrees) == pytest.approx(t)
    assert student_tail(math.inf, 3) == 0


@pytest.mark.parametrize(
    ("p_values", "fallen"),
    [
        ({"a": 0.01, "b": 0.02, "c": 0.04}, {"a", "b", "c"}),
        ({"a": 0.01, "b": 0.03, "c": 0.04}, {"a"}),
        ({"a": 0.02, "b": 0.02, "c": 0.02}, set()),
        ({}, set()),
    ],
)
def test_holm(p_values: dict[str, float], fallen: set[str]) -> None:
    assert holm(p_values, 0.05) == fallen
