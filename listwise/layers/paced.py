"""How many requests and tokens a minute a model gets."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from listwise.calls import Call
from listwise.errors import BudgetExceeded, CallError, LedgerFailed, RateLimited
from listwise.layers.allowances import Bucket, Portion, Window
from listwise.layers.base import Answer, Layer
from listwise.pace import Pace
from listwise.spend.tab import Tab
from listwise.types import Usage

BYTES_A_TOKEN = 3
"""For a first guess at a prompt's tokens, rather too many than too few; the bill corrects it."""
FIRST_PAUSE_S = 0.25
"""After the second 429 in a row that does not say how long to wait; doubled with each further one."""
SPREAD = 0.1
"""By what part of itself a pause is lengthened at random, so that several processes do not come back as one."""
LONGEST_PAUSE_S = 300.0
"""However long the provider asks to be left alone: it may be mistaken, and the next refusal costs nothing."""
LONGEST_NAP_S = 1.0
"""Between two looks at whether the way is free: bills and other answers may have freed it early."""
SHORTEST_NAP_S = 0.001


@dataclass(slots=True)
class _Ticket:
    """One call on its way."""

    input_tokens: int
    output_tokens: int
    """What it may answer at most."""
    answer_tokens: int
    """What it is expected to answer."""
    since: float
    """When it came, and later, when it came to the head of the line."""
    number: int = 0
    """Its place among all calls that were sent."""
    portion: Portion | None = None
    """Its place in the user's own limit of tokens."""
    sent: tuple[int, ...] = ()
    """Its number in each of the provider's buckets."""

    @property
    def amounts(self) -> tuple[int, int, int, int]:
        """What it takes of requests, tokens, input tokens and output tokens."""
        return 1, self.input_tokens + self.output_tokens, self.input_tokens, self.answer_tokens


class Paced:
    """Sends at most ``rpm`` requests and ``tpm`` tokens in any minute, and no more than the provider says is left.

    The user's limits hold in this process; what the provider says with each answer holds over all that share the
    key. A 429 makes all calls to the model wait: as long as the provider asks, but no longer than
    `LONGEST_PAUSE_S`, or ever longer while nothing else comes. Calls go first come, first served. A call's tokens
    are guessed from its length until its bill is there.
    """

    def __init__(
        self,
        inner: Layer,
        model: str,
        *,
        rpm: int | None = None,
        tpm: int | None = None,
        max_wait_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Where the provider asks for a longer pause than ``max_wait_s``, calls fail at once."""
        self._inner = inner
        self._model = model
        self._rpm = Window(rpm) if rpm else None
        self._tpm = Window(tpm) if tpm else None
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._door = asyncio.Lock()
        self._waiting = 0
        self._number = 0
        self._buckets = (Bucket(), Bucket(), Bucket(), Bucket())
        self._learned = False
        self._paused_until = 0.0
        self._refusals = 0
        self._number_when_refused = 0
        self._usual_answer: float | None = None

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`. A query's time runs on while it waits.

        Raises:
            RateLimited: the provider asked for a pause that is too long to wait; nothing was sent.
        """
        ticket = self._ticket(call)
        if self._waiting or self._wait_s(ticket) > 0:
            await self._wait(ticket, tab)
        self._take(ticket)
        try:
            answer = await self._inner.ask(call, tab)
        except (BudgetExceeded, LedgerFailed):
            self._give_back(ticket)
            raise
        except CallError as error:
            if not error.sent:
                self._give_back(ticket)
                raise
            self._learn(error.pace, ticket)
            if isinstance(error, RateLimited):
                self._pause(error.retry_after_s, ticket)
            raise
        self._refusals = 0
        self._learn(answer.completion.pace, ticket)
        self._correct(ticket, answer.completion.usage)
        return answer

    async def _wait(self, ticket: _Ticket, tab: Tab) -> None:
        """Wait in line until the call may go.

        Raises:
            BudgetExceeded: the query's time is up, or will be before a pause is over.
        """
        self._waiting += 1
        try:
            async with asyncio.timeout(tab.seconds_left()), self._door:
                ticket.since = self._clock()
                while (wait_s := self._wait_s(ticket)) > 0:
                    left_s = tab.seconds_left()
                    if left_s is not None and self._paused_until - self._clock() >= left_s:
                        raise tab.too_late()
                    await self._sleep(min(max(wait_s, SHORTEST_NAP_S), LONGEST_NAP_S))
        except TimeoutError as error:
            raise tab.too_late() from error
        finally:
            self._waiting -= 1

    def _wait_s(self, ticket: _Ticket) -> float:
        """Seconds until the call may go, by all that is known; 0 or less for now.

        Nothing that was only stated is waited for longer than ``max_wait_s``: then the provider may say it again.
        """
        now = self._clock()
        requests, tokens, _, _ = ticket.amounts
        wait_s = self._pause_left_s(now)
        if self._rpm is not None:
            wait_s = max(wait_s, self._rpm.wait_s(requests, now))
        if self._tpm is not None:
            wait_s = max(wait_s, self._tpm.wait_s(tokens, now))
        if self._learned:
            stated = max(bucket.wait_s(n, now) for bucket, n in zip(self._buckets, ticket.amounts, strict=True))
            wait_s = max(wait_s, min(stated, ticket.since + self._max_wait_s - now))
        return wait_s

    def _pause_left_s(self, now: float) -> float:
        left_s = self._paused_until - now
        if left_s > self._max_wait_s * (1 + SPREAD):
            error = RateLimited(
                f"not asked: the provider wants to be left alone for more than {self._max_wait_s:.0f} s",
                model=self._model,
                retry_after_s=left_s,
            )
            error.hopeless = True
            error.sent = False
            raise error
        return left_s

    def _ticket(self, call: Call) -> _Ticket:
        size = sum(len(message.content.encode("utf-8", "replace")) for message in call.messages)
        most = call.sampling.max_output_tokens
        usual = most if self._usual_answer is None else min(most, round(self._usual_answer))
        return _Ticket(size // BYTES_A_TOKEN, most, usual, self._clock())

    def _take(self, ticket: _Ticket) -> None:
        now = self._clock()
        self._number = ticket.number = self._number + 1
        requests, tokens, _, _ = ticket.amounts
        if self._rpm is not None:
            self._rpm.take(requests, now)
        if self._tpm is not None:
            ticket.portion = self._tpm.take(tokens, now)
        ticket.sent = tuple(bucket.take(n) for bucket, n in zip(self._buckets, ticket.amounts, strict=True))

    def _give_back(self, ticket: _Ticket) -> None:
        """The call was not sent. Of the user's limits, only its tokens are given back: strictness costs little."""
        if self._tpm is not None and ticket.portion is not None:
            self._tpm.correct(ticket.portion, 0)
        for bucket, amount in zip(self._buckets, ticket.amounts, strict=True):
            bucket.give_back(amount)

    def _correct(self, ticket: _Ticket, usage: Usage) -> None:
        """The bill is there."""
        if self._tpm is not None and ticket.portion is not None:
            self._tpm.correct(ticket.portion, usage.input_tokens + usage.output_tokens)
        usual = self._usual_answer
        self._usual_answer = usage.output_tokens if usual is None else 0.9 * usual + 0.1 * usage.output_tokens

    def _learn(self, pace: Pace | None, ticket: _Ticket) -> None:
        if pace is None:
            return
        self._learned = True
        now = self._clock()
        stated = (pace.requests, pace.tokens, pace.input_tokens, pace.output_tokens)
        for bucket, quota, sent in zip(self._buckets, stated, ticket.sent, strict=True):
            if quota is not None:
                bucket.learn(quota, sent, now)

    def _pause(self, wish_s: float | None, ticket: _Ticket) -> None:
        """A 429: hold all calls. Those that were under way when the last one came count as one with it."""
        if ticket.number > self._number_when_refused:
            self._refusals += 1
            self._number_when_refused = self._number
        if wish_s is None:
            doublings = self._refusals - 2
            wish_s = 0.0 if doublings < 0 else min(FIRST_PAUSE_S * 2.0**doublings, self._max_wait_s)
        until = self._clock() + min(wish_s, LONGEST_PAUSE_S) * (1 + self._uniform(0, SPREAD))
        self._paused_until = max(self._paused_until, until)
