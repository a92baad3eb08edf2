"""The benchmark of pacing: its plans keep to the cap, and its days are what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.benchmarks.pacing import Days, outcomes, table
from eval.benchmarks.pacing_days import (
    at_price,
    from_cases,
    price_for,
    refused_most,
    simulate,
    synthetic,
    until_spent,
)


@pytest.fixture(scope="module")
def days() -> Days:
    rng = np.random.default_rng(0)
    population = synthetic(rng, 3000)
    return Days(*(simulate(population, 20_000 + at, 3000, rng) for at in range(4)))


def test_no_plan_spends_more_than_the_cap(days: Days) -> None:
    found = list(outcomes(days, 0.3))
    assert len(found) == 3 * 4
    assert all(each.spent[-1] <= each.cap for each in found)
    gains = {(each.day_name, each.plan): each.gain for each in found}
    for name in {each.day_name for each in found}:
        assert gains[name, "paced"] > 2 * gains[name, "first come"]
    assert len(list(table(found))) == 2 + len(found)


def test_predictions_are_calibrated(days: Days) -> None:
    predicted, real = days.first.predicted, days.first.gains
    for option in range(3):
        slope, offset = np.polyfit(predicted[:, option], real[:, option], 1)
        assert slope == pytest.approx(1, abs=0.01)
        assert offset == pytest.approx(0, abs=0.001)
    assert np.corrcoef(predicted[:, 2], real[:, 2])[0, 1] == pytest.approx(0.4, abs=0.1)


def test_the_price_spends_the_cap(days: Days) -> None:
    day = days.first
    cap = 0.2 * day.bills[:, -1].sum()
    choice = at_price(day.predicted, day.expected, price_for(day.predicted, day.expected, day.bills, cap))
    assert 0.99 * cap < day.spends(choice).sum() <= cap
    assert price_for(day.predicted, day.expected, day.bills, 1e18) == 0


def test_who_comes_too_late_is_refused(days: Days) -> None:
    day = days.first
    all_of_it = at_price(day.predicted, day.expected, 0.0)
    half = until_spent(all_of_it, day, day.spends(all_of_it).sum() / 2)
    assert refused_most(day, all_of_it, all_of_it) == 0
    assert refused_most(day, half, all_of_it) == 1


def test_cases_are_drawn_from_a_file(tmp_path: Path) -> None:
    full = [
        {"tier": "llm", "depth": 100, "votes": 1, "ndcg": 0.7, "nano_usd": 900},
        {"tier": "llm", "depth": 20, "votes": 1, "ndcg": 0.5, "nano_usd": 100},
    ]
    cases = [{"local": 0.4, "options": full}, {"local": 0.6, "options": full}, {"local": 0.1, "options": full[:1]}]
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(map(json.dumps, cases)), encoding="utf-8")
    population = from_cases(path)
    assert [option.depth for option in population.options] == [20, 100]
    assert population.gains == pytest.approx(np.array([[0.1, 0.3], [-0.1, 0.1]]))
    assert population.nano_usd.tolist() == [[100, 900], [100, 900]]
