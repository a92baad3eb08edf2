"""Predicted gains, by hand; files of gain models; and the one that is shipped."""

from __future__ import annotations

import json
from itertools import pairwise
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import ConfigError
from listwise.routing.gain import FURTHEST, GainModel, Signal, along
from listwise.routing.offers import Option
from listwise.routing.reference import Reference
from tests.routing.gains import UNIT, by_margin, gain_model, line

TWO = {"margin": UNIT, "words": Signal(mean=10, spread=2, reference=Reference.of([8.0, 12.0]))}
MODEL = gain_model(line(20, 0.1, -0.03, 0.01), line(50, 0.12, 0.0, 0.02), signals=TWO)
D20, D50 = Option("llm", 20), Option("llm", 50)


def test_a_gain_is_the_mean_and_the_weighted_signals() -> None:
    assert MODEL.predict({"margin": 1.0, "words": 14}) == pytest.approx({D20: 0.1 - 0.03 + 0.02, D50: 0.12 + 0.04})


@pytest.mark.parametrize("missing", [{}, {"margin": nan}, {"margin": inf, "words": -inf}, {"another": 5.0}])
def test_a_signal_that_is_missing_or_no_number_says_nothing(missing: dict[str, float]) -> None:
    assert MODEL.predict(missing) == pytest.approx({D20: 0.1, D50: 0.12})


@given(st.floats(-1e300, 1e300))
def test_no_signal_counts_for_more_than_it_did_where_the_model_was_fitted(value: float) -> None:
    assert abs(MODEL.predict({"margin": value})[D20] - 0.1) <= 0.03 * FURTHEST + 1e-12


def test_reasons_add_up_to_the_gain_the_weightiest_first() -> None:
    signals = {"margin": 1.0, "words": 14.0}
    reasons = MODEL.reasons(signals, D20)
    assert [name for name, _ in reasons] == ["margin", "words"]
    assert 0.1 + sum(part for _, part in reasons) == pytest.approx(MODEL.predict(signals)[D20])
    assert MODEL.reasons(signals, Option("llm", 7)) == reasons


RISING = ((0.0, 0.02), (0.1, 0.06), (0.2, 0.26))


@given(
    st.dictionaries(st.sampled_from(["margin", "words", "other"]), st.floats(-1e6, 1e6)),
    st.sampled_from([D20, D50]),
)
def test_reasons_add_up_through_a_curve(signals: dict[str, float], option: Option) -> None:
    model = gain_model(*MODEL.options, signals=TWO, curve=RISING)
    beyond = model.predict(signals)[option] - model.predict({})[option]
    assert sum(part for _, part in model.reasons(signals, option)) == pytest.approx(beyond, abs=1e-9)


def test_what_it_leans_on_is_of_the_deepest_option() -> None:
    assert MODEL.leaning() == [("words", 0.02), ("margin", 0.0)]
    assert gain_model(*MODEL.options[:1], signals=TWO).leaning() == [("margin", -0.03), ("words", 0.01)]


def test_another_fit_has_another_name() -> None:
    changes: dict[str, Any] = {"curve": RISING, "note": "x", "gain_error": 0.1, "gain_per_disagreement": 0.5}
    others = [gain_model(*MODEL.options, signals=TWO, **{name: each}) for name, each in changes.items()]
    names = {each.name for each in (MODEL, *others)}
    assert len(names) == 5
    assert {name.partition("-")[0] for name in names} == {"hand"}


def test_what_drift_is_measured_against() -> None:
    fitted = gain_model(*MODEL.options, signals=TWO, gain_error=0.02, gain_per_disagreement=0.5).fitted
    assert (fitted.gain_error, fitted.gain_per_disagreement) == (0.02, 0.5)
    assert fitted.references == {name: known.reference for name, known in TWO.items()}


@given(st.floats(-2, 2))
def test_calibration_follows_its_curve(place: float) -> None:
    curve = ((0.0, 0.0), (0.5, 0.25), (1.0, 1.0))
    expected = 0.5 * place if place <= 0.5 else 0.25 + 1.5 * (place - 0.5)
    assert along(curve, place) == pytest.approx(expected, abs=1e-12)
    assert along((), place) == place


def test_an_option_that_reads_less_goes_by_the_line_that_reads_as_much() -> None:
    model = gain_model(line(50, 0.2), line(20, 0.1), line(20, 0.3, votes=3), line(30, 0.4, tier="x/y"))
    assert [model.line(Option("llm", depth)).depth for depth in (2, 20, 21, 50)] == [20, 20, 50, 50]
    assert model.line(Option("llm", 5, 3)).mean == 0.3
    assert model.line(Option("x/y", 5)).mean == 0.4
    for option in (Option("llm", 51), Option("llm", 5, 2), Option("z/z", 5)):
        with pytest.raises(KeyError):
            model.line(option)


def test_the_best_of_some_options_is_chosen_by_prediction_query_by_query() -> None:
    model = gain_model(
        line(20, 0.1, held_out=[(0.1, 0.0), (0.3, 0.5), (0.2, 0.2)]),
        line(50, 0.1, held_out=[(0.2, -0.1), (0.1, 0.9), (0.2, 0.3)]),
    )
    assert model.best_of([D20]) == [(0.1, 0.0), (0.2, 0.2), (0.3, 0.5)]
    assert model.best_of([D20, D50]) == [(0.2, -0.1), (0.2, 0.2), (0.3, 0.5)]
    assert model.held_out == model.best_of([D20, D50])


@given(st.floats(0, 1))
def test_so_large_a_share_reaches_a_threshold(share: float) -> None:
    model = by_margin(20, 50, held_out=10)
    for options in ([D20], [D20, D50]):
        above = [ours >= model.threshold(share, options) for ours, _ in model.best_of(options)]
        assert sum(above) == round(share * 10)


def test_a_model_without_weights_tells_nothing() -> None:
    assert not gain_model(line(20, 0.1)).told
    assert not gain_model(line(20, 0.1, 0.0)).told
    assert gain_model(line(20, 0.1), line(50, 0.1, 0.1)).told


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    MODEL.write(tmp_path / "router.json")
    again = GainModel.read(tmp_path / "router.json")
    assert again == MODEL
    assert again.name == MODEL.name != gain_model(line(20, 0.1)).name


def broken(**changes: Any) -> str:
    return json.dumps({**json.loads(MODEL.model_dump_json()), **changes})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "JSON"),
        (broken(version=2), "version: "),
        (broken(options=[]), "options: "),
        (broken(surplus=1), "surplus: "),
        (broken(signals={"margin": {"mean": 0, "spread": 0, "reference": {}}}), "signals.margin.spread: "),
        (broken(signals={}), "a line has one weight for each of the 0 signals, or none"),
        (broken(curve=[[0, 0]]), "a curve has at least two points"),
        (broken(curve=[[0, 0], [0, 1]]), "a curve has at least two points, from left to right"),
        (broken(curve=[[0, 1], [1, 0]]), "and never falls"),
        (broken(options=[{"tier": "llm", "depth": 5, "votes": 1, "mean": 0, "held_out": [[0, 2]]}]), "held_out"),
        (
            broken(
                options=[
                    {"tier": "llm", "depth": 5, "votes": 1, "mean": 0, "held_out": [[0, 1]]},
                    {"tier": "llm", "depth": 9, "votes": 1, "mean": 0},
                ]
            ),
            "different numbers of queries",
        ),
    ],
)
def test_a_file_that_is_no_router_is_named_with_the_place(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "router.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="no fitted router") as caught:
        GainModel.read(path)
    assert str(path) in str(caught.value)
    assert why in str(caught.value)


def test_a_router_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="no router 'nowhere': neither a file nor one of default"):
        GainModel.read("nowhere")


def test_the_shipped_router_tells_queries_apart_and_keeps_what_it_was_fitted_on() -> None:
    model = GainModel.read("default")
    assert model.told
    assert 0 < model.skill.low < model.skill.correlation < model.skill.high < 1
    assert model.skill.chance <= 0.025
    assert len(model.held_out) == model.skill.queries
    gains = [gain for _, gain in sorted((option.depth, gain) for option, gain in model.predict({}).items())]
    assert all(low < high for low, high in pairwise(gains))
    predicted = [ours for ours, _ in model.held_out]
    realised = [real for _, real in model.held_out]
    assert sum(predicted) == pytest.approx(sum(realised), rel=0.1)
    third = len(predicted) // 3
    assert sum(realised[-third:]) > 1.5 * sum(realised[:third])
    clear, ambiguous = ({"margin": at, "entropy": 1 - at} for at in (0.9, 0.1))
    assert max(model.predict(ambiguous).values()) > max(model.predict(clear).values())
