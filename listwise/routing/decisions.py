"""Which offers to take under a price or a share. Dollars: `knapsack`, and `dual` where queries stream."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from listwise.routing.offers import Offer

POINT = 0.01
"""A point of nDCG, as prices name it: from 0.50 to 0.51 is one point."""


def at_price(offers: Iterable[Offer], nano_usd_a_point: int) -> Offer | None:
    """The offer whose gain is worth most over its cost, or None where no offer's gain is worth its cost.

    Equal worth goes to the cheaper offer, so that with a price of 0 nothing is ever bought.

    Args:
        nano_usd_a_point: what one `POINT` on one query is worth, in nano-dollars.
    """
    net = {offer: offer.gain / POINT * nano_usd_a_point - offer.nano_usd for offer in offers}
    best = min(net, key=lambda offer: (-net[offer], offer.nano_usd, offer.option), default=None)
    return best if best and net[best] > 0 else None


def most_gain(offers: Iterable[Offer]) -> Offer | None:
    """The offer that gains most, the cheapest of equals; None where there are none."""
    return min(offers, key=lambda offer: (-offer.gain, offer.nano_usd, offer.option), default=None)


def by_share(queries: Sequence[Sequence[Offer]], share: float) -> list[Offer | None]:
    """The best offer of those queries where a dollar gains most, for a share of the queries.

    A query's best offer is the one that gains most: a share limits how many queries are escalated, not dollars.
    Where it costs nothing, the queries go by gain alone. Those of which nothing is known go before all others. The
    number escalated is the share of all queries, rounded half up, whatever they are expected to gain; less where
    fewer have offers. Ties go to the earlier query.

    Args:
        queries: the offers for each.
        share: between 0 and 1.
    """
    best = [most_gain(offers) for offers in queries]
    able = sorted((at for at, offer in enumerate(best) if offer), key=lambda at: urgency(best[at]), reverse=True)
    chosen = set(able[: int(share * len(queries) + 0.5)])
    return [offer if at in chosen else None for at, offer in enumerate(best)]


def urgency(offer: Offer | None) -> tuple[float, float]:
    """The greatest first: of nothing known, then by gain per dollar where anything is gained, then by gain."""
    if offer and not offer.known:
        return inf, inf
    if offer is None or offer.gain <= 0:
        return 0.0, offer.gain if offer else -inf
    return offer.gain / offer.nano_usd if offer.nano_usd else inf, offer.gain
