"""Measures of runs by ir-measures, which scores as trec_eval does, with bootstrap intervals and paired comparison.

A mean is over the queries that have judgements, as `trec_eval -c` takes it: a judged query that a run lacks counts
as zero, so that leaving out hard queries does not pay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from subprocess import CalledProcessError
from typing import Any

from listwise.errors import ConfigError, InputError, MissingExtra
from listwise.formats.trec import Qrels, Run

RESAMPLES = 10_000
DRAWS_AT_ONCE = 1_000_000
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
        ConfigError: a measure's name cannot be read, or ir-measures cannot compute it.
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
    values = _values(ir_measures, parsed, run, qrels)
    return [
        Measured(name, values[measure], bootstrap(list(values[measure].values())))
        for name, measure in zip(measures, parsed, strict=True)
    ]


def bootstrap(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean (Efron 1979), over queries; the same seed gives the same interval."""
    import numpy as np

    sample = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [sample[rng.integers(0, len(sample), (rows, len(sample)))].mean(axis=1) for rows in _batches(len(sample))]
    )
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
    by_chance = 0
    for rows in _batches(len(differences)):
        signs = rng.choice([-1.0, 1.0], (rows, len(differences)))
        means = (signs * differences).mean(axis=1)
        by_chance += int((np.abs(means) >= abs(differences.mean()) - 1e-12).sum())
    return Comparison(
        bootstrap(list(differences), seed=seed),
        (by_chance + 1) / (RESAMPLES + 1),
        int((differences > 0).sum()),
        int((differences < 0).sum()),
    )


def _parsed(ir_measures: Any, name: str) -> Any:
    try:
        measure = ir_measures.parse_measure(name)
        measure.validate_params()
    except (ValueError, NameError, KeyError, TypeError, SyntaxError, AssertionError) as error:
        raise ConfigError(
            f"no measure {name!r}: write it as ir-measures does, such as nDCG@10 or RR(rel=2) ({error})"
        ) from error
    for limit in ("cutoff", "rel"):
        if measure.params.get(limit, 1) < 1:  # trec_eval would abort the whole process
            raise ConfigError(f"no measure {name!r}: its {limit} must be at least 1")
    return measure


def _values(ir_measures: Any, measures: Sequence[Any], run: Run, qrels: Qrels) -> dict[Any, dict[str, float]]:
    """Values by measure and qid, over all judged queries.

    Queries go by number, because gdeval (``ERR``) takes no other names. It reports its own mean as a query, too,
    which is left out.
    """
    qids = {str(at): qid for at, qid in enumerate(qrels, 1)}
    grades = {number: dict(qrels[qid]) for number, qid in qids.items()}
    scores = {
        number: {entry.docid: entry.score for entry in run[qid]} for number, qid in qids.items() if run.get(qid)
    }
    values: dict[Any, dict[str, float]] = {measure: dict.fromkeys(qrels, 0.0) for measure in measures}
    try:
        for metric in ir_measures.iter_calc(measures, grades, scores):
            if metric.query_id in qids:
                values[metric.measure][qids[metric.query_id]] = metric.value
    except (ValueError, TypeError, ArithmeticError, RuntimeError, OSError, CalledProcessError) as error:
        names = ", ".join(map(str, measures))
        raise ConfigError(f"ir-measures cannot compute {names}: {error}") from error
    return values


def _batches(queries: int) -> Iterator[int]:
    """Resamples to draw at once, so that thousands of queries need no gigabytes."""
    size = max(1, DRAWS_AT_ONCE // max(1, queries))
    for start in range(0, RESAMPLES, size):
        yield min(size, RESAMPLES - start)
