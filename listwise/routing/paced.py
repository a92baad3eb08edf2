"""Pacing over a ledger: what is learnt outlives the process and is shared with others, and the books say what is
spent.

Every few queries, or seconds, a process adds what it saw to the state that the ledger keeps for the account, and
takes over the sum with what the day holds in the books, in one transaction. A process that is killed loses what it
saw since; what it spent stands in the books.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from listwise.routing.demand import day_of
from listwise.routing.offers import Offer
from listwise.routing.pacing import Experience, Pacer
from listwise.spend.purse import Purse

MOST_QUERIES = 16
MOST_S = 10.0
"""How many queries may be decided, and seconds pass, from one look at the ledger to the next."""


class Paced:
    """A `Pacer` for the day of a purse's account. For the tasks of one event loop at a time.

    Args:
        purse: whose day; its clock is the pacer's.
        cap: nano-dollars a day.
    """

    def __init__(self, purse: Purse, cap: int) -> None:
        self.pacer = Pacer(cap, purse.now())
        self._purse = purse
        self._looked_at: float | None = None
        self._queries = 0
        self._looking = False

    @property
    def left(self) -> int:
        """Nano-dollars of the day that are neither spent nor may be by what is under way."""
        pacer = self.pacer
        return max(0, pacer.cap - pacer.held)

    def books_left(self) -> int:
        """The same by the books, as others spent of it, too."""
        day, *_ = self._purse.outer()
        return max(0, self.pacer.cap - self._purse.ledger.held(day))

    async def decide(self, offers: Sequence[Offer]) -> Offer | None:
        """Take an offer for a query, or none. See `Pacer.decide`.

        Raises:
            LedgerFailed: the books cannot be written, so that nothing could be paid for.
        """
        now = self._purse.now()
        if self._is_due(now):
            # A caller that is cancelled must not leave it open whether the ledger has the news.
            await asyncio.shield(asyncio.ensure_future(self.share()))
        self._queries += 1
        return self.pacer.decide(now, offers)

    def settled(self, offer: Offer, nano_usd: int) -> None:
        """An offer that was taken is done, and did cost so much. See `Pacer.settled`."""
        self.pacer.settled(self._purse.now(), offer, nano_usd)

    async def share(self) -> None:
        """Put what was seen since the last time into the ledger, and take over what others put there.

        Raises:
            LedgerFailed: the books cannot be written.
        """
        now = self._purse.now()
        news = self.pacer.news(now)
        day, *_ = self._purse.outer()
        self._looking, self._queries = True, 0
        try:
            shared = await self._purse.ledger.share(
                self._purse.account, day, lambda kept: news.onto(kept).to_json()
            )
        except BaseException:
            self.pacer.take_back(news)
            raise
        finally:
            self._looking = False
        known = Experience.from_json(shared.state)
        assert known is not None
        self.pacer.catch_up(news, known, shared.settled + shared.reserved)
        self._looked_at = now

    def _is_due(self, now: float) -> bool:
        """Whether to look at the ledger first. While another task looks, what is known has to do."""
        at = self._looked_at
        if at is None or day_of(at) != day_of(now):
            return True
        return not self._looking and (self._queries >= MOST_QUERIES or not at <= now < at + MOST_S)
