"""A model that keeps failing is left alone for a while, so that nobody waits for it and nothing is spent on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from listwise.calls import Call
from listwise.errors import Broken, CallError, CircuitOpen, RateLimited, Timeout, Transient
from listwise.layers.base import Answer, Layer
from listwise.log import get_logger
from listwise.spend.tab import Tab
from listwise.telemetry.listening import Broke, Mended, tell

_log = get_logger(__name__)

FAILURES = 10
"""In a row, before the circuit opens: with a third of all calls failing at random, one run in sixty thousand."""
SHORTEST_S = 1.0
"""That such a run must last: a server that is restarted drops all calls under way at once, and is soon back."""
COOL_DOWN_S = 5.0
"""Until the first probe; doubled with each probe that fails."""
LONGEST_COOL_DOWN_S = 120.0

State = Literal["closed", "open", "half-open"]


class Circuit:
    """Closed, open or half-open: a state machine that knows no call and no clock but the one it is given.

    Closed, all calls go through, until ``failures`` in a row over at least ``shortest_s`` seconds open it. Open,
    none does until the cool-down is over. Then it is half-open: one call goes through as a probe. If that succeeds
    the circuit closes, if it fails the next cool-down is twice as long. What becomes of calls that began before it
    opened says nothing about now, and changes nothing.

    Own code, as purgatory lets all callers through at once when half-open, never waits longer, and goes by the wall
    clock; aiobreaker has had no release since 2021.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = FAILURES,
        shortest_s: float = SHORTEST_S,
        cool_down_s: float = COOL_DOWN_S,
        longest_cool_down_s: float = LONGEST_COOL_DOWN_S,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``name`` is the model's; ``now`` is Unix time, for what errors say."""
        self._name = name
        self._failures = failures
        self._shortest_s = shortest_s
        self._first_cool_down_s = self._cool_down_s = cool_down_s
        self._longest_cool_down_s = longest_cool_down_s
        self._clock = clock
        self._now = now
        self._in_a_row = 0
        self._since = 0.0
        self._retry_at: float | None = None
        self._probe: int | None = None
        self._begun = 0
        self._begun_when_opened = 0
        self._says = ""

    @property
    def state(self) -> State:
        """As of now."""
        if self._retry_at is None:
            return "closed"
        return "open" if self._clock() < self._retry_at else "half-open"

    def check(self) -> None:
        """Look whether a call would be let through.

        Raises:
            CircuitOpen: it would not.
        """
        if self._retry_at is not None and (self._probe is not None or self._clock() < self._retry_at):
            raise CircuitOpen(self._says, model=self._name)

    def begin(self) -> int:
        """Let a call through; the number returned stands for it. Half-open, it is the probe.

        Raises:
            CircuitOpen: it is not let through.
        """
        if self._retry_at is not None:
            self.check()
            self._probe = self._begun + 1
        self._begun += 1
        return self._begun

    def succeed(self, number: int) -> None:
        """The model answered that call, if only to say that it will not do it."""
        if number == self._probe:
            self._probe = self._retry_at = None
            self._cool_down_s = self._first_cool_down_s
            _log.info("the model answers again", model=self._name)
            tell(Mended(id(self), self._name))
        if self._retry_at is None:
            self._in_a_row = 0

    def fail(self, number: int, why: CallError) -> None:
        """That call failed in a way that says something about the model."""
        if number == self._probe:
            self._probe = None
            self._in_a_row += 1
            self._cool_down_s = min(2 * self._cool_down_s, self._longest_cool_down_s)
            self._open(why)
        elif self._retry_at is None and number > self._begun_when_opened:
            if self._in_a_row == 0:
                self._since = self._clock()
            self._in_a_row += 1
            if self._in_a_row >= self._failures and self._clock() - self._since >= self._shortest_s:
                self._open(why)

    def abandon(self, number: int) -> None:
        """That call came to no end that says anything about the model; another may be the probe."""
        if number == self._probe:
            self._probe = None

    def _open(self, why: CallError) -> None:
        self._begun_when_opened = self._begun
        self._retry_at = self._clock() + self._cool_down_s
        began = self._now() - (self._clock() - self._since)
        self._says = (
            f"not asked: it has failed {self._in_a_row} times in a row since {_time_of_day(began)}, and is tried "
            f"again at {_time_of_day(self._now() + self._cool_down_s)}; last: {why.message}"
        )
        _log.warning("the model keeps failing and is left alone", model=self._name, seconds=self._cool_down_s)
        tell(Broke(id(self), self._name))


class Breaker:
    """Puts calls through a `Circuit`. It stands where nothing is waited for any more: next to the attempt itself.

    A call that queued while the circuit was closed is so stopped if it opened meanwhile; before it queues,
    `Limited` looks at the same circuit. An attempt that could not be paid for was never made, and is no probe.
    """

    def __init__(self, inner: Layer, circuit: Circuit) -> None:
        self._inner = inner
        self._circuit = circuit

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`.

        Raises:
            CircuitOpen: the model is left alone; nothing was sent.
        """
        circuit = self._circuit
        number = circuit.begin()
        try:
            answer = await self._inner.ask(call, tab)
        except CallError as error:
            if says_nothing(error):
                circuit.abandon(number)
            elif is_failure(error):
                circuit.fail(number, error)
            else:
                circuit.succeed(number)
            raise
        except BaseException:
            circuit.abandon(number)
            raise
        circuit.succeed(number)
        return answer


def is_failure(error: CallError) -> bool:
    """Whether the server is at fault: not for a request that it understood and refused, or wants later."""
    return isinstance(error, Transient) and not isinstance(error, RateLimited)


def says_nothing(error: CallError) -> bool:
    """Whether the server's state remains unknown."""
    return isinstance(error, Broken) or (isinstance(error, Timeout) and error.by_deadline)


def _time_of_day(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%H:%M:%S} UTC"
