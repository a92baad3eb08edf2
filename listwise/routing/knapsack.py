"""Which offers to take when all queries are known and dollars are short: a multiple-choice knapsack.

At most one offer of each query, the sum of their expected costs within a budget, and as much expected gain as
possible. Of each query only the offers on the upper concave hull over cost matter to the linear relaxation, and
taking the hulls' steps in the order of gain per dollar solves it (Sinha and Zoltners, "The multiple-choice knapsack
problem", Operations Research 27(3), 1979). What the one step that no longer fits leaves over is filled greedily.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from listwise.routing.offers import Offer


class Step(NamedTuple):
    """From one choice for a query to a dearer one that gains more; the first starts from no offer at all."""

    offer: Offer
    """The choice after the step."""
    gain: float
    """What it gains over the choice before, above 0."""
    nano_usd: int
    """What it costs more, at least 0."""

    @property
    def worth(self) -> float:
        """Gain per nano-dollar; infinite where nothing more is paid."""
        return self.gain / self.nano_usd if self.nano_usd else inf


def step(before: Offer | None, offer: Offer) -> Step:
    """The step from a choice, or from none, to an offer."""
    if before is None:
        return Step(offer, offer.gain, offer.nano_usd)
    return Step(offer, offer.gain - before.gain, offer.nano_usd - before.nano_usd)


def steps_of(offers: Iterable[Offer]) -> list[Step]:
    """The upper concave hull of a query's offers, from nothing to the one that gains most; worth never rises.

    Offers that gain nothing, or less than a cheaper one or than a mixture of two others, are on no step.
    """
    steps: list[Step] = []
    for offer in sorted(offers, key=lambda offer: (offer.nano_usd, -offer.gain, offer.option)):
        new = step(steps[-1].offer if steps else None, offer)
        if new.gain <= 0:
            continue
        while steps and new.worth > steps[-1].worth:
            steps.pop()
            new = step(steps[-1].offer if steps else None, offer)
        steps.append(new)
    return steps


@dataclass(frozen=True, slots=True)
class Allotment:
    """What a budget was given to."""

    taken: tuple[Offer | None, ...]
    """One a query, in their order; None: left to the local tier."""
    bound: float
    """No choice within the budget is expected to gain more than this: the optimum of the linear relaxation."""
    worth: float
    """Gain per nano-dollar of the best step that was not affordable, the dual price; 0 where all were."""

    @property
    def gain(self) -> float:
        """Expected, summed over the queries."""
        return sum(offer.gain for offer in self.taken if offer)

    @property
    def nano_usd(self) -> int:
        """Expected, summed over the queries."""
        return sum(offer.nano_usd for offer in self.taken if offer)


def allot(queries: Sequence[Sequence[Offer]], nano_usd: int) -> Allotment:
    """The offers, at most one a query, that gain most for at most ``nano_usd`` in all.

    The gain is at least the optimum less the gain of one offer, and at least half the optimum. Equal worth goes to
    the earlier query.

    Args:
        queries: the offers for each.
        nano_usd: the budget, at least 0.
    """
    offered = [[offer for offer in offers if offer.nano_usd <= nano_usd] for offers in queries]
    order = [(at, each) for at, offers in enumerate(offered) for each in steps_of(offers)]
    order.sort(key=lambda placed: -placed[1].worth)
    taken: list[Offer | None] = [None] * len(queries)
    gain, left = 0.0, nano_usd
    for at, each in order:
        if each.nano_usd > left:
            alone: list[Offer | None] = [None] * len(queries)
            alone[at] = each.offer
            ways = (_filled(taken, offered, left), _filled(alone, offered, nano_usd - each.offer.nano_usd))
            return max((Allotment(way, gain + left * each.worth, each.worth) for way in ways), key=_gain)
        taken[at] = each.offer
        gain, left = gain + each.gain, left - each.nano_usd
    return Allotment(tuple(taken), gain, 0.0)


def _gain(allotment: Allotment) -> float:
    return allotment.gain


def _filled(
    taken: Sequence[Offer | None], offered: Sequence[Sequence[Offer]], left: int
) -> tuple[Offer | None, ...]:
    """The same with what ``left`` nano-dollars still buy, in the order of gain per dollar."""
    filled = list(taken)
    for at, offer in sorted(
        _affordable(taken, offered, left), key=lambda each: -step(taken[each[0]], each[1]).worth
    ):
        more = step(filled[at], offer)
        if more.gain > 0 and more.nano_usd <= left:
            filled[at], left = offer, left - more.nano_usd
    return tuple(filled)


def _affordable(
    taken: Sequence[Offer | None], offered: Sequence[Sequence[Offer]], left: int
) -> Iterator[tuple[int, Offer]]:
    for at, offers in enumerate(offered):
        for offer in offers:
            more = step(taken[at], offer)
            if more.gain > 0 and more.nano_usd <= left:
                yield at, offer
