"""What comes of an experiment, in plain words: what is best, what it costs, and what does as well for less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from listwise.eval.report.entries import Entry
from listwise.eval.statistics import Interval, bootstrap

QUERIES = 1000
"""Dollars are given for so many."""


class Card(NamedTuple):
    """One thing to be said."""

    heading: str
    entry: Entry | None
    """What it is about, if that is one system."""
    words: str


@dataclass(frozen=True)
class Findings:
    """The entries of one collection under one measure, simulated and real ones apart: they cannot be compared."""

    collection: str
    measure: str
    queries: int
    entries: Sequence[Entry]
    """All of them, in table order."""
    simulated: bool
    """Whether it is about the simulated ones."""

    @cached_property
    def ranked(self) -> list[Entry]:
        """Those that it is about, best first."""
        known = [each for each in self.entries if self.measure in each.scores and each.simulated == self.simulated]
        return sorted(known, key=lambda each: -each.scores[self.measure].interval.mean)

    @property
    def baseline(self) -> Entry | None:
        """The one that the others are compared with."""
        return next((each for each in self.entries if each.baseline), None)

    @cached_property
    def as_good(self) -> list[tuple[Entry, Interval]]:
        """Those that cannot be told from the best, with what they lack to it: the 95 % interval of the paired
        difference reaches zero."""
        if not self.ranked:
            return []
        best = self.ranked[0].scores[self.measure].by_query
        found = []
        for entry in self.ranked[1:]:
            values = entry.scores[self.measure].by_query
            behind = bootstrap([values[qid] - best[qid] for qid in best if qid in values] or [-1.0])
            if behind.high >= 0:
                found.append((entry, behind))
        return found

    @cached_property
    def cheapest(self) -> tuple[Entry, Interval] | None:
        """Of those, the one that costs least, if that is less than the best does, as far as costs are known."""
        if not self.ranked:
            return None
        priced = [(usd, entry, gap) for entry, gap in self.as_good if (usd := usd_of(entry)) is not None]
        if not priced:
            return None
        usd, entry, gap = min(priced, key=lambda each: (each[0], -each[2].mean))
        most = usd_of(self.ranked[0])
        return (entry, gap) if most is None or usd < most else None

    @cached_property
    def frontier(self) -> list[Entry]:
        """Those that nothing beats for the same money or less, cheapest first."""
        priced = [(usd, entry) for entry in self.ranked if (usd := usd_of(entry)) is not None]
        priced.sort(key=lambda each: (each[0], -each[1].scores[self.measure].interval.mean))
        kept: list[Entry] = []
        for _, entry in priced:
            mean = entry.scores[self.measure].interval.mean
            if not kept or mean > kept[-1].scores[self.measure].interval.mean:
                kept.append(entry)
        return kept

    def cards(self) -> Iterator[Card]:
        """What is to be said, the most important first."""
        if not self.ranked:
            return
        best = self.ranked[0]
        score = best.scores[self.measure]
        yield Card("Best", best, f"{self._measured(best)}{self._over(best)}. {cost_words(best)}")
        if self.cheapest is not None:
            entry, gap = self.cheapest
            behind = f"{signed(gap.mean)} to the best ({signed(gap.low)} to {signed(gap.high)})"
            noise = f"which is within the noise of {self.queries} queries"
            words = f"{self._measured(entry)}: {behind}, {noise}. {cost_words(entry)}"
            yield Card("As good, for less", entry, words)
        elif self.as_good:
            names = _list([entry.name for entry, _ in self.as_good])
            yield Card("As good", None, f"On {self.queries} queries the best cannot be told from {names}.")
        elif len(self.ranked) > 1:
            yield Card("As good", None, "No other system: all others are worse, and by more than noise.")
        if score.ceiling is not None and not self.simulated:
            words = (
                f"No order of the candidates of {best.name} could reach more than {score.ceiling:.3f}: what the "
                "first stage did not find, no re-ranker can put first. "
                f"The best reaches {score.interval.mean / max(score.ceiling, 1e-9):.0%} of that."
            )
            yield Card("Ceiling", None, words)

    def _measured(self, entry: Entry) -> str:
        interval = entry.scores[self.measure].interval
        return f"{self.measure} {interval.mean:.3f} (95 % interval {interval.low:.3f} to {interval.high:.3f})"

    def _over(self, entry: Entry) -> str:
        difference = entry.scores[self.measure].difference
        if difference is None or self.baseline is None:
            return ""
        word = "above" if difference.mean >= 0 else "below"
        told = "" if difference.low > 0 or difference.high < 0 else ", which may be chance"
        return f", {abs(difference.mean):.3f} {word} {self.baseline.name}{told}"


def usd_of(entry: Entry) -> float | None:
    """Dollars a query; None where they are not known."""
    return None if entry.cost is None else entry.cost.usd


def cost_words(entry: Entry) -> str:
    """What an entry costs, as a sentence."""
    if entry.cost is None:
        return "What it cost was not recorded."
    if entry.cost.usd is None:
        return f"Its price is not known; it takes {entry.cost.tokens:,.0f} tokens a query."
    if entry.cost.usd == 0:
        return "It asks no API, and costs no dollars."
    made_up = " (made up)" if entry.simulated else ""
    return f"It costs {usd_words(entry.cost.usd * QUERIES)} for {QUERIES:,} queries{made_up}."


def signed(value: float) -> str:
    """A difference with its sign, which is a real minus."""
    return f"{value:+.3f}".replace("-", "−")


def usd_words(usd: float) -> str:
    """Dollars as people write them, with enough digits to see small ones."""
    if usd == 0:
        return "nothing"
    return f"${usd:,.0f}" if usd >= 100 else f"${usd:.2f}" if usd >= 0.1 else f"${usd:.2g}"


def _list(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    if len(names) > 5:
        return f"{', '.join(names[:4])} and {len(names) - 4} others"
    return f"{', '.join(names[:-1])} or {names[-1]}"
