"""The innermost layer: one attempt, bounded in time."""

from __future__ import annotations

import asyncio

from listwise.calls import Call
from listwise.errors import Timeout
from listwise.layers.base import Answer
from listwise.models.base import Model
from listwise.spend.tab import Tab


class Provider:
    """Puts a call to the model, within the request timeout and what is left of the query's time."""

    def __init__(self, model: Model, timeout_s: float) -> None:
        self._model = model
        self._timeout_s = timeout_s

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        left = tab.seconds_left()
        timeout_s = self._timeout_s if left is None else min(left, self._timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                return Answer(await self._model.complete(call, timeout_s=timeout_s))
        except TimeoutError as error:
            name = self._model.identity.name
            raise Timeout(f"no answer within {timeout_s:.3g} s", model=name) from error
