"""What escalation is to achieve: each goal chooses among a query's offers, on its own or knowing all queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from listwise.errors import LedgerFailed
from listwise.routing.decisions import POINT, at_price, by_share, most_gain
from listwise.routing.dual import OnlineBudget
from listwise.routing.knapsack import allot
from listwise.routing.offers import Offer, Option
from listwise.routing.paced import Paced
from listwise.spend.money import usd_of
from listwise.spend.routes import Why


class Choice(NamedTuple):
    """The offer that is taken, or None to stay with the local order; what decided, and why, in plain words."""

    offer: Offer | None
    why: Why
    reason: str


class Goal(Protocol):
    """Chooses. A goal may remember what it chose and what that cost."""

    @property
    def needs_all(self) -> bool:
        """Whether a query's choice depends on the queries after it."""
        ...

    @property
    def by_signals(self) -> bool:
        """Whether it says nothing of a query without signals, of which the mean gain is expected."""
        ...

    @property
    def gains_by_all(self) -> bool:
        """Whether it chooses better among queries that are known together."""
        ...

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        """For one query that came, with at least one offer."""
        ...

    def choose_all(self, queries: Sequence[Sequence[Offer]]) -> list[Choice]:
        """For queries that are known together; also what a plan foresees. Remembers nothing."""
        ...

    def settled(self, offer: Offer, nano_usd: int) -> None:
        """An offer that `choose` took is done, and did cost so much. To be told once."""
        ...

    async def aclose(self) -> None:
        """Keep what was learnt."""
        ...


class _Alone:
    """A goal for which each query stands alone."""

    needs_all = gains_by_all = by_signals = False

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal.choose`."""
        return self.one(offers)

    def choose_all(self, queries: Sequence[Sequence[Offer]]) -> list[Choice]:
        """See `Goal.choose_all`."""
        return [self.one(offers) for offers in queries]

    def settled(self, offer: Offer, nano_usd: int) -> None:
        """Nothing to remember."""

    async def aclose(self) -> None:
        """Nothing to keep."""

    def one(self, offers: Sequence[Offer]) -> Choice:
        """What is chosen."""
        raise NotImplementedError


class Threshold(_Alone):
    """Escalates where the gain that is expected of the best offer is at least so much.

    Args:
        least: in nDCG@10, for each option.
        why: what the threshold stands for, as in "that 30% of the queries have".
    """

    by_signals = True

    def __init__(self, least: Callable[[Option], float], why: str) -> None:
        self._least, self._why = least, why

    def one(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal`."""
        best = _best(offers)
        least = self._least(best.option)
        taken = best if best.gain >= least else None
        than = "at least" if taken else "less than"
        reason = f"{expected(best)}, {than} the {least / POINT:.1f} {self._why}"
        return Choice(taken, "gain", reason)


class Everything(_Alone):
    """Escalates every query, by its best offer.

    Args:
        why: in plain words.
    """

    def __init__(self, why: str) -> None:
        self._why = why

    def one(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal`."""
        best = _best(offers)
        return Choice(best, "rule", f"{expected(best)}; every query is escalated: {self._why}")


class Price(_Alone):
    """Escalates where what is expected to be gained is worth more than it costs.

    Args:
        nano_usd_a_point: what one point of nDCG@10 on one query is worth.
    """

    def __init__(self, nano_usd_a_point: int) -> None:
        self._price = nano_usd_a_point

    def one(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal`."""
        taken = at_price(offers, self._price)
        shown = taken or most_gain(offers)
        assert shown is not None
        verdict = "worth it" if taken else "not worth it"
        return Choice(taken, "gain", f"{expected(shown)}: {verdict} at ${_usd(self._price)} a point")


class Share(_Alone):
    """Escalates a share of the queries, those first where a dollar gains most."""

    needs_all = gains_by_all = True

    def __init__(self, share: float) -> None:
        self._share = share

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        """A query that comes alone is all there is."""
        (choice,) = self.choose_all([offers])
        return choice

    def choose_all(self, queries: Sequence[Sequence[Offer]]) -> list[Choice]:
        """See `Goal.choose_all`."""
        taken = by_share(queries, self._share)
        count, total = sum(offer is not None for offer in taken), len(queries)
        return [
            Choice(
                offer,
                "gain",
                f"{expected(offer or _best(offers))}, {'' if offer else 'not '}among the {count} of {total} "
                "queries where a dollar gains most",
            )
            for offer, offers in zip(taken, queries, strict=True)
        ]


class Dollars:
    """Spends what is left of a budget where a dollar gains most: of all queries, where they are known together; of
    those that come one by one, by a price that is learnt on the way.

    Args:
        left: tells the nano-dollars that are left.
    """

    needs_all, gains_by_all, by_signals = False, True, False

    def __init__(self, left: Callable[[], int]) -> None:
        self._left = left
        self._online: OnlineBudget | None = None

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal.choose`."""
        self._online = self._online or OnlineBudget(self._left())
        left = self._online.left
        taken = self._online.decide(offers)
        best = taken or _best(offers)
        verdict = "the budget pays for it" if taken else "the budget is better spent on other queries"
        return Choice(taken, "gain" if best.nano_usd <= left else "budget", f"{expected(best)}: {verdict}")

    def choose_all(self, queries: Sequence[Sequence[Offer]]) -> list[Choice]:
        """See `Goal.choose_all`."""
        left = self._left()
        taken = allot(queries, left).taken
        return [
            Choice(
                offer,
                "gain" if offer or _best(offers).nano_usd <= left else "budget",
                f"{expected(offer or _best(offers))}: {'' if offer else 'not '}among those where the ${_usd(left)} "
                "that are left gain most",
            )
            for offer, offers in zip(taken, queries, strict=True)
        ]

    def settled(self, offer: Offer, nano_usd: int) -> None:
        """See `Goal.settled`."""
        if self._online is not None:
            self._online.spent(offer, nano_usd)

    async def aclose(self) -> None:
        """Nothing to keep: the books know what was spent."""


class Day:
    """Spreads a day's budget over the day, so that it lasts, and is spent where a dollar gains most."""

    needs_all = gains_by_all = by_signals = False

    def __init__(self, paced: Paced) -> None:
        self._paced = paced

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal.choose`."""
        taken = await self._paced.decide(offers)
        best = taken or _best(offers)
        price = self._paced.pacer.price
        verdict = "as much as" if taken else "less than"
        asked = f"the day's price of {price / POINT:.3g} points a dollar" if price else "the day's budget allows"
        return Choice(taken, "gain", f"{expected(best)}: {verdict} {asked}")

    def choose_all(self, queries: Sequence[Sequence[Offer]]) -> list[Choice]:
        """What a plan foresees: all that the day's cap pays for."""
        return Dollars(lambda: self._paced.pacer.cap - self._paced.pacer.held).choose_all(queries)

    def settled(self, offer: Offer, nano_usd: int) -> None:
        """See `Goal.settled`."""
        self._paced.settled(offer, nano_usd)

    async def aclose(self) -> None:
        """Put what was learnt into the ledger."""
        with suppress(LedgerFailed):
            await self._paced.share()


def expected(offer: Offer) -> str:
    """An offer's gain and cost, in words."""
    read = f"reading {offer.option.depth}" + (f" {offer.option.votes} times" if offer.option.votes > 1 else "")
    cost = f" for ${_usd(offer.nano_usd)}" if offer.nano_usd else ""
    return f"{read} is expected to gain {offer.gain / POINT:.1f} points{cost}"


def _best(offers: Sequence[Offer]) -> Offer:
    best = most_gain(offers)
    assert best is not None
    return best


def _usd(nano_usd: int) -> str:
    return f"{float(usd_of(nano_usd)):.2g}"
