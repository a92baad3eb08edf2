"""A day's budget over an uneven stream of queries, by a price of money that all of them meet.

Were the day known, the best plan would take whatever brings more gain a dollar than one price, the same from
midnight to midnight, at which the day's cap is just spent (Lagrange; in a stream: Agrawal, Wang and Ye 2014,
doi:10.1287/opre.2014.1289). The day is not known, so the price is found anew for every query: at it, by the `Curve`
of what was offered so far, an average query spends the money that is left divided by the queries that are left
(`Demand`), both as bills turn out and not as estimates have it (`Bills`).

This corrects itself, whatever is estimated wrongly: where spending is r times what was meant, the money left falls
as the r-th power of the queries left, so that it neither runs out before the end nor stays for r well above 0.
Towards midnight the queries left go to zero, and what is left is spent on whatever has a gain.

Everything learnt is a sum over queries, so what several processes learn adds up; see `listwise.routing.paced`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from listwise.routing.demand import SLOTS, Demand, day_of
from listwise.routing.envelope import BINS, Curve, envelope, price_at
from listwise.routing.offers import Offer

VERSION = 1
CARRIED_QUERIES = 2000.0
"""As how many queries the days before count at most in what is offered, so that a new gain model is soon learnt."""
CARRIED_BILLS = 200.0
PRIOR_BILLS = 10.0
"""As how many bills the assumption counts that estimates are right."""
HEADROOM = 3.0
"""How many times its corrected estimate an offer may cost at most, where nothing else is known."""
GOLDEN = 0.6180339887498949
"""Its multiples' fractions are spread evenly, however few or many (Weyl 1916)."""


@dataclass(slots=True)
class Bills:
    """What offers that were taken should have cost, and did."""

    count: float = 0.0
    expected: float = 0.0
    billed: float = 0.0

    @property
    def ratio(self) -> float:
        """Nano-dollars billed for each one expected, estimated."""
        if self.expected <= 0:
            return 1.0
        prior = PRIOR_BILLS * self.expected / self.count
        return (self.billed + prior) / (self.expected + prior)

    def add(self, other: Bills) -> None:
        """Count those of another."""
        self.count += other.count
        self.expected += other.expected
        self.billed += other.billed

    def weigh(self, count: float) -> None:
        """Let what was seen so far count as so many bills, if it counts as more."""
        if self.count > count:
            share = count / self.count
            self.count, self.expected, self.billed = count, self.expected * share, self.billed * share


@dataclass(slots=True)
class Experience:
    """What a pacer has learnt, of the present day and of those before."""

    demand: Demand
    curve: Curve = field(default_factory=Curve)
    bills: Bills = field(default_factory=Bills)

    @classmethod
    def beginning(cls, now: float) -> Experience:
        """None, at a moment."""
        day = Demand(day_of(now))
        return cls(Demand(day.day, since=day.slots(now)))

    def turn(self, day: int) -> None:
        """Let a day begin, if it is a later one."""
        if day > self.demand.day:
            self.demand.turn(day)
            self.curve.weigh(min(CARRIED_QUERIES, self.curve.queries / 2))
            self.bills.weigh(min(CARRIED_BILLS, self.bills.count / 2))

    def add(self, news: Experience) -> None:
        """Learn what another process saw. Its demand of a day that is over is lost."""
        self.turn(news.demand.day)
        if news.demand.day == self.demand.day:
            self.demand.add(news.demand)
        self.curve.add(news.curve)
        self.bills.add(news.bills)

    def to_json(self) -> str:
        """For `from_json`; a few kilobytes."""
        demand, bills = self.demand, self.bills
        return json.dumps(
            {
                "version": VERSION,
                "day": demand.day,
                "since": demand.since,
                "counts": demand.counts,
                "profile": demand.profile,
                "queries": self.curve.queries,
                "offered": {at: nano for at, nano in enumerate(self.curve.nano_usd) if nano},
                "bills": [bills.count, bills.expected, bills.billed],
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Experience | None:
        """What `to_json` wrote; None if it cannot be read: then there is none, and the cap holds all the same."""
        try:
            kept: dict[str, Any] = json.loads(text)
            if kept["version"] != VERSION:
                return None
            counts, profile = _floats(kept["counts"]), kept["profile"] and _floats(kept["profile"])
            if len(counts) != SLOTS or (profile and len(profile) != SLOTS):
                return None
            offered = [0.0] * BINS
            for at, nano in kept["offered"].items():
                offered[int(at)] = float(nano)
            return cls(
                Demand(int(kept["day"]), float(kept["since"]), counts, profile),
                Curve(float(kept["queries"]), offered),
                Bills(*_floats(kept["bills"])),
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return None


@dataclass(frozen=True, slots=True)
class News:
    """What a pacer saw since it was last brought up to date."""

    learnt: Experience
    day: int
    billed: int
    """Nano-dollars of that day."""

    def onto(self, kept: str | None) -> Experience:
        """Add it to what is kept of all processes."""
        known = Experience.from_json(kept) if kept else None
        if known is None:
            known = Experience(Demand(self.learnt.demand.day, since=self.learnt.demand.since))
        known.add(self.learnt)
        return known


class Pacer:
    """Decides for each query of a day which offer to take. Times are Unix seconds; days are UTC.

    What was settled and what is under way never exceeds the cap, as long as no offer costs more than the most that
    was said of it. By itself a pacer knows only its own spending; `catch_up` tells it of all there is.

    Args:
        cap: nano-dollars a day.
        now: when it begins to see queries.
        known: what was learnt before; it is taken over and changed.
    """

    def __init__(self, cap: int, now: float, known: Experience | None = None) -> None:
        self.cap = cap
        self.price = 0.0
        """In gain a dollar, as of the latest decision."""
        self._known = known or Experience.beginning(now)
        self._news = Experience.beginning(now)
        self._booked = self._sent = self._billed = 0
        self._open: defaultdict[Offer, list[int]] = defaultdict(list)
        self._open_expected = self._open_most = 0
        self._turn(now)

    @property
    def day(self) -> int:
        """The day that is being paced, counted from 1970."""
        return self._known.demand.day

    @property
    def held(self) -> int:
        """Nano-dollars of the day that are spent, or may be by what is under way."""
        return self._booked + self._sent + self._billed + self._open_most

    def decide(self, now: float, offers: Sequence[Offer], most: Sequence[int] = ()) -> Offer | None:
        """Take an offer for a query, or none. To be asked once about every query, also one without offers.

        An offer that is taken counts as under way until `settled` is told.

        Args:
            now: must not be earlier than the last one; if it is, it counts as no later.
            offers: what may be done instead of nothing.
            most: nano-dollars that each may cost at most; by default `HEADROOM` times what is expected of it.
        """
        self._turn(now)
        steps = envelope(offers)
        for each in (self._known, self._news):
            each.demand.note(now)
            each.curve.note(steps)
        level = self._level(now)
        self.price = price_at(level)
        bounds = dict(zip(offers, most, strict=True)) if most else {}
        turn = self._known.demand.today * GOLDEN % 1
        taken, costs = None, 0
        for step in steps:
            bound = bounds.get(step.offer, self._bound(step.offer))
            dear = step.nano_usd > 0 and step.bin + turn >= level
            if dear or self.held + bound > self.cap:
                break
            taken, costs = step.offer, bound
        if taken is not None:
            self._open[taken].append(costs)
            self._open_most += costs
            self._open_expected += taken.nano_usd
        return taken

    def settled(self, now: float, offer: Offer, nano_usd: int) -> None:
        """An offer that was taken is done, and did cost so much. To be told once, also if it failed or was free.

        Raises:
            KeyError: it is not under way.
        """
        self._turn(now)
        if offer not in self._open:
            raise KeyError(offer)
        self._open_most -= self._open[offer].pop()
        self._open_expected -= offer.nano_usd
        if not self._open[offer]:
            del self._open[offer]
        self._billed += nano_usd
        for each in (self._known, self._news):
            each.bills.add(Bills(1, offer.nano_usd, nano_usd))

    def news(self, now: float) -> News:
        """Hand over what was seen since the last time, for `catch_up`, or for `take_back` if nobody got it."""
        self._turn(now)
        news = News(self._news, self.day, self._billed)
        self._news = Experience(Demand(self.day, since=self._known.demand.since))
        self._sent, self._billed = self._sent + self._billed, 0
        return news

    def take_back(self, news: News) -> None:
        """See `news`."""
        self._news.add(news.learnt)
        if news.day == self.day:
            self._sent, self._billed = self._sent - news.billed, self._billed + news.billed

    def catch_up(self, news: News, known: Experience, held: int) -> None:
        """Go on from what all processes learnt and spent.

        Args:
            news: what was handed over, and is now part of the other two.
            known: what was learnt, `News.onto` what was kept; it is taken over and changed.
            held: nano-dollars settled and reserved in the day, by the books.
        """
        if news.day == self.day:
            self._booked, self._sent = held, self._sent - news.billed
        known.add(self._news)
        self._known = known

    def _level(self, now: float) -> float:
        """Where among the bins of the curve to stop: `Curve.level`."""
        ratio = self._known.bills.ratio
        left = self.cap - self._booked - self._sent - self._billed - self._open_expected * ratio
        return self._known.curve.level(left / ratio / (1 + self._known.demand.left(now)))

    def _bound(self, offer: Offer) -> int:
        return ceil(HEADROOM * max(1.0, self._known.bills.ratio) * offer.nano_usd)

    def _turn(self, now: float) -> None:
        """Begin the day of this moment, if it is a later one."""
        if (day := day_of(now)) > self.day:
            self._known.turn(day)
            self._news.demand = Demand(day)
            self._booked = self._sent = self._billed = 0


def _floats(values: Sequence[Any]) -> list[float]:
    return [float(each) for each in values]
