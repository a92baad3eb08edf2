"""The rows of the main table: systems, those that differ in their seed alone together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from listwise.eval.measures import Interval, bootstrap
from listwise.eval.report.folder import Bill, Folder, System

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

    measure: str
    interval: Interval
    by_query: Mapping[str, float]
    """In the mean over seeds, by qid."""
    ceiling: float | None
    difference: Interval | None
    """To the baseline."""
    p: float | None
    """Corrected for the number of comparisons; of several seeds the largest."""
    wins: float | None
    losses: float | None


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
    baseline = next((members for members in groups.values() if members[0].baseline), None)
    return [entry_of(folder, members, baseline) for members in groups.values()]


def seeds(folder: Folder, entry: Entry) -> list[Entry]:
    """An entry of several seeds as one entry a seed."""
    return [entry_of(folder, [member], None) for member in entry.members] if len(entry.members) > 1 else []


def entry_of(folder: Folder, members: Sequence[System], baseline: Sequence[System] | None) -> Entry:
    """Put systems together; ``baseline`` is needed for differences of several."""
    first = members[0]
    label = first.group if len(members) > 1 else first.system
    found = {name: _score(folder, members, baseline, name) for name in folder.measures}
    scores = {name: score for name, score in found.items() if score is not None}
    return Entry(label, tuple(members), scores, _cost(folder, members))


def _score(
    folder: Folder, members: Sequence[System], baseline: Sequence[System] | None, measure: str
) -> Score | None:
    """A single system's figures are those of the folder; the mean of several is bootstrapped here."""
    keys = [(system.collection, system.system, measure) for system in members]
    figures = [folder.figures[key] for key in keys if key in folder.figures]
    if not figures:
        return None
    by_query = _mean_by_query(folder, members, measure)
    first = figures[0]
    interval = Interval(first.mean, first.low, first.high)
    difference = Interval(*first.difference) if first.difference is not None else None
    if len(figures) > 1 and by_query:
        interval = bootstrap(list(by_query.values()))
        if first.difference is not None and baseline is not None:
            base = _mean_by_query(folder, baseline, measure)
            difference = bootstrap([value - base[qid] for qid, value in by_query.items() if qid in base])
    ceilings = [figure.ceiling for figure in figures if figure.ceiling is not None]
    ps = [figure.p_corrected for figure in figures if figure.p_corrected is not None]
    wins = [figure.wins for figure in figures if figure.wins is not None]
    losses = [figure.losses for figure in figures if figure.losses is not None]
    return Score(
        measure,
        interval,
        by_query,
        fmean(ceilings) if ceilings else None,
        difference,
        max(ps, default=None),
        fmean(wins) if wins else None,
        fmean(losses) if losses else None,
    )


def _mean_by_query(folder: Folder, members: Sequence[System], measure: str) -> dict[str, float]:
    columns = [folder.values.get((system.collection, system.system, measure), {}) for system in members]
    known = [qid for qid in columns[0] if all(qid in column for column in columns)]
    return {qid: fmean(column[qid] for column in columns) for qid in known}


def _cost(folder: Folder, members: Sequence[System]) -> Cost | None:
    bills = [folder.bills.get((system.collection, system.system)) for system in members]
    known = [bill for bill in bills if bill is not None]
    queries = len(folder.queries[members[0].collection])
    if not known and members[0].kind in FREE:
        return Cost(0.0, 0.0, 0.0, 0.0, None)
    if not known or not queries:
        return None
    return Cost(
        usd=fmean(map(_usd, known)) / queries if all(bill.priced for bill in known) else None,
        tokens=fmean(bill.input_tokens + bill.output_tokens for bill in known) / queries,
        calls=fmean(bill.calls for bill in known) / queries,
        passages=fmean(bill.passages_read for bill in known) / queries,
        seconds=_mean([bill.seconds for bill in known], queries),
    )


def _usd(bill: Bill) -> float:
    return float(bill.usd if bill.bill_usd is None else bill.bill_usd)


def _mean(values: Sequence[float | None], queries: int) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) / queries if known else None
