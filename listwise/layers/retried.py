"""When to try again, and when not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from listwise.calls import Call
from listwise.errors import BudgetExceeded, Transient
from listwise.layers.base import Answer, Layer
from listwise.spend.tab import Tab

Sleep = Callable[[float], Awaitable[None]]


class Retried:
    """Tries transient failures again, up to ``attempts`` times and never beyond the query's deadline.

    Waits as long as the server asks for, else exponentially with jitter. A server that asks for more than
    ``max_wait_s`` is not waited for.
    """

    def __init__(
        self, inner: Layer, attempts: int = 5, max_wait_s: float = 60.0, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._inner = inner
        self._sleep = sleep
        self._attempts = stop_after_attempt(attempts)
        self._max_wait_s = max_wait_s
        self._backoff = wait_random_exponential(multiplier=0.5, max=max_wait_s)
        self._transient = retry_if_exception_type(Transient)

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""

        def too_late(state: RetryCallState) -> bool:
            try:
                left = tab.seconds_left()
            except BudgetExceeded:
                return True
            return state.upcoming_sleep > self._max_wait_s or (left is not None and state.upcoming_sleep >= left)

        def count(_: RetryCallState) -> None:
            tab.retries += 1

        retrying = AsyncRetrying(
            retry=self._transient,
            stop=lambda state: self._attempts(state) or too_late(state),
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=count,
            reraise=True,
        )
        return await retrying(self._inner.ask, call, tab)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Transient) and error.retry_after_s is not None:
            return error.retry_after_s
        return self._backoff(state)
