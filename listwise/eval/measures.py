"""Measures of runs by ir-measures, which scores as trec_eval does, with bootstrap intervals and paired comparison.

A mean is over the queries that have judgements, as `trec_eval -c` takes it: a judged query that a run lacks counts
as zero, so that leaving out hard queries does not pay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from listwise.errors import ConfigError, InputError, MissingExtra
from listwise.formats.trec import Qrels, Run

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One run under one measure."""

    measure: str
    by_query: Mapping[str, float]
    """Over all judged queries, in the order of the judgements."""
    interval: Interval


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str]) -> list[Measured]:
    """Measure a run.

    Args:
        measures: in ir-measures' notation, such as ``nDCG@10``, ``RR(rel=2)@10``, ``R@100``.

    Raises:
        ConfigError: a measure's name cannot be read.
        InputError: run and judgements have no query in common.
        MissingExtra: ir-measures is not installed.
    """
    try:
        import ir_measures
    except ImportError as error:
        raise MissingExtra("measuring runs", "eval") from error
    parsed = [_parsed(ir_measures, name) for name in measures]
    if not set(run) & set(qrels):
        raise InputError("run and judgements have no query in common")
    scores = {qid: {entry.docid: entry.score for entry in entries} for qid, entries in run.items()}
    values: dict[Any, dict[str, float]] = {measure: dict.fromkeys(qrels, 0.0) for measure in parsed}
    grades = {qid: dict(judged) for qid, judged in qrels.items()}
    for metric in ir_measures.iter_calc(parsed, grades, scores):
        values[metric.measure][metric.query_id] = metric.value
    return [
        Measured(name, values[measure], bootstrap(list(values[measure].values())))
        for name, measure in zip(measures, parsed, strict=True)
    ]


def bootstrap(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean (Efron 1979), over queries; the same seed gives the same interval."""
    import numpy as np

    sample = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = sample[rng.integers(0, len(sample), (RESAMPLES, len(sample)))].mean(axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(sample.mean()), float(low), float(high))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run against a baseline, query by query."""

    difference: Interval
    """Of the means, run minus baseline."""
    p_value: float
    """Two-sided paired randomisation test (Smucker et al. 2007): how often chance alone does as much."""
    wins: int
    losses: int


def compare(measured: Measured, baseline: Measured, *, seed: int = 0) -> Comparison:
    """Compare a run with a baseline under the same measure and judgements."""
    import numpy as np

    pairs = [(value, baseline.by_query[qid]) for qid, value in measured.by_query.items()]
    differences = np.asarray([ours - theirs for ours, theirs in pairs])
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], (RESAMPLES, len(differences)))
    by_chance = np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12
    return Comparison(
        bootstrap(list(differences), seed=seed),
        float((by_chance.sum() + 1) / (RESAMPLES + 1)),
        int((differences > 0).sum()),
        int((differences < 0).sum()),
    )


def _parsed(ir_measures: Any, name: str) -> Any:
    try:
        return ir_measures.parse_measure(name)
    except (ValueError, NameError, KeyError, TypeError, SyntaxError) as error:
        raise ConfigError(
            f"no measure {name!r}: write it as ir-measures does, such as nDCG@10 or RR(rel=2)"
        ) from error
