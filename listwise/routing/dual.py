"""Which offers to take when queries stream and dollars are short: an online dual price.

The dual price of a budget is the gain per dollar from which an offer is worth taking. It is estimated from the
offers seen so far, as the price at which what is left would have lasted for them (Agrawal, Wang and Ye, "A dynamic
near-optimal algorithm for online linear programming", Operations Research 62(4), 2014); and it is multiplied by an
exponential of how far spending runs ahead of an even plan, which is dual mirror descent with the entropy as mirror
map and a step of one over the square root of the number of purchases (Balseiro, Lu and Mirrokni, "The best of many
worlds: dual mirror descent for online allocation problems", Operations Research 71(1), 2023). The first makes it
good for queries in random order, the second keeps it from spending all at once, or nothing, when the order is not.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from math import exp, floor, inf, log, sqrt
from operator import neg

from listwise.routing.knapsack import Step, steps_of
from listwise.routing.offers import Offer

UNKNOWN_AHEAD = 100
"""Where nobody says how many queries will come, as many more are expected as have come, and at least this many."""
_FINENESS = log(1.02)
"""Offers whose worth differs by less than 2 % are remembered as one."""
_STEEPEST = 50.0
"""The largest power of e by which pacing moves the price; so that it stays a number."""


class OnlineBudget:
    """Decides query by query, on what was seen before, so that expected costs never add up to more than the budget.

    What a query is expected to cost counts from the decision on, until `spent` says what it did cost. The same
    offers and costs in the same order give the same decisions. Time a query and memory do not grow with the number
    of queries. Not for use by several threads at once.
    """

    def __init__(self, nano_usd: int, expected: int | None = None, *, seen: Iterable[Iterable[Offer]] = ()) -> None:
        """Starts with nothing spent.

        Args:
            nano_usd: the budget, at least 0.
            expected: how many queries will come in all; None: unknown. Then something is always left for those
                to come: a third after `UNKNOWN_AHEAD` queries, and half as much whenever as many again have come.
            seen: the offers for earlier queries of the same kind, if any, which spare the first ones from being
                decided on no knowledge of what may come.
        """
        self.nano_usd = nano_usd
        self.committed = 0
        """Nano-dollars spent, and expected of what was decided but not settled."""
        self._expected = expected
        self._decided = 0
        self._planned = 0.0
        self._queries = 0
        self._cost = 0
        self._costs: dict[int, int] = {}
        self._places: list[int] = []
        for offers in seen:
            self._remember(steps_of(offers))

    @property
    def left(self) -> int:
        """Nano-dollars that may still be committed."""
        return max(0, self.nano_usd - self.committed)

    def decide(self, offers: Iterable[Offer]) -> Offer | None:
        """The offer to take for the next query, or None to leave it to the local tier."""
        steps = steps_of(offers)
        self._remember(steps)
        ahead = self._ahead()
        self._planned += (self.nano_usd - self._planned) / ahead
        self._decided += 1
        least = self._learnt(self.left / ahead * self._queries)
        taken = None
        for step in steps:
            cost = step.offer.nano_usd
            if cost > self.left or step.worth < least * self._pace(cost):
                break
            taken = step.offer
        self.committed += taken.nano_usd if taken else 0
        return taken

    def spent(self, offer: Offer, nano_usd: int) -> None:
        """Settles an offer that was decided on: what it did cost, in place of what was expected."""
        self.committed += nano_usd - offer.nano_usd

    def _ahead(self) -> int:
        """How many queries are expected from this one on."""
        if self._expected is None:
            return max(UNKNOWN_AHEAD, self._decided)
        return max(1, self._expected - self._decided)

    def _remember(self, steps: Iterable[Step]) -> None:
        """Adds a query's steps to the costs by worth; what is free is always taken, and so needs no price."""
        self._queries += 1
        for step in steps:
            if 0 < step.worth < inf:
                place = floor(log(step.worth) / _FINENESS)
                if place not in self._costs:
                    self._costs[place] = 0
                    insort(self._places, place, key=neg)
                self._costs[place] += step.nano_usd
                self._cost += step.nano_usd

    def _learnt(self, nano_usd: float) -> float:
        """The least gain per nano-dollar that would have been bought with ``nano_usd`` for all queries seen."""
        total = 0
        for place in self._places:
            total += self._costs[place]
            if total > nano_usd:
                return exp(place * _FINENESS)
        return 0.0

    def _pace(self, nano_usd: int) -> float:
        """By how much the price rises or falls for an offer, from how far half of its cost would put us ahead."""
        usual = min(self.nano_usd, self._cost / self._queries)
        if usual == 0:
            return 1.0
        lead = (self.committed + nano_usd / 2 - self._planned) / sqrt(self.nano_usd * usual)
        return exp(max(-_STEEPEST, min(_STEEPEST, lead)))
