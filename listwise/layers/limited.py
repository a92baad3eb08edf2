"""How many requests a model gets at a time."""

from __future__ import annotations

import asyncio

from listwise.calls import Call
from listwise.layers.base import Answer, Layer
from listwise.spend.tab import Tab


class Limited:
    """At most ``concurrency`` calls at a time; the others wait their turn."""

    def __init__(self, inner: Layer, concurrency: int) -> None:
        self._inner = inner
        self._slots = asyncio.Semaphore(concurrency)

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        async with self._slots:
            return await self._inner.ask(call, tab)
