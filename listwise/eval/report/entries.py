"""The rows of the main table: systems, those that differ in their seed alone together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from listwise.eval.report.folder import Bill, Folder, System
from listwise.eval.statistics import Interval

FREE = ("first_stage", "local")
"""Kinds of systems that ask no API, and cost nothing where no total says otherwise."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a query takes, in the mean over queries and seeds, as if there were no cache."""

    usd: float | None
    """None where the price is not known."""
    tokens: float
    calls: float
    passages: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """One measure of an entry."""

    interval: Interval
    by_query: Mapping[str, float]
    """In the mean over seeds, by qid."""
    ceiling: float | None
    difference: Interval | None
    """To the baseline."""
    p: float | None
    """Corrected for the number of comparisons."""
    wins: int | None
    losses: int | None


@dataclass(frozen=True)
class Entry:
    """A system, or a group of systems that differ in their seed alone."""

    label: str
    members: Sequence[System]
    scores: Mapping[str, Score]
    """By measure."""
    cost: Cost | None
    """None where nothing is known of it: a recorded run."""

    @property
    def first(self) -> System:
        """Stands for the others wherever only one can be shown."""
        return self.members[0]

    @property
    def simulated(self) -> bool:
        """Whether a simulated ranker had a part in it."""
        return any(system.simulated for system in self.members)

    @property
    def baseline(self) -> bool:
        """Whether the others are compared with it."""
        return self.first.baseline

    @cached_property
    def name(self) -> str:
        """The label, which says so where it is simulated."""
        return f"{self.label} (simulated)" if self.simulated and "simulated" not in self.label else self.label


def entries(folder: Folder, collection: str) -> list[Entry]:
    """The rows of a collection in table order: a group at the place of its first seed."""
    groups: dict[str, list[System]] = {}
    for system in folder.systems:
        if system.collection == collection:
            groups.setdefault(system.group, []).append(system)
    return [_entry(folder, members) for members in groups.values()]


def seeds(folder: Folder, entry: Entry) -> list[Entry]:
    """An entry of several seeds as one entry a seed."""
    return [_entry(folder, [member]) for member in entry.members] if len(entry.members) > 1 else []


def _entry(folder: Folder, members: Sequence[System]) -> Entry:
    first = members[0]
    label = first.group if len(members) > 1 else first.system
    scores = {
        measure: Score(
            Interval(figure.mean, figure.low, figure.high),
            _mean_by_query(folder, members, measure),
            figure.ceiling,
            Interval(*figure.difference) if figure.difference is not None else None,
            figure.p_corrected,
            figure.wins,
            figure.losses,
        )
        for measure in folder.measures
        if (figure := folder.figures.get((first.collection, label, measure))) is not None
    }
    return Entry(label, tuple(members), scores, _cost(folder, members))


def _mean_by_query(folder: Folder, members: Sequence[System], measure: str) -> dict[str, float]:
    columns = [folder.values.get((system.collection, system.system, measure), {}) for system in members]
    known = [qid for qid in columns[0] if all(qid in column for column in columns)]
    return {qid: fmean(column[qid] for column in columns) for qid in known}


def _cost(folder: Folder, members: Sequence[System]) -> Cost | None:
    bills = [folder.bills.get((system.collection, system.system)) for system in members]
    known = [bill for bill in bills if bill is not None and (bill.priced or bill.calls)]
    queries = len(folder.queries[members[0].collection])
    if not known and members[0].kind in FREE:
        return Cost(0.0, 0.0, 0.0, 0.0, None)
    if not known or not queries:
        return None
    return Cost(
        usd=_mean([_usd(bill) for bill in known], queries),
        tokens=fmean(bill.input_tokens + bill.output_tokens for bill in known) / queries,
        calls=fmean(bill.calls for bill in known) / queries,
        passages=fmean(bill.passages_read for bill in known) / queries,
        seconds=_mean([bill.seconds for bill in known], queries),
    )


def _usd(bill: Bill) -> float | None:
    """As if nothing had come from a cache, as far as that is known."""
    if not bill.priced or (bill.bill_usd is None and bill.cache_hits):
        return None
    return float(bill.usd if bill.bill_usd is None else bill.bill_usd)


def _mean(values: Sequence[float | None], queries: int) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) / queries if len(known) == len(values) else None
