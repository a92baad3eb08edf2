"""What becomes of dollars that a router spends, with the depth left to it, against the same dollars spent blindly.

A router chooses by the costs that it foresees; what is spent is what the cases did cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from listwise.eval.measures import Interval, bootstrap
from listwise.eval.routing import (
    GRID,
    SHARES,
    Curve,
    Floats,
    Sample,
    escalated,
    interval_of,
    ratio_of,
    resampled,
)
from listwise.routing.decisions import by_share, urgency
from listwise.routing.knapsack import allot
from listwise.routing.offers import Offer


@dataclass(frozen=True, slots=True)
class Spent:
    """What became of a sample whose queries took some offers."""

    share: float
    """Of the queries, escalated."""
    nano_usd: int
    """In all."""
    by_query: tuple[float, ...]
    """nDCG@10."""

    @property
    def ndcg(self) -> float:
        """Mean."""
        return float(np.mean(self.by_query))

    @property
    def usd(self) -> float:
        """For a thousand queries."""
        return self.nano_usd / len(self.by_query) / 1e6

    def over(self, other: Sequence[float]) -> Interval:
        """The mean difference to other nDCG@10 of the same queries, with its 95 % interval over queries."""
        return bootstrap([ours - theirs for ours, theirs in zip(self.by_query, other, strict=True)])


def spent(sample: Sample, taken: Sequence[Offer | None]) -> Spent:
    """What was reached by options taken, one a query or None, and what they did cost."""
    reached, nano_usd = [], 0
    for row, offer in zip(sample.rows, taken, strict=True):
        outcome = next((each for each in row.options if offer and each.option == offer.option), None)
        reached.append(outcome.ndcg if outcome else row.case.local)
        nano_usd += outcome.nano_usd if outcome else 0
    return Spent(sum(offer is not None for offer in taken) / len(taken), nano_usd, tuple(reached))


def offered(sample: Sample) -> list[tuple[Offer, ...]]:
    """What a router has to choose from, query by query."""
    return [row.offers(row.predicted, costs) for row, costs in zip(sample.rows, sample.foreseen, strict=True)]


def afforded(sample: Sample, taken: Sequence[Offer | None], nano_usd: int) -> list[Offer | None]:
    """As much of a choice as a budget pays for, query by query: those on which it runs out stay local."""
    kept: list[Offer | None] = []
    for row, offer in zip(sample.rows, taken, strict=True):
        cost = next((each.nano_usd for each in row.options if offer and each.option == offer.option), 0)
        kept.append(offer if cost <= nano_usd else None)
        nano_usd -= cost if kept[-1] else 0
    return kept


def everything(sample: Sample) -> Spent:
    """All queries escalated, in full."""
    return spent(sample, [offers[-1] for offers in offered(sample)])


def in_hindsight(sample: Sample, like: Spent) -> Spent:
    """An oracle's choice among all options, for no more money; of as many queries, where nothing costs anything."""
    offers = [row.offers(row.gains, row.nano_usd) for row in sample.rows]
    if not sample.nano_usd.any():
        gaining = [[offer for offer in each if offer.gain > 0] for each in offers]
        return spent(sample, by_share(gaining, like.share))
    return spent(sample, allot(offers, like.nano_usd).taken)


def blindly(sample: Sample, nano_usd: float) -> tuple[float, Floats]:
    """So much money spent without looking: first on queries by chance at the least depth, and, when all are
    escalated, on the next depth for queries by chance, and so on.

    Returns:
        The share of the queries that is escalated, and [queries]: their expected nDCG@10.
    """
    reached = np.array([[row.case.local, *(each.ndcg for each in row.options)] for row in sample.rows])
    costs = np.array([[0, *(each.nano_usd for each in row.options)] for row in sample.rows], np.float64).sum(axis=0)
    place = float(np.interp(nano_usd, np.maximum.accumulate(costs), np.arange(len(costs))))
    below = min(int(place), len(costs) - 2)
    part = place - below
    return min(1.0, place), reached[:, below] * (1 - part) + reached[:, below + 1] * part


def by_budget(sample: Sample, shares: Sequence[float] = GRID) -> list[Curve]:
    """The router and chance under budgets, at any depth.

    Args:
        shares: the budgets, as shares of what it costs to escalate all queries at full depth.
    """
    offers, most = offered(sample), float(sample.nano_usd.sum())
    routed = [_allotted(sample, offers, int(share * most)) for share in shares]
    chance = [blindly(sample, share * most) for share in shares]
    return [
        Curve(
            "router, any depth",
            tuple(each.share for each in routed),
            tuple(each.ndcg for each in routed),
            tuple(each.usd for each in routed),
        ),
        Curve(
            "random, any depth",
            tuple(part for part, _ in chance),
            tuple(float(reached.mean()) for _, reached in chance),
            tuple(share * most / len(sample.rows) / 1e6 for share in shares),
        ),
    ]


def _allotted(sample: Sample, offers: Sequence[Sequence[Offer]], nano_usd: int) -> Spent:
    return spent(sample, afforded(sample, allot(offers, nano_usd).taken, nano_usd))


@dataclass(frozen=True, slots=True)
class Budgeted:
    """A budget that the router spent."""

    budget: float
    """As a share of what it costs to escalate all queries at full depth."""
    router: Spent
    by_chance: float
    """nDCG@10 of as much money spent `blindly`."""
    over_chance: Interval


def compare_budgets(sample: Sample, shares: Sequence[float] = SHARES) -> list[Budgeted]:
    """The router against chance for the same money, at any depth. Intervals take the choices as they are."""
    offers, found = offered(sample), []
    for share in shares:
        routed = _allotted(sample, offers, int(share * sample.nano_usd.sum()))
        _, reached = blindly(sample, routed.nano_usd)
        found.append(Budgeted(share, routed, float(reached.mean()), routed.over(reached.tolist())))
    return found


@dataclass(frozen=True, slots=True)
class Bought:
    """A share of the queries escalated in full, in some order, next to the same money spent on queries in full that
    chance picks. Intervals are 95 %, by bootstrap over queries, in pairs."""

    order: str
    share: float
    usd: float
    """For a thousand queries."""
    ndcg: float
    over_chance: Interval
    times_chance: Interval | None
    """The gain over that of chance; None where that is not clearly above 0."""


def compare_orders(sample: Sample, shares: Sequence[float] = SHARES, *, seed: int = 0) -> list[Bought]:
    """Each of `by_money` at each share. One that picks dear queries is compared with more queries by chance."""
    times = resampled(len(sample.rows), seed)
    everybody, bill = (times @ each / len(sample.rows) for each in (sample.gains, sample.nano_usd))
    found = []
    for share in shares:
        for order, first in by_money(sample).items():
            gain, cost = (escalated(first, each, share, times) for each in (sample.gains, sample.nano_usd))
            chance = everybody * cost / np.where(bill > 0, bill, 1.0)
            ratio = ratio_of(gain, chance) if interval_of(chance).low > 0 else None
            over, ndcg = interval_of(gain - chance), sample.local + float(gain[0])
            found.append(Bought(order, share, float(cost[0]) / 1e6, ndcg, over, ratio))
    return found


def by_money(sample: Sample) -> dict[str, Floats]:
    """[queries] for each order, the greatest first. What is cheap, and what a dollar gains, goes by what is
    foreseen; the oracle knows what will be gained and paid."""
    costs = sample.foreseen[:, -1]
    return {
        "router": sample.predicted,
        "router, per dollar": _per_dollar(sample, sample.predicted, costs),
        "margin": sample.urgency["margin"],
        "cheapest": -costs,
        "oracle, per dollar": _per_dollar(sample, sample.gains, sample.nano_usd),
    }


def _per_dollar(sample: Sample, gains: Floats, nano_usd: Floats) -> Floats:
    """As places from the last, which tell the order of a share's goal."""
    told = [
        urgency(Offer(row.options[-1].option, gain, round(cost)))
        for row, gain, cost in zip(sample.rows, gains.tolist(), nano_usd.tolist(), strict=True)
    ]
    places = {each: at for at, each in enumerate(sorted(set(told)))}
    return np.array([places[each] for each in told], np.float64)
