"""What each further dollar for one query would bring, and how spending depends on the price of money.

At a price of so much gain for a dollar, the best offer for a query is the last one on the concave envelope of cost
against gain (from doing nothing, at no cost) whose step still brings more than the price. So a query is a short
list of steps of falling slope, and what a price spends is the sum of the steps above it: `Curve` counts them by
slope.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf, log2
from typing import NamedTuple

from listwise.routing.offers import Offer, Option
from listwise.spend.money import NANO

BINS = 256
PER_OCTAVE = 8
"""Bins in a doubling of the slope: within one, slopes are at most 9 % apart."""
STEEPEST = 24
"""Log2 of the slope, in gain a dollar, above which there is only the first bin; the last one is below 2^-8."""


class Step(NamedTuple):
    """From one corner of the envelope to the next."""

    offer: Offer
    """The corner that it leads to."""
    nano_usd: int
    """What it adds to the expected cost."""
    bin: int
    """Of what it adds to the gain, a dollar; 0 is the steepest."""


def price_at(level: float) -> float:
    """The slope, in gain a dollar, at a place among the bins, such as `Curve.level` finds."""
    return float(2 ** (STEEPEST - level / PER_OCTAVE))


def envelope(offers: Iterable[Offer]) -> list[Step]:
    """The offers that are best at some price of money, as steps of falling slope.

    Offers without a positive gain are not among them.
    """
    corners, slopes = [_NOTHING], [inf]
    for offer in sorted(offers, key=lambda each: (each.nano_usd, -each.gain)):
        if not offer.gain > corners[-1].gain:
            continue
        while len(corners) > 1 and _slope(corners[-1], offer) >= slopes[-1]:
            corners.pop()
            slopes.pop()
        slopes.append(_slope(corners[-1], offer))
        corners.append(offer)
    return [
        Step(offer, offer.nano_usd - before.nano_usd, _bin(slope))
        for before, offer, slope in zip(corners, corners[1:], slopes[1:], strict=False)
    ]


_NOTHING = Offer(Option("", 0), 0.0, 0)


def _slope(before: Offer, after: Offer) -> float:
    """Gain a dollar from one to the other; positive."""
    more = after.nano_usd - before.nano_usd
    return (after.gain - before.gain) * NANO / more if more else inf


def _bin(slope: float) -> int:
    place = STEEPEST - log2(slope) if slope < inf else 0.0
    return min(max(int(place * PER_OCTAVE), 0), BINS - 1)


@dataclass(slots=True)
class Curve:
    """What queries seen so far would have spent at every price. Curves of different queries add up."""

    queries: float = 0.0
    nano_usd: list[float] = field(default_factory=lambda: [0.0] * BINS)
    """Expected cost of the steps in each bin, steepest first."""

    def note(self, steps: Iterable[Step]) -> None:
        """Count one query."""
        self.queries += 1
        for step in steps:
            self.nano_usd[step.bin] += step.nano_usd

    def add(self, other: Curve) -> None:
        """Count the queries of another."""
        self.queries += other.queries
        self.nano_usd = [mine + more for mine, more in zip(self.nano_usd, other.nano_usd, strict=True)]

    def weigh(self, queries: float) -> None:
        """Let what was seen so far count as so many queries, if it counts as more."""
        if self.queries > queries:
            share = queries / self.queries
            self.queries = queries
            self.nano_usd = [each * share for each in self.nano_usd]

    def level(self, nano_usd: float) -> float:
        """Where among the bins to stop, so that a query spends ``nano_usd`` on average; `BINS` is never.

        The fraction of a bin is the share of its steps that is to be taken.
        """
        wanted = max(0.0, nano_usd) * self.queries
        spent = list(accumulate(self.nano_usd))
        at = bisect_right(spent, wanted)
        if at == BINS:
            return float(BINS)
        below = spent[at - 1] if at else 0.0
        return at + (wanted - below) / self.nano_usd[at]
