from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.eval.statistics import Interval, bootstrap, holm, paired


def test_the_t_test_gives_the_p_value_of_the_textbook() -> None:
    """Student's sleep data: t = 4.0621 with 9 degrees of freedom."""
    gains = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = paired(gains, test="t")
    assert found.p_value == pytest.approx(0.002833, abs=1e-6)
    assert (found.wins, found.losses) == (9, 0)
    assert paired([-gain for gain in gains], test="t").p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize(("differences", "p_value"), [([0.3], 1.0), ([0.0, 0.0], 1.0), ([0.5, 0.5], 0.0)])
def test_the_t_test_where_there_is_no_spread(differences: list[float], p_value: float) -> None:
    assert paired(differences, test="t").p_value == p_value


def test_the_randomisation_test_agrees_with_counting_all_signs() -> None:
    """Of the 16 ways to set signs, only the two that are all alike do as much."""
    assert paired([0.1, 0.2, 0.3, 0.4]).p_value == pytest.approx(2 / 16, abs=0.01)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_raises_p_values_keeps_their_order_and_leaves_one_alone(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))
    by_p = [q for _, q in sorted(zip(p_values, corrected, strict=True))]
    assert by_p == sorted(by_p)
    assert corrected[p_values.index(min(p_values))] == min(1.0, min(p_values) * len(p_values))


def test_an_interval_in_another_unit() -> None:
    assert Interval(0.1, -0.1, 0.3).times(10) == Interval(1.0, -1.0, 3.0)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    intervals = [bootstrap(list(rng.normal(0.5, 0.2, 50)), seed=at) for at in range(100)]
    assert 88 <= sum(each.low <= 0.5 <= each.high for each in intervals) <= 100
