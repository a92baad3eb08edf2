"""One order from several: the rules of aggregation, pure.

All take orders of the same things, best first, with a weight each, and leave ties in the order of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import combinations
from typing import Literal, TypeVar, get_args

from listwise.errors import ConfigError

T = TypeVar("T", bound=Hashable)

Aggregate = Literal["borda", "reciprocal", "kemeny", "stable"]
"""``borda``: the mean place. ``reciprocal``: the sum of 1 / (5 + place). ``kemeny``: the order with the fewest
pairs turned round. ``stable``: the mean place, with orders weighted by how far they agree with the others."""

RECIPROCAL = 5
"""Added to places, from 1: so that the first places of few orders count, as they do for the measures."""
EXACT = 10
"""Largest set that is put in Kemeny's order by looking at all orders."""


def aggregate(name: Aggregate, orders: Sequence[Sequence[T]]) -> tuple[T, ...]:
    """One order by the rule of this name.

    Raises:
        ConfigError: there is no such rule.
    """
    if name not in get_args(Aggregate):
        raise ConfigError(f"no aggregation {name!r}; there are: {', '.join(get_args(Aggregate))}")
    if len(orders) == 1:
        return tuple(orders[0])
    rules: dict[str, Callable[[Sequence[Sequence[T]]], tuple[T, ...]]] = {
        "borda": borda,
        "reciprocal": reciprocal,
        "kemeny": kemeny,
        "stable": lambda given: borda(given, stability(given)),
    }
    return rules[name](orders)


def borda(orders: Sequence[Sequence[T]], weights: Sequence[float] | None = None) -> tuple[T, ...]:
    """By mean place (Borda 1781)."""
    return _by(orders, weights, lambda place: place)


def reciprocal(orders: Sequence[Sequence[T]], weights: Sequence[float] | None = None) -> tuple[T, ...]:
    """By the sum of reciprocal places (Cormack et al. 2009, with a smaller constant, as orders are few)."""
    return _by(orders, weights, lambda place: -1 / (RECIPROCAL + 1 + place))


def _by(
    orders: Sequence[Sequence[T]], weights: Sequence[float] | None, cost: Callable[[int], float]
) -> tuple[T, ...]:
    costs = dict.fromkeys(orders[0], 0.0)
    for order, weight in zip(orders, weights or [1.0] * len(orders), strict=True):
        for place, each in enumerate(order):
            costs[each] += weight * cost(place)
    return tuple(sorted(orders[0], key=lambda each: round(costs[each], 9)))


def kemeny(orders: Sequence[Sequence[T]]) -> tuple[T, ...]:
    """The order that disagrees with the fewest pairs of the orders given (Kemeny 1959).

    Exact where no more than `EXACT` things are caught in a circle of majorities, and so in each part on its own
    (Truchon 1998: where all of one part are preferred to all of another, so they are in Kemeny's order); for larger
    circles a local optimum, found from Borda's order by moving one thing at a time.
    """
    lead = _leads(orders)
    start = borda(orders)
    parts = _circles(start, lead)
    return tuple(
        each for part in parts for each in (_exact(part, lead) if len(part) <= EXACT else _improved(part, lead))
    )


def stability(orders: Sequence[Sequence[T]]) -> list[float]:
    """How far each order agrees with the others, from 0 to 1: the share of pairs that are the same way round
    (Kendall's tau, rescaled), in the mean over the others. All 1 where there are only two."""
    if len(orders) < 3:
        return [1.0] * len(orders)
    agreements = [[0.0] * len(orders) for _ in orders]
    for (at, first), (beside, second) in combinations(enumerate(orders), 2):
        agreements[at][beside] = agreements[beside][at] = _agreement(first, second)
    return [sum(row) / (len(orders) - 1) for row in agreements]


def _agreement(first: Sequence[T], second: Sequence[T]) -> float:
    places = {each: place for place, each in enumerate(second)}
    pairs = list(combinations([places[each] for each in first], 2))
    return sum(a < b for a, b in pairs) / max(1, len(pairs))


_Leads = dict[tuple[T, T], int]


def _leads(orders: Sequence[Sequence[T]]) -> _Leads[T]:
    """By how many orders the first of a pair is before the second, less those where it is behind."""
    places = [{each: place for place, each in enumerate(order)} for order in orders]
    leads: _Leads[T] = {}
    for first, second in combinations(orders[0], 2):
        lead = sum(1 if at[first] < at[second] else -1 for at in places)
        leads[first, second], leads[second, first] = lead, -lead
    return leads


def _circles(start: Sequence[T], leads: _Leads[T]) -> list[list[T]]:
    """Parts, best first, so that every one of a part has a majority over all of the later ones.

    In a tournament, things sorted by how many they do not lose to fall into such parts wherever the first so many
    beat all the rest.
    """
    unbeaten = {each: sum(leads[each, other] >= 0 for other in start if other != each) for each in start}
    ranked = sorted(start, key=lambda each: -unbeaten[each])
    parts: list[list[T]] = []
    part: list[T] = []
    for place, each in enumerate(ranked, 1):
        part.append(each)
        if all(leads[one, other] > 0 for one in part for other in ranked[place:]):
            parts.append([one for one in start if one in part])
            part = []
    return parts


def _exact(part: Sequence[T], leads: _Leads[T]) -> list[T]:
    """The best of all orders, by the best order of every subset (Held and Karp 1962)."""
    n = len(part)
    gains: list[float] = [0.0] * (1 << n)
    lasts = [0] * (1 << n)
    for subset in range(1, 1 << n):
        members = [at for at in range(n) if subset >> at & 1]
        scored = [
            (gains[subset ^ (1 << at)] + sum(leads[part[one], part[at]] for one in members if one != at), at)
            for at in members
        ]
        gains[subset], lasts[subset] = max(scored)
    order: list[T] = []
    subset = (1 << n) - 1
    while subset:
        order.append(part[lasts[subset]])
        subset ^= 1 << lasts[subset]
    return order[::-1]


def _improved(part: Sequence[T], leads: _Leads[T]) -> list[T]:
    """No single thing can be moved for the better."""
    order = list(part)
    moved = True
    while moved:
        moved = False
        for each in part:
            at = order.index(each)
            rest = order[:at] + order[at + 1 :]
            gain, best, to = 0, 0, at
            for place in range(at - 1, -1, -1):
                gain += leads[each, rest[place]]
                if gain > best:
                    best, to = gain, place
            gain = 0
            for place in range(at, len(rest)):
                gain += leads[rest[place], each]
                if gain > best:
                    best, to = gain, place + 1
            if to != at:
                order, moved = [*rest[:to], each, *rest[to:]], True
    return order
