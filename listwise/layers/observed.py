"""Two places where calls are told of: around all layers, where it is one call, and at the wire, where it is many.

In the conventions of OpenTelemetry a call to a model is one span with all its attempts; each of those is a span
within it, so that waiting for a turn, and between attempts, can be seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from listwise.calls import Call, Identity
from listwise.errors import BudgetExceeded, CallError, LedgerFailed
from listwise.layers.base import Answer, Layer
from listwise.spend.tab import Tab
from listwise.telemetry import attributes, listening, names
from listwise.telemetry.spans import begin, error_type


class Observed:
    """The whole of a call. It is around the cache, so that answers that are at hand are told of, too."""

    def __init__(self, inner: Layer, identity: Identity, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._inner = inner
        self._identity = identity
        self._clock = clock
        self._known = {
            each: (f"{each} {identity.model}", attributes.of_model(identity, each))
            for each in (names.CHAT, names.RERANK)
        }

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        operation = names.RERANK if call.form == "scores" else names.CHAT
        name, known = self._known[operation]
        began = self._clock()
        with begin(name, known, kind="CLIENT") as span:
            if span.recording:
                span.note(attributes.of_call(call))
            try:
                answer = await self._inner.ask(call, tab)
            except BaseException as error:
                if _was_sent(error):
                    self._tell(operation, began, error=error_type(error))
                raise
            if span.recording:
                span.note(attributes.of_answer(answer.completion, answer.nano_usd, cached=answer.cached))
        self._tell(operation, began, cached=answer.cached)
        return answer

    def _tell(self, operation: str, began: float, *, error: str | None = None, cached: bool = False) -> None:
        listening.tell(listening.Called(self._identity, operation, self._clock() - began, error, cached))


class Attempted:
    """One attempt of it."""

    def __init__(self, inner: Layer, identity: Identity) -> None:
        self._inner = inner
        self._identity = identity

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        with begin("attempt") as span:
            try:
                answer = await self._inner.ask(call, tab)
            except BaseException as error:
                listening.tell(listening.Attempted(self._identity, error_type(error)))
                if isinstance(error, CallError) and error.status is not None:
                    span.note({names.HTTP_STATUS: error.status})
                raise
        listening.tell(listening.Attempted(self._identity))
        return answer


def _was_sent(error: BaseException) -> bool:
    """Whether anything was asked of the model before it came to that."""
    if isinstance(error, BudgetExceeded | LedgerFailed):
        return False
    return error.sent if isinstance(error, CallError) else True
