"""Fits to cases whose gains are known: what is planted is found, and what is not there is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listwise.errors import InputError
from listwise.routing import crossfit
from listwise.routing.cases import Case, Outcome
from listwise.routing.crossfit import Data, calibration_error, correlation, cross_fit, ridge
from listwise.routing.disagreement import GAIN_PER_DISAGREEMENT
from listwise.routing.fitting import ISOTONIC_FROM, MANY, Fit
from listwise.routing.fitting import fit as fitted
from listwise.routing.offers import Option

D20, D50 = Option("llm", 20), Option("llm", 50)
Gain = Callable[[float, float], float]
"""Of two signals, both standard normal."""


def cases_of(count: int, gain: Gain, *, noise: float = 0.1, seed: int = 0, deeper: float = 0.05) -> list[Case]:
    rng = np.random.default_rng(seed)
    made = []
    for at in range(count):
        margin, skew, error = map(float, rng.normal(size=3))
        gained = gain(margin, skew) + noise * error
        outcomes = (Outcome(D20, 0.5 + gained, 10), Outcome(D50, 0.5 + gained + deeper, 20))
        made.append(Case(f"q{at}", {"margin": margin, "skew": skew}, 0.5, outcomes, "made"))
    return made


def fit(cases: Sequence[Case], **more: object) -> Fit:
    return fitted(cases, fitted_on="made", llm="none", scorer="none", **more)  # type: ignore[arg-type]


def linear(margin: float, skew: float) -> float:
    return 0.1 - 0.03 * margin + 0.02 * skew


def test_planted_gains_are_found() -> None:
    done = fit(cases_of(800, linear, noise=0.05))
    model = done.model
    assert model.told
    assert model.skill.queries == 800
    assert model.skill.chance == 1 / (1 + crossfit.DEALS)
    truth = [linear(margin, skew) for margin, skew in ((-1, 0), (1, 0), (0, -1), (0, 1), (1, -1))]
    told = [
        model.predict({"margin": margin, "skew": skew})
        for margin, skew in ((-1, 0), (1, 0), (0, -1), (0, 1), (1, -1))
    ]
    assert [each[D20] for each in told] == pytest.approx(truth, abs=0.015)
    assert [each[D50] - each[D20] for each in told] == pytest.approx([0.05] * 5, abs=0.015)


def test_how_much_predictions_differ_is_how_much_gains_do_and_not_how_much_options_do() -> None:
    """A heavy penalty leaves the direction only; the size of the weights is fitted within each option."""
    done = fit(cases_of(135, linear, noise=0.15, deeper=0.3))
    assert done.model.told
    for option in (D20, D50):
        ours, real = done.predicted[option], done.realised[option]
        slope = float(np.polyfit(ours, real, 1)[0])
        assert slope == pytest.approx(1, abs=0.05)
        assert float(ours.mean()) == pytest.approx(float(real.mean()), abs=0.01)


@pytest.mark.parametrize("count", [40, pytest.param(135, marks=pytest.mark.slow)])
def test_pure_noise_is_refused(count: int) -> None:
    told = 0
    for seed in range(30):
        model = fit(cases_of(count, lambda margin, skew: 0.1, noise=0.2, seed=seed), seed=seed).model
        told += model.told
        if not model.told:
            assert {line.weights for line in model.options} == {()}
            assert model.curve == ()
            assert model.predict({"margin": 3.0}) == model.predict({})
    assert told <= 4  # 0.75 are expected by chance; more than 4 come once in a thousand such tests


def test_what_noise_refuses_predicts_the_mean() -> None:
    done = fit(cases_of(40, lambda margin, skew: 0.1, noise=0.2))
    for option in (D20, D50):
        assert done.model.predict({})[option] == pytest.approx(float(done.realised[option].mean()), rel=1e-4)
        assert len(set(done.predicted[option].tolist())) == 1


def test_several_llms_of_a_query_never_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of a query say nothing that was not said: noise stays noise, and figures stay the same."""
    once = cases_of(60, lambda margin, skew: 0.1, noise=0.2)
    eight = [replace(case, llm=f"sim/{at}") for case in once for at in range(8)]
    alone, together = fit(once), fit(eight)
    assert together.model == alone.model
    assert together.queries == alone.queries
    seen: list[tuple[int, int]] = []
    whole = crossfit.ridge

    def watched(data: Data, penalty: float) -> crossfit.Floats:
        seen.append(data.rows.shape)
        return whole(data, penalty)

    monkeypatch.setattr(crossfit, "ridge", watched)
    fit(eight)
    assert {shape[0] for shape in seen} == {54}  # nine tenths of the queries, and not of the cases


def test_llms_that_differ_are_averaged() -> None:
    weak, strong = cases_of(60, linear), cases_of(60, lambda *signals: linear(*signals) + 0.2)
    both = fit([*weak, *(replace(case, llm="strong") for case in strong)])
    expected = (fit(weak).realised[D20] + fit(strong).realised[D20]) / 2
    assert both.realised[D20] == pytest.approx(expected)


def test_a_case_counts_for_as_many_as_it_stands_for() -> None:
    few = cases_of(30, lambda margin, skew: 0.0, noise=0.0)
    many = [replace(case, qid=f"w{case.qid}", weight=3.0) for case in cases_of(30, lambda *_: 0.2, noise=0.0)]
    model = fit([*few, *many]).model
    assert model.predict({})[D20] == pytest.approx(0.15)
    thrice = [replace(case, qid=f"{case.qid}{at}", weight=1.0) for case in many for at in range(3)]
    assert fit([*few, *thrice]).model.predict({})[D20] == pytest.approx(0.15)


def test_only_ratios_of_weights_matter() -> None:
    cases = cases_of(60, linear)
    assert fit([replace(case, weight=4.0) for case in cases]).model == fit(cases).model


def test_the_same_qid_of_another_collection_is_another_query() -> None:
    cases = cases_of(40, linear)
    assert fit([*cases, *(replace(case, collection="other") for case in cases)]).model.skill.queries == 80


def test_the_order_of_options_does_not_matter() -> None:
    cases = cases_of(60, linear)
    turned = [replace(case, outcomes=case.outcomes[::-1]) if at % 2 else case for at, case in enumerate(cases)]
    assert fit(turned).model == fit(cases).model


def test_weak_signals_are_shrunk_rather_than_believed() -> None:
    """Where noise is four times as large as what is planted, what is predicted comes true, in the mean of fits."""
    slopes = []
    for seed in range(10):
        model = fit(cases_of(300, linear, noise=0.15, seed=seed)).model
        if model.told:
            fresh = cases_of(1000, linear, noise=0.0, seed=seed + 100)
            ours = np.array([model.predict(case.signals)[D20] for case in fresh])
            slopes.append(float(np.polyfit(ours, [case.gain(case.outcomes[0]) for case in fresh], 1)[0]))
    assert len(slopes) > 3
    assert 0.7 < float(np.mean(slopes)) < 1.6


@pytest.mark.parametrize("count", [1, 2, 3, 9, 19])
def test_few_queries_tell_nothing_however_clear_they_seem(count: int) -> None:
    model = fit(cases_of(count, linear, noise=0.0)).model
    assert not model.told
    assert model.skill.chance == 1
    assert model.skill.queries == count


def test_signals_that_are_rare_or_always_the_same_are_left_out() -> None:
    cases = [
        replace(case, signals={**case.signals, "entropy": 1.0, **({"likely": float(at)} if at % 3 == 0 else {})})
        for at, case in enumerate(cases_of(60, linear))
    ]
    assert set(fit(cases).model.signals) == {"margin", "skew"}
    nothing = fit([replace(case, signals={}) for case in cases]).model
    assert (nothing.signals, nothing.told) == ({}, False)
    assert set(fit(cases, names=["skew", "likely"]).model.signals) == {"skew"}


def test_all_signals_are_used_of_many_queries_only() -> None:
    cases = [
        replace(case, signals={**case.signals, "words": float(at % 7)})
        for at, case in enumerate(cases_of(MANY, linear))
    ]
    assert "words" in fit(cases).model.signals
    assert "words" not in fit(cases[:-1]).model.signals


@given(st.integers(0, 10**6))
@settings(max_examples=10)
def test_calibration_never_falls(seed: int) -> None:
    done = fit(cases_of(ISOTONIC_FROM, lambda margin, skew: 0.1 * np.tanh(3 * margin), noise=0.2, seed=seed))
    assert done.model.told
    curve = done.model.curve
    assert len(curve) >= 2
    assert all(left < right and low <= high for (left, low), (right, high) in pairwise(curve))
    ours, real = (np.concatenate(list(each.values())) for each in (done.predicted, done.realised))
    assert float(ours.mean()) == pytest.approx(float(real.mean()), abs=0.01)


def test_predictions_that_are_tied_make_a_curve_all_the_same() -> None:
    cases = [
        replace(case, signals={"margin": round(case.signals["margin"])})
        for case in cases_of(ISOTONIC_FROM, linear, noise=0.02)
    ]
    model = fit(cases).model
    gains = [model.predict({"margin": float(at)})[D20] for at in range(-2, 3)]
    assert gains == sorted(gains, reverse=True)
    assert len(set(gains)) > 2


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_a_curve_is_no_steeper_for_signals_with_few_values(levels: int) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        steps = rng.integers(0, levels, ISOTONIC_FROM).tolist()
        cases = [
            replace(case, signals={"margin": -0.3 * step}, outcomes=(Outcome(D20, 0.6 + 0.05 * step + error),))
            for case, step, error in zip(
                cases_of(ISOTONIC_FROM, linear, seed=seed),
                steps,
                rng.normal(0, 0.1, ISOTONIC_FROM).tolist(),
                strict=True,
            )
        ]
        slopes = [(high - low) / (right - left) for (left, low), (right, high) in pairwise(fit(cases).model.curve)]
        assert all(slope < 6 for slope in slopes)
        assert slopes


def test_what_is_held_out_is_what_was_predicted_and_realised() -> None:
    done = fit(cases_of(60, linear))
    for line in done.model.options:
        ours, real = zip(*line.held_out, strict=True)
        assert ours == pytest.approx(done.predicted[line.option], rel=1e-5, abs=1e-6)
        assert real == pytest.approx(done.realised[line.option], rel=1e-5, abs=1e-6)


def test_a_unit_of_disagreement_is_worth_what_was_measured() -> None:
    """So that what is told of later queries by how much the LLM disagrees has the mean that was measured."""
    draw = np.random.default_rng(0)
    cases = [
        replace(
            case,
            weight=weight,
            outcomes=tuple(
                replace(each, disagreement=part) for each, part in zip(case.outcomes, parts, strict=True)
            ),
        )
        for case, weight, *parts in zip(
            cases_of(40, linear), draw.uniform(1, 3, 40), *draw.uniform(0.2, 0.8, (2, 40)), strict=True
        )
    ]
    worth = fit(cases).model.gain_per_disagreement
    pairs = [(case.weight, case.gain(each), each.disagreement or 0.0) for case in cases for each in case.outcomes]
    assert sum(weight * worth * part for weight, _, part in pairs) == pytest.approx(
        sum(weight * gain for weight, gain, _ in pairs), rel=1e-4
    )
    assert fit(cases, gain_per_disagreement=0.5).model.gain_per_disagreement == 0.5
    for few in (cases[:19], cases_of(40, linear)):
        assert fit(few).model.gain_per_disagreement == GAIN_PER_DISAGREEMENT


def test_the_same_cases_make_the_same_model() -> None:
    cases = cases_of(60, linear)
    assert fit(cases).model == fit(cases).model
    assert fit(cases).model.name == fit(cases).model.name


def test_cases_must_be_there_and_have_the_same_options() -> None:
    with pytest.raises(InputError, match="no routing cases"):
        fit([])
    one, two = cases_of(2, linear)
    with pytest.raises(InputError, match="query 'q1': its options are not those of query 'q0'"):
        fit([one, replace(two, outcomes=two.outcomes[:1])])


def test_ridge_is_least_squares_without_a_penalty_and_the_correlation_with_all_of_it() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 2))
    data = Data(rows, rows @ np.array([[2.0], [-1.0]]) + 5, np.ones(200))
    assert ridge(data, 0.0).ravel() == pytest.approx([2, -1])
    heavy = ridge(data, 1e9).ravel() * 1e9
    centered = rows - rows.mean(0)
    assert heavy == pytest.approx((centered.T @ (data.gains - data.means)).ravel(), rel=1e-4)


def test_what_is_predicted_of_a_query_does_not_depend_on_its_gain() -> None:
    rng = np.random.default_rng(0)
    rows, gains = rng.normal(size=(50, 2)), rng.normal(size=(50, 1))
    moved = gains.copy()
    moved[0] += 10
    data = Data(rows, gains - gains.mean(), np.ones(50))
    other = data._replace(gains=moved - moved.mean())
    before, after = (crossfit._predicted(each, np.random.default_rng(1))[-1][0, 0] for each in (data, other))
    assert after == pytest.approx(before, abs=1e-3)


def test_weighted_correlation_and_calibration_error_by_hand() -> None:
    ours, real = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 5.0])
    assert correlation(ours, real, np.array([1.0, 1.0, 0.0])) == pytest.approx(1)
    assert correlation(ours, -ours, np.ones(3)) == pytest.approx(-1)
    assert correlation(ours, np.ones(3), np.ones(3)) == 0
    assert calibration_error(ours, real) == pytest.approx(1)
    assert calibration_error(np.ones(4), np.array([0.0, 2.0, 0.0, 2.0])) == 0


def test_a_penalty_is_chosen_by_what_it_says_of_unseen_queries() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 12))
    gains = rows @ rng.normal(size=(12, 1))
    crossed = cross_fit(Data(rows, gains, np.ones(400)), np.random.default_rng(1))
    assert crossed.penalty < crossfit.PENALTIES[4]
    assert correlation(crossed.predicted[:, 0], gains[:, 0], np.ones(400)) > 0.99
