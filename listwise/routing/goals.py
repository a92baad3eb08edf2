"""What escalation is to achieve: each goal chooses among a query's offers, on its own or knowing all queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from math import isinf
from typing import NamedTuple, Protocol

from listwise.errors import LedgerFailed
from listwise.log import get_logger
from listwise.routing.decisions import POINT, at_price, by_share, most_gain
from listwise.routing.dual import OnlineBudget
from listwise.routing.knapsack import allot
from listwise.routing.offers import Offer, Option
from listwise.routing.paced import Paced
from listwise.spend.money import plain, usd_of
from listwise.spend.routes import Why

_log = get_logger(__name__)


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
    def gains_by_all(self) -> bool:
        """Whether it chooses better among queries that are known together."""
        ...

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        """For one query that came, with at least one offer."""
        ...

    def choose_all(self, queries: Sequence[Sequence[Offer]], stand_for: float = 1.0) -> list[Choice]:
        """For queries that are known together, each of which may ``stand_for`` several; also what a plan foresees.
        Remembers nothing."""
        ...

    def settled(self, offer: Offer | None, nano_usd: int) -> None:
        """An offer that was taken is done, and did cost so much; or, without one, so much was spent besides. To be
        told once."""
        ...

    async def aclose(self) -> None:
        """Keep what was learnt."""
        ...


class _Alone:
    """A goal for which each query stands alone."""

    needs_all = gains_by_all = False

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal.choose`."""
        return self.one(offers)

    def choose_all(self, queries: Sequence[Sequence[Offer]], stand_for: float = 1.0) -> list[Choice]:
        """See `Goal.choose_all`."""
        return [self.one(offers) for offers in queries]

    def settled(self, offer: Offer | None, nano_usd: int) -> None:
        """Nothing to remember."""

    async def aclose(self) -> None:
        """Nothing to keep."""

    def one(self, offers: Sequence[Offer]) -> Choice:
        """What is chosen."""
        raise NotImplementedError


class Bar(NamedTuple):
    """From which gain on a query is escalated."""

    least: float
    """In nDCG@10; infinite where none is, or all are."""
    why: str
    """What it stands for, as in "that three in ten have"; of an infinite one, the reason."""


class Threshold(_Alone):
    """Escalates where the gain that is expected of the best offer is at least so much, and where nothing is known.

    Args:
        bar: for a query of which such options are offered.
    """

    def __init__(self, bar: Callable[[Sequence[Option]], Bar]) -> None:
        self._bar = bar

    def one(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal`."""
        best = _best(offers)
        if not best.known:
            return Choice(best, "gain", expected(best))
        bar = self._bar([offer.option for offer in offers])
        taken = best if best.gain >= bar.least else None
        than = f", {'at least' if taken else 'less than'} the {bar.least / POINT:.1f} "
        return Choice(taken, "gain", f"{expected(best)}{'; ' if isinf(bar.least) else than}{bar.why}")


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
        verdict = "worth it" if taken else "not worth it"
        return Choice(
            taken, "gain", f"{expected(taken or _best(offers))}: {verdict} at ${_usd(self._price)} a point"
        )


class Rate(_Alone):
    """Takes the offer whose gain is furthest above what its cost must bring; where nothing is known, in any case.

    Args:
        must: tells for a query's offers, in their order, which gain each must bring, in nDCG@10.
        why: when it must, as in "where half of the money is spent".
    """

    def __init__(self, must: Callable[[Sequence[Offer]], Sequence[float]], why: str) -> None:
        self._must, self._why = must, why

    def one(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal`."""
        must = dict(zip(offers, self._must(offers), strict=True))
        best = min(offers, key=lambda offer: (must[offer] - offer.gain, offer.nano_usd, offer.option))
        if not best.known:
            return Choice(best, "gain", expected(best))
        taken = best if best.gain > must[best] else None
        than = f"{'more' if taken else 'no more'} than the {must[best] / POINT:.1f} that so much must bring"
        return Choice(taken, "gain", f"{expected(best)}, {than} {self._why}")


class Share(_Alone):
    """Escalates a share of the queries: those first of which nothing is known, then where a dollar gains most.

    Args:
        share: of the queries that are known together.
        alone: for a query that comes alone; None where nothing tells queries apart: then it is their turn that
            counts.
    """

    needs_all = gains_by_all = True

    def __init__(self, share: float, alone: Threshold | None) -> None:
        self._share, self._alone = share, alone
        self._came = 0

    def one(self, offers: Sequence[Offer]) -> Choice:
        """What is chosen for a query that comes alone."""
        if self._alone is not None:
            return self._alone.one(offers)
        before, self._came = self._came, self._came + 1
        best, turn = _best(offers), int(self._came * self._share + 0.5) > int(before * self._share + 0.5)
        told = f"{expected(best)}, as on any query; {self._share:.0%} are escalated, by turns"
        return Choice(best if turn else None, "gain", told)

    def choose_all(self, queries: Sequence[Sequence[Offer]], stand_for: float = 1.0) -> list[Choice]:
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
        left: tells the nano-dollars that are left. A stream has those that are left in the beginning, less what
            `settled` is told.
    """

    needs_all, gains_by_all = False, True

    def __init__(self, left: Callable[[], int]) -> None:
        self._left = left
        self._online = OnlineBudget(left())
        self._open = Counter[Offer]()

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal.choose`."""
        left = self._online.left
        taken = self._online.decide(offers)
        if taken:
            self._open[taken] += 1
        verdict = "the budget pays for it" if taken else "the budget is better spent on other queries"
        return _bought(taken, offers, left, f": {verdict}")

    def choose_all(self, queries: Sequence[Sequence[Offer]], stand_for: float = 1.0) -> list[Choice]:
        """See `Goal.choose_all`."""
        left = int(self._left() / stand_for)
        among = f"among those where the ${_usd(left)} that are left gain most"
        return [
            _bought(offer, offers, left, f", {'' if offer else 'not '}{among}")
            for offer, offers in zip(allot(queries, left).taken, queries, strict=True)
        ]

    def settled(self, offer: Offer | None, nano_usd: int) -> None:
        """See `Goal.settled`."""
        if offer is not None and self._open[offer]:
            self._open[offer] -= 1
            if not self._open[offer]:
                del self._open[offer]
            self._online.spent(offer, nano_usd)
        else:
            self._online.committed += nano_usd

    async def aclose(self) -> None:
        """Nothing to keep: the books know what was spent."""


class Day:
    """Spreads a day's budget over the day, so that it lasts, and is spent where a dollar gains most."""

    needs_all = gains_by_all = False

    def __init__(self, paced: Paced) -> None:
        self._paced = paced

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        """See `Goal.choose`."""
        try:
            taken = await self._paced.decide(offers)
        except LedgerFailed as error:
            _log.warning("nothing is escalated while pacing has no ledger", why=str(error))
            return Choice(None, "budget", f"{expected(_best(offers))}: {error}")
        price = self._paced.pacer.price
        points = _short(Decimal(price / POINT), 3)
        asked = f"the day's price of {points} points a dollar" if price else "the day's budget allows"
        return _bought(taken, offers, self._paced.left, f": {'as much as' if taken else 'less than'} {asked}")

    def choose_all(self, queries: Sequence[Sequence[Offer]], stand_for: float = 1.0) -> list[Choice]:
        """What a plan foresees: what gains most of all that the rest of the day's budget pays for."""
        foreseen = Dollars(self._paced.books_left).choose_all(queries, stand_for)
        return [each._replace(reason=f"{each.reason}; the day's price is known when it comes") for each in foreseen]

    def settled(self, offer: Offer | None, nano_usd: int) -> None:
        """See `Goal.settled`; the books tell what is spent besides."""
        if offer is not None:
            self._paced.settled(offer, nano_usd)

    async def aclose(self) -> None:
        """Put what was learnt into the ledger."""
        with suppress(LedgerFailed):
            await self._paced.share()


def expected(offer: Offer) -> str:
    """An offer's gain and cost, in words."""
    read = f"reading {offer.option.depth}" + (f" {offer.option.votes} times" if offer.option.votes > 1 else "")
    cost = f" for ${_usd(offer.nano_usd)}" if offer.nano_usd else ""
    known = "" if offer.known else "nothing tells how ambiguous the query is; of others, "
    return f"{known}{read} is expected to gain {offer.gain / POINT:.1f} points{cost}"


def _bought(taken: Offer | None, offers: Sequence[Offer], left: int, verdict: str) -> Choice:
    """The choice where ``left`` nano-dollars were left to buy with."""
    best = taken or _best(offers)
    affordable = taken is not None or best.nano_usd <= left
    told = verdict if affordable else f": the ${_usd(left)} that are left do not pay for it"
    return Choice(taken, "gain" if affordable else "budget", f"{expected(best)}{told}")


def _best(offers: Sequence[Offer]) -> Offer:
    best = most_gain(offers)
    assert best is not None
    return best


def _usd(nano_usd: int) -> str:
    usd = usd_of(nano_usd)
    return f"{usd:.2f}" if usd >= 1 else _short(usd, 2)


def _short(number: Decimal, digits: int) -> str:
    """To so many digits, without an exponent."""
    return plain(Decimal(f"{number:.{digits}g}"))
