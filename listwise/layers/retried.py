"""When to try again, and when not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from listwise.calls import Call
from listwise.errors import BudgetExceeded, Garbled, Transient
from listwise.layers.base import Answer, Layer
from listwise.spend.tab import Tab
from listwise.telemetry import listening

Sleep = Callable[[float], Awaitable[None]]
Uniform = Callable[[float, float], float]

GARBLED_ATTEMPTS = 2
"""Of a call that is answered with nonsense. Each may be billed: a broken server must not eat a budget."""
LEAST_SPREAD_S, MOST_SPREAD_S = 0.05, 5.0
"""Over how long those come back who were all told to wait as long."""


class Retried:
    """Tries transient failures again, up to ``attempts`` times and never beyond the query's deadline.

    Waits as long as the server asks for and a little more at random, else exponentially with jitter. A server that
    asks for more than ``max_wait_s``, or more than is left of the query's time, is not waited for. The error that
    comes out says why it was the last one.
    """

    def __init__(
        self,
        inner: Layer,
        attempts: int = 5,
        max_wait_s: float = 60.0,
        sleep: Sleep = asyncio.sleep,
        uniform: Uniform = random.uniform,
    ) -> None:
        self._inner = inner
        self._sleep = sleep
        self._uniform = uniform
        self._attempts = attempts
        self._max_wait_s = max_wait_s
        self._backoff = wait_random_exponential(multiplier=0.5, max=max_wait_s)
        self._transient = retry_if_exception_type(Transient)

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        garbled = 0
        last_because = ""

        def stop(state: RetryCallState) -> bool:
            nonlocal garbled, last_because
            error = _failure(state)
            garbled += isinstance(error, Garbled)
            last_because = self._gives_up(state, error, garbled, tab)
            return bool(last_because)

        def give_up(state: RetryCallState) -> Answer:
            error = _failure(state)
            raise error.explained(last_because) from error

        def count(_: RetryCallState) -> None:
            tab.retries += 1
            listening.tell(listening.Retried())

        retrying = AsyncRetrying(
            retry=self._transient,
            stop=stop,
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=count,
            retry_error_callback=give_up,
        )
        return await retrying(self._inner.ask, call, tab)

    def _gives_up(self, state: RetryCallState, error: Transient, garbled: int, tab: Tab) -> str:
        """Why there is no further attempt; empty where there is one."""
        if error.hopeless:
            return "it says that trying again is of no use"
        tries = state.attempt_number
        if tries >= self._attempts or garbled >= GARBLED_ATTEMPTS:
            return f"gave up after {tries} attempt{'s' * (tries > 1)}"
        wish_s = error.retry_after_s
        if wish_s is not None and wish_s > self._max_wait_s:
            return f"it asks us to wait {wish_s:.0f} s; {self._max_wait_s:.0f} s is the longest we wait"
        try:
            left_s = tab.seconds_left()
        except BudgetExceeded:
            return "the query's time is up"
        if left_s is None or state.upcoming_sleep < left_s:
            return ""
        wished = "" if wish_s is None else f"it asks us to wait {wish_s:.3g} s, and "
        return f"{wished}too little is left of the query's time for another attempt"

    def _wait(self, state: RetryCallState) -> float:
        wish_s = _failure(state).retry_after_s
        if wish_s is None:
            return self._backoff(state)
        return wish_s + self._uniform(0, min(LEAST_SPREAD_S + wish_s / 4, MOST_SPREAD_S))


def _failure(state: RetryCallState) -> Transient:
    """What the last attempt failed with."""
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Transient)
    return error
