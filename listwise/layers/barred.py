"""A model that refuses our key is not asked again."""

from __future__ import annotations

from listwise.calls import Call
from listwise.errors import Auth
from listwise.layers.base import Answer, Layer
from listwise.spend.tab import Tab


class Barred:
    """Remembers that the key was refused: no later call could fare better. What is cached can still be had."""

    def __init__(self, inner: Layer) -> None:
        self._inner = inner
        self._refusal: Auth | None = None

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        if self._refusal is not None:
            raise Auth(self._refusal.message, model=self._refusal.model, status=self._refusal.status)
        try:
            return await self._inner.ask(call, tab)
        except Auth as error:
            self._refusal = error
            raise
