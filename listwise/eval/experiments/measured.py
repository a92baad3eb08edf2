"""The systems of one collection measured: intervals, ceilings, the baseline, groups of seeds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import fmean

from listwise.eval.ceilings import Ceiling, first_stage
from listwise.eval.experiments.jobs import Job
from listwise.eval.measures import Comparison, Measured, bootstrap, compare, evaluate, holm
from listwise.formats.trec import Qrels, Run


@dataclass(frozen=True, slots=True)
class Result:
    """One system, or the mean over a group of seeds, under one measure."""

    name: str
    measured: Measured
    ceiling: Ceiling | None = None
    """Of the system's candidates; None for a group whose systems differ in them."""
    comparison: Comparison | None = None
    """With the baseline."""
    p_corrected: float | None = None
    """Corrected (Holm) over all lines of the table that are compared with the baseline under this measure on this
    collection. A group of seeds is one line: its systems are replicates, not claims of their own, and have none."""
    seeds: int = 1
    """Systems that this is the mean of."""

    @property
    def binds(self) -> bool:
        """Whether the candidates, not their order, are what holds the system back."""
        return self.ceiling is not None and self.ceiling.binds(self.measured.interval)


def results_of(
    jobs: Sequence[Job], runs: Mapping[str, Run], measures: Sequence[str], baseline: str | None
) -> list[Result]:
    """All systems of one collection in the order of the table, a result for each measure, then all groups.

    Args:
        jobs: of one collection.
        runs: by the jobs' keys.
        baseline: a system or a group.

    Raises:
        ConfigError, InputError, MissingExtra: as for `listwise.eval.measures.evaluate`.
    """
    qrels = jobs[0].material.qrels
    ceilings = _Ceilings(qrels, measures)
    found: list[list[Result]] = []
    for job in jobs:
        measured = evaluate(runs[job.key], qrels, measures)
        best = ceilings.of(job, runs[job.key])
        found.append([Result(job.system.name, *each) for each in zip(measured, best, strict=True)])
    groups = list(_groups(jobs, found))
    grouped = {results[0].name for results in groups}
    replicates = {job.system.name for job in jobs if job.system.group in grouped}
    return _against([*found, *groups], baseline, replicates)


def _groups(jobs: Sequence[Job], found: Sequence[Sequence[Result]]) -> Iterator[list[Result]]:
    by_group: dict[str, list[Sequence[Result]]] = {}
    for job, results in zip(jobs, found, strict=True):
        by_group.setdefault(job.system.group, []).append(results)
    for group, members in by_group.items():
        if len(members) > 1:
            yield [_mean(group, alike) for alike in zip(*members, strict=True)]


def _mean(group: str, results: Sequence[Result]) -> Result:
    """Query by query over the seeds, so that the interval is over queries."""
    columns = [each.measured.by_query for each in results]
    values = {qid: fmean(column[qid] for column in columns) for qid in columns[0]}
    ceilings = {each.ceiling.best: each.ceiling for each in results if each.ceiling is not None}
    measured = Measured(results[0].measured.measure, values, bootstrap(list(values.values())))
    ceiling = next(iter(ceilings.values())) if len(ceilings) == 1 else None
    return Result(group, measured, ceiling, seeds=len(results))


def _against(found: Sequence[Sequence[Result]], baseline: str | None, replicates: Set[str]) -> list[Result]:
    """With comparisons, measure by measure."""
    base = next((results for results in found if results[0].name == baseline), None)
    if base is None:
        return [each for results in found for each in results]
    compared = [
        [
            None if results is base else compare(each.measured, of.measured)
            for each, of in zip(results, base, strict=True)
        ]
        for results in found
    ]
    lines = [results[0].name not in replicates for results in found]
    corrected = [_corrected(column, lines) for column in zip(*compared, strict=True)]
    return [
        replace(each, comparison=compared[row][at], p_corrected=corrected[at][row])
        for row, results in enumerate(found)
        for at, each in enumerate(results)
    ]


def _corrected(column: Sequence[Comparison | None], lines: Sequence[bool]) -> list[float | None]:
    family = [each if line else None for each, line in zip(column, lines, strict=True)]
    p_values = iter(holm([each.p_value for each in family if each is not None]))
    return [None if each is None else next(p_values) for each in family]


class _Ceilings:
    """Ceilings by candidates: re-rankings of one first stage to one depth have the same."""

    def __init__(self, qrels: Qrels, measures: Sequence[str]) -> None:
        self._qrels, self._measures = qrels, measures
        self._known: dict[tuple[str, int], Sequence[Ceiling]] = {}

    def of(self, job: Job, run: Run) -> Sequence[Ceiling]:
        if job.policy is None:
            return self._computed(run, None)
        key = job.system.first_stage, job.policy.depth
        if key not in self._known:
            self._known[key] = self._computed(run, job.policy.depth)
        return self._known[key]

    def _computed(self, run: Run, depth: int | None) -> Sequence[Ceiling]:
        return first_stage(run, self._qrels, self._measures, depth=depth).ceilings
