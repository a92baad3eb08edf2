"""What is in a collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from statistics import fmean, median
from typing import Any

from listwise.eval.collections.base import Collection
from listwise.eval.measures import evaluate
from listwise.formats import Qrels, Run


@dataclass(frozen=True, slots=True)
class Lengths:
    """Numbers of words, split at white space."""

    texts: int
    mean: float
    median: float
    long: int
    """One text in twenty is longer (or one at all, of fewer)."""
    longest: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run, and how it does on the judged queries."""

    name: str
    queries: int
    depth: int
    """The most candidates of a query."""
    recall: float | None
    """R@100; None without judgements, or without judged queries in the run."""
    ndcg: float | None
    """nDCG@10."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What is in a collection."""

    name: str
    queries: int
    query_lengths: Lengths
    judged: int
    """Queries with judgements."""
    grades: dict[int, int]
    """How many judgements there are of each grade."""
    passages: int | None
    """None where that is known only after reading more than was asked for."""
    passage_lengths: Lengths | None
    """Of the passages that were read; None if none were."""
    runs: tuple[RunSummary, ...]


def summarise(collection: Collection, *, read: int) -> Summary:
    """Look at a collection.

    Args:
        read: passages to read at most, the first ones, for their number and lengths; 0 reads none.

    Raises:
        ConfigError, InputError, MissingExtra: as the collection's methods, and `evaluate`.
    """
    texts, qrels = collection.queries(), collection.qrels()
    words = [len(passage.text.split()) for _, passage in islice(collection.stream(), read + 1)] if read else []
    known = collection.passage_count()
    return Summary(
        name=collection.name,
        queries=len(texts),
        query_lengths=_lengths(len(text.split()) for text in texts.values()),
        judged=len(qrels),
        grades=dict(sorted(Counter(grade for grades in qrels.values() for grade in grades.values()).items())),
        passages=len(words) if 0 < len(words) <= read else known,
        passage_lengths=_lengths(words[:read]) if words else None,
        runs=tuple(_run_summary(name, collection.run(name), qrels) for name in collection.runs()),
    )


def _run_summary(name: str, run: Run, qrels: Qrels) -> RunSummary:
    recall: Any = None
    ndcg: Any = None
    if set(run) & set(qrels):
        recall, ndcg = (each.interval.mean for each in evaluate(run, qrels, ["R@100", "nDCG@10"]))
    return RunSummary(name, len(run), max(map(len, run.values())), recall, ndcg)


def _lengths(words: Iterable[int]) -> Lengths:
    found = sorted(words)
    return Lengths(len(found), fmean(found), median(found), found[int(0.95 * (len(found) - 1))], found[-1])
