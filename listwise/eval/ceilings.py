"""How good any re-ranking of a first stage's candidates can be, and whether that is what holds a run back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from listwise.eval.measures import Interval, ranked, values_by_query
from listwise.formats.trec import Qrels, Run

NEAR = 0.95
"""The share of its ceiling from which a run is said to be held back by it."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The best that any order of the candidates can reach under one measure, as a mean over judged queries."""

    measure: str
    by_query: Mapping[str, float]
    """The candidates in the order of their grades, highest first, those without a judgement last."""
    best: float
    worst: float
    """The same order backwards: where it is as good as the best, the order does not matter."""
    perfect: float
    """All judged documents in the order of their grades, whether or not the first stage found them."""

    def binds(self, reached: Interval) -> bool:
        """Whether the first stage, not the re-ranker, is what holds a run back.

        It is where the order matters, documents are missing that would help, and the run has got `NEAR` of the
        ceiling, or the ceiling lies within its interval.
        """
        matters, missing = self.best - self.worst > 1e-9, self.perfect - self.best > 1e-9
        return matters and missing and (reached.mean >= NEAR * self.best or reached.high >= self.best)


@dataclass(frozen=True, slots=True)
class FirstStage:
    """What a first stage leaves a re-ranker to work with."""

    depth: int
    """The most candidates that it has for a judged query."""
    recall: float
    """``R@depth``: the share of all relevant documents, grade 1 or more, among the candidates. No re-ranking
    changes it."""
    ceilings: tuple[Ceiling, ...]
    """One a measure, in the order asked for."""


def first_stage(run: Run, qrels: Qrels, measures: Sequence[str], *, depth: int | None = None) -> FirstStage:
    """The recall of a run's candidates, and the ceilings of their re-rankings.

    Args:
        run: the first stage's run, or a re-ranking of it that lost none.
        depth: only the first so many candidates of each query, by rank.

    Raises:
        ConfigError, InputError, MissingExtra: as for `listwise.eval.measures.evaluate`.
    """
    candidates = {qid: [entry.docid for entry in run.get(qid, ())[:depth]] for qid in qrels}
    best = {qid: _by_grade(docids, qrels[qid]) for qid, docids in candidates.items()}
    worst = {qid: docids[::-1] for qid, docids in best.items()}
    perfect = {qid: _by_grade(list(grades), grades) for qid, grades in qrels.items()}
    deepest = max(map(len, candidates.values()), default=0)
    names = [*measures, f"R@{max(1, deepest)}"]
    # A ranking without documents is none at all: those queries count as zero.
    by_order = [
        values_by_query(ranked({qid: docids for qid, docids in order.items() if docids}), qrels, names)
        for order in (best, worst, perfect)
    ]
    ceilings = tuple(
        Ceiling(name, top, *(fmean(values.values()) for values in (top, bottom, all_found)))
        for name, top, bottom, all_found in zip(measures, *(values[:-1] for values in by_order), strict=True)
    )
    return FirstStage(deepest, fmean(by_order[0][-1].values()), ceilings)


def strangers(run: Run, first: Run) -> int:
    """How many documents of a run, over all queries, a first stage lacks: 0 if it is a re-ranking of it."""
    found = {qid: {entry.docid for entry in entries} for qid, entries in first.items()}
    return sum(entry.docid not in found.get(qid, ()) for qid, entries in run.items() for entry in entries)


def _by_grade(docids: Sequence[str], grades: Mapping[str, int]) -> list[str]:
    return sorted(docids, key=lambda docid: -grades[docid] if docid in grades else float("inf"))
