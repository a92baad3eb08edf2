"""A model that refuses our key is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from listwise.calls import Call
from listwise.errors import Auth
from listwise.layers.base import Answer, Layer
from listwise.spend.tab import Tab

BAR_S = 300.0
"""Until it is tried again: a key can be mended, and an account filled, while a service runs."""


class Barred:
    """Remembers that the key was refused: for `BAR_S` no call is sent. What is cached can still be had."""

    def __init__(self, inner: Layer, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = inner
        self._clock = clock
        self._refusal: Auth | None = None
        self._until = 0.0

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`.

        Raises:
            Auth: the key was refused a while ago; nothing was sent.
        """
        if self._refusal is not None and self._clock() < self._until:
            again = Auth(self._refusal.message, model=self._refusal.model, status=self._refusal.status)
            again.sent = False
            raise again
        try:
            return await self._inner.ask(call, tab)
        except Auth as error:
            self._refusal = error
            self._until = self._clock() + BAR_S
            raise
