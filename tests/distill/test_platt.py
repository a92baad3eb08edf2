"""The fit of a calibration, against curves that are known."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.distill.platt import fit
from listwise.models.calibration import Calibration


@pytest.mark.parametrize(("slope", "intercept"), [(2.0, -1.0), (0.1, -6.0), (0.5, 0.0)])
def test_the_curve_that_made_the_judgements_is_found(slope: float, intercept: float) -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(-intercept / slope, 2 / slope, 20_000)
    true = Calibration(slope=slope, intercept=intercept)
    relevant = [rng.random() < true.probability(score) for score in scores]
    found = fit(list(scores), relevant)
    assert found.slope == pytest.approx(slope, rel=0.1)
    assert found.intercept == pytest.approx(intercept, rel=0.1, abs=0.1)


@given(st.floats(0.01, 100), st.floats(-100, 100))
def test_probabilities_do_not_depend_on_the_scale_of_scores(factor: float, shift: float) -> None:
    scores, relevant = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [False, False, True, False, True, True]
    plain, scaled = fit(scores, relevant), fit([factor * score + shift for score in scores], relevant)
    for score in scores:
        assert plain.probability(score) == pytest.approx(scaled.probability(factor * score + shift), abs=1e-3)


def test_the_mean_probability_is_the_share_of_the_relevant() -> None:
    rng = np.random.default_rng(2)
    scores = list(rng.normal(size=5000))
    relevant = [bool(rng.random() < 0.2) for _ in scores]
    found = fit(scores, relevant)
    assert np.mean([found.probability(score) for score in scores]) == pytest.approx(np.mean(relevant), abs=0.01)


def test_perfect_scores_stay_finite_and_infinite_ones_are_certain() -> None:
    found = fit([0.0, 1.0, 10.0, 11.0], [False, False, True, True])
    assert 0 < found.probability(0.0) < 0.5 < found.probability(11.0) < 1
    assert found.probability(inf) == 1
    assert found.probability(-inf) == 0


@pytest.mark.parametrize("relevant", [[True, True], [False, False]])
def test_what_cannot_be_fitted_is_refused(relevant: list[bool]) -> None:
    with pytest.raises(ValueError, match="needs relevant candidates"):
        fit([1.0, 2.0], relevant)
    with pytest.raises(ValueError, match="scores that differ"):
        fit([1.0, 1.0], [True, False])
