from __future__ import annotations

import json
from math import comb
from pathlib import Path
from random import Random

import pytest

from eval.benchmarks.guarantee import (
    at_most,
    at_the_bound,
    harmless,
    hoeffding_bentkus,
    interval,
    measure,
    read,
    true_of,
    typical,
)
from listwise.routing.guarantee import THRESHOLDS


def test_a_promise_is_kept_where_any_saving_breaks_it() -> None:
    """At 240 cases a sample without any of the losses comes up in 9 of 100 draws, and nothing can tell."""
    population = at_the_bound(0.01, Random(7))
    assert min(loss for share, loss in (true_of(population, each) for each in THRESHOLDS) if share < 1) > 0.01
    row = measure(population, 240, 0.01, 0.9, 300)
    assert row.broken == row.feasible
    assert 0.04 <= row.broken / 300 <= 0.13


def test_a_promise_saves_where_nothing_is_lost_and_is_kept_where_much_is() -> None:
    saving = measure(harmless(0.01, Random(7)), 400, 0.01, 0.9, 50)
    assert (saving.broken, saving.feasible) == (0, 50)
    assert saving.escalated < 0.1
    real = measure(typical(0.01, Random(7)), 500, 0.01, 0.9, 100)
    assert real.broken <= 10
    assert real.escalated < 0.95
    assert measure(typical(0.01, Random(7)), 500, 0.01, 0.9, 20, hoeffding_bentkus).feasible == 0


@pytest.mark.parametrize(("successes", "trials", "low", "high"), [(0, 10, 0, 0.3085), (5, 10, 0.1871, 0.8129)])
def test_intervals_are_those_of_the_tables(successes: int, trials: int, low: float, high: float) -> None:
    assert interval(successes, trials) == pytest.approx((low, high), abs=1e-4)
    assert interval(trials, trials) == pytest.approx((0.6915, 1), abs=1e-4)


def test_the_binomial_distribution_adds_up() -> None:
    assert at_most(3, 12, 0.2) == pytest.approx(sum(comb(12, k) * 0.2**k * 0.8 ** (12 - k) for k in range(4)))
    assert at_most(12, 12, 0.2) == pytest.approx(1)


def test_a_signal_stands_in_for_a_prediction(tmp_path: Path) -> None:
    rng = Random(1)
    lines = [
        {
            "local": 0.4,
            "signals": {"margin": margin},
            "options": [
                {"tier": "llm", "depth": 20, "votes": 1, "ndcg": 0.6 - margin, "nano_usd": 1},
                {"tier": "llm", "depth": 100, "votes": 1, "ndcg": 0.7 - margin, "nano_usd": 5},
            ],
        }
        for margin in (rng.uniform(0, 0.2) for _ in range(100))
    ]
    path = tmp_path / "cases.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    population = read(path, "margin", None)
    in_order = sorted(zip(population.predicted, population.gains, strict=True))
    assert [gain for _, gain in in_order] == sorted(population.gains)
    assert min(population.gains) > 0.09
    assert read(path, "margin", 0).gains == pytest.approx([gain - 0.1 for gain in population.gains])
    assert list(population.thresholds) == sorted(population.thresholds)
    path.write_text(json.dumps(lines[0] | {"predicted": 0.17}))
    assert (read(path, None, None).predicted, read(path, None, None).thresholds) == ([0.17], THRESHOLDS)
