"""How much is taken on at once: so many rankings run, so many wait, the others are told to come again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from listwise.serve.refusals import busy

SMOOTHING = 0.1
"""The weight of the latest ranking in the mean time that one takes."""
LONGEST_RETRY_S = 60.0


class Gate:
    """Lets in so many at a time, in the order in which they came.

    Attributes:
        running: those inside.
        waiting: those in the queue.
        idle: set while there is neither.
        watcher: called when their numbers have changed.
    """

    def __init__(self, most: int, queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = asyncio.Semaphore(most)
        self._most, self._queue, self._clock = most, queue, clock
        self._mean_s = 0.0
        self.watcher: Callable[[], None] = _nobody
        self.running = self.waiting = 0
        self.idle = asyncio.Event()
        self.idle.set()

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Wait for a place and hold it.

        Raises:
            Refusal: the queue is full.
        """
        if self._places.locked() and self.waiting >= self._queue:
            raise busy(f"all {self._most} places are taken and {self.waiting} requests wait", self.retry_after_s)
        self.idle.clear()
        self.waiting += 1
        self.watcher()
        try:
            await self._places.acquire()
        except BaseException:
            self._left(waiting=1)
            raise
        began = self._clock()
        self.waiting, self.running = self.waiting - 1, self.running + 1
        self.watcher()
        try:
            yield
        finally:
            self._left(running=1)
            self._places.release()
            self._mean_s += SMOOTHING * (self._clock() - began - self._mean_s)

    def _left(self, *, waiting: int = 0, running: int = 0) -> None:
        self.waiting, self.running = self.waiting - waiting, self.running - running
        self.watcher()
        if not self.waiting and not self.running:
            self.idle.set()

    @property
    def retry_after_s(self) -> float:
        """Until the queue as it is now will have been worked off."""
        return min(LONGEST_RETRY_S, self._mean_s * (self.waiting + 1) / self._most)


def _nobody() -> None:
    """Watches nothing."""
