"""How many requests a model gets at a time: as many as it is seen to bear, and never more than the user allows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from listwise.calls import Call
from listwise.errors import CallError, Timeout
from listwise.layers.base import Answer, Layer
from listwise.spend.tab import Tab

OVERLOADED = frozenset({429, 503, 504, 524, 529})
"""Statuses by which a server, or the gateway before it, says that it has too much to do."""


class Slots:
    """Slots that are handed out first come, first served; their number may change at any time. O(1) throughout.

    Whoever waits is passed over once cancelled, and gives back a slot that came too late. While a slot is free,
    nobody waits: so a newcomer never overtakes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many may be taken at a time; more may still be, just after it was lowered."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._hand_out()

    @property
    def taken(self) -> int:
        """How many are taken now."""
        return self._taken

    def try_to_take(self) -> bool:
        """Take a slot if one is free."""
        if self._taken >= self._limit:
            return False
        self._taken += 1
        return True

    async def take(self) -> None:
        """Wait for a slot, and take it."""
        if self.try_to_take():
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        """Free a slot that was taken."""
        self._taken -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._queue and self._taken < self._limit:
            turn = self._queue.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)


class Limited:
    """At most ``most`` calls at a time, and fewer while the model is overloaded; the others wait their turn.

    Additive increase, multiplicative decrease, as in TCP: a sign of overload halves the limit, and as many answers
    as the limit raise it by one. Calls that were already on their way when it was last halved cannot halve it
    again, so that one bad moment counts once.
    """

    def __init__(self, inner: Layer, most: int, look: Callable[[], None] = lambda: None) -> None:
        """``look`` is called before a call queues, and raises if waiting is of no use."""
        self._inner = inner
        self._most = most
        self._look = look
        self._slots = Slots(most)
        self._sent = 0
        self._sent_when_halved = 0
        self._answered = 0

    @property
    def limit(self) -> int:
        """How many calls there may be at a time, as of now."""
        return self._slots.limit

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`. A query's time runs on while it waits."""
        self._look()
        if not self._slots.try_to_take():
            await self._wait(tab)
        self._sent = number = self._sent + 1
        try:
            answer = await self._inner.ask(call, tab)
        except CallError as error:
            if _is_overload(error) and number > self._sent_when_halved:
                self._halve()
            raise
        else:
            self._grow()
            return answer
        finally:
            self._slots.give_back()

    async def _wait(self, tab: Tab) -> None:
        try:
            async with asyncio.timeout(tab.seconds_left()):
                await self._slots.take()
        except TimeoutError as error:
            raise tab.too_late() from error

    def _halve(self) -> None:
        self._slots.limit = max(1, self._slots.limit // 2)
        self._sent_when_halved = self._sent
        self._answered = 0

    def _grow(self) -> None:
        if self._slots.limit == self._most:
            return
        self._answered += 1
        if self._answered >= self._slots.limit:
            self._answered = 0
            self._slots.limit += 1


def _is_overload(error: CallError) -> bool:
    if isinstance(error, Timeout):
        return not error.by_deadline
    return error.status in OVERLOADED
