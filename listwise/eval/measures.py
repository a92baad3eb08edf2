"""Measures of runs by ir-measures, which scores as trec_eval does, with bootstrap intervals and paired comparison.

A mean is over the queries that have judgements, as `trec_eval -c` takes it: a judged query that a run lacks counts
as zero, so that leaving out hard queries does not pay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from subprocess import CalledProcessError
from typing import Any

from listwise.errors import ConfigError, InputError, MissingExtra
from listwise.eval.statistics import Comparison, Interval, Test, bootstrap, holm, paired
from listwise.formats.trec import Qrels, Run, Scored


@dataclass(frozen=True, slots=True)
class Measured:
    """One run under one measure."""

    measure: str
    by_query: Mapping[str, float]
    """Over all judged queries, in the order of the judgements."""
    interval: Interval


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str]) -> list[Measured]:
    """Measure a run. Candidates go by their scores, and ties by docid, as trec_eval takes them (see `by_rank`).

    Args:
        measures: in ir-measures' notation, such as ``nDCG@10``, ``RR(rel=2)@10``, ``R@100``.

    Raises:
        ConfigError: a measure's name cannot be read, or ir-measures cannot compute it.
        InputError: run and judgements have no query in common.
        MissingExtra: ir-measures is not installed.
    """
    values = values_by_query(run, qrels, measures)
    return [
        Measured(name, by_query, bootstrap(list(by_query.values())))
        for name, by_query in zip(measures, values, strict=True)
    ]


def values_by_query(run: Run, qrels: Qrels, measures: Sequence[str]) -> list[Mapping[str, float]]:
    """For each measure its value on each judged query; arguments and errors as for `evaluate`."""
    try:
        import ir_measures
    except ImportError as error:
        raise MissingExtra("measuring runs", "eval") from error
    parsed = [_parsed(ir_measures, name) for name in measures]
    if not set(run) & set(qrels):
        raise InputError("run and judgements have no query in common")
    values = _values(ir_measures, parsed, run, qrels)
    return [values[measure] for measure in parsed]


def compare(measured: Measured, baseline: Measured, *, test: Test = "randomisation", seed: int = 0) -> Comparison:
    """Compare a run with a baseline under the same measure and judgements."""
    differences = [value - baseline.by_query[qid] for qid, value in measured.by_query.items()]
    return paired(differences, test=test, seed=seed)


def ranked(orders: Mapping[str, Sequence[str]]) -> Run:
    """A run of docids by qid, best first, with scores that fall by one: no tie can disturb it."""
    return {
        qid: [Scored(docid, float(len(docids) - at), at + 1) for at, docid in enumerate(docids)]
        for qid, docids in orders.items()
    }


def by_rank(run: Run) -> Run:
    """The run with scores that follow its ranks, for runs whose score column is another ranking's, or has ties."""
    return ranked({qid: [entry.docid for entry in entries] for qid, entries in run.items()})


def disordered(run: Run) -> int:
    """How many queries have scores that do not fall from rank to rank, so that trec_eval may take another order."""
    return sum(any(above.score <= below.score for above, below in pairwise(entries)) for entries in run.values())


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


__all__ = [
    "Comparison",
    "Interval",
    "Measured",
    "Test",
    "bootstrap",
    "by_rank",
    "compare",
    "disordered",
    "evaluate",
    "holm",
    "ranked",
    "values_by_query",
]
