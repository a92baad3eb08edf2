"""The running account of one query: what its budget still allows, and what its ranking did cost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from listwise.errors import BudgetExceeded
from listwise.spend.ledger import Entry, MemoryLedger, Outcome, Reservation
from listwise.spend.purse import Purse
from listwise.telemetry.listening import Reserved, Settled, tell
from listwise.types import Usage

LONGEST_WAIT_S = 0.1
"""Between two looks at whether attempts under way left room."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits for one query; None is no limit. Answers from the cache count against none of them."""

    usd: Decimal | None = None
    tokens: int | None = None
    """Input and output tokens together."""
    calls: int | None = None
    """Requests sent to the LLM, retries included."""
    seconds: float | None = None
    """Wall time from when the query's turn came."""

    @property
    def counts_tokens(self) -> bool:
        """Whether the query's own limits need a call's size to be bounded before it may be sent."""
        return self.usd is not None or self.tokens is not None


@dataclass(frozen=True, slots=True)
class Hold:
    """What one attempt may use at most, set aside until its outcome is known."""

    tokens: int
    reservation: Reservation
    since: float


class Tab:
    """One query's account. Used by the tasks of one event loop; the ledger behind it is shared."""

    def __init__(
        self,
        qid: str,
        budget: Budget,
        purse: Purse | None = None,
        *,
        elapsed_s: float = 0.0,
        patience_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``elapsed_s`` is the time the query has had already, ``patience_s`` how long one attempt may take."""
        self.qid = qid
        self.budget = budget
        self.purse = purse or Purse(MemoryLedger(), "")
        self.attempts = 0
        self.retries = 0
        self.usage = Usage()
        self.nano_usd = 0
        self.counted: str | None = None
        self.over_cap: str | None = None
        self._clock = clock
        self._sleep = sleep
        self._started = clock() - elapsed_s
        self._patience_s = patience_s
        self._tokens_spent = 0
        self._tokens_held = 0
        self._queue = asyncio.Lock()
        self._scopes = self.purse.scopes(qid, budget.usd)
        self._entry = self.purse.entry(qid)

    @property
    def counts(self) -> bool:
        """Whether a call's size must be bounded before it may be sent: for a limit, or for the books."""
        return self.budget.counts_tokens or self.purse.caps.any or self.purse.ledger.keeps

    @property
    def seconds(self) -> float:
        """Seconds since the query's turn came."""
        return self._clock() - self._started

    def resume(self, elapsed_s: float) -> None:
        """Go on as if the query had had so much time: what it waited for other queries meanwhile is not its own."""
        self._started = self._clock() - elapsed_s

    def seconds_left(self) -> float | None:
        """Seconds until the deadline, None if there is none.

        Raises:
            BudgetExceeded: it has passed.
        """
        cap = self.budget.seconds
        if cap is None:
            return None
        if (left := cap - self.seconds) <= 0:
            raise self.too_late()
        return left

    def too_late(self) -> BudgetExceeded:
        """The error for a deadline that passed."""
        cap = self.budget.seconds or 0.0
        return BudgetExceeded(f"query {self.qid}: seconds", cap=cap, spent=round(self.seconds, 3), asked=0)

    async def reserve(self, tokens: int, nano_usd: int, entry: Entry | None = None) -> Hold:
        """Set aside what an attempt may use at most, and count the attempt.

        Where only the worst case of attempts still under way stands against it, waits for their real cost; under a
        limit of the query's own nobody is overtaken meanwhile, so that it is not chance who gets what is left.
        ``entry`` says what the attempt is for; the query, run and account are filled in.

        Raises:
            BudgetExceeded: it does not fit; nothing was set aside.
            LedgerFailed: the books cannot be written.
        """
        noted = self._filled_in(entry)
        if not self.budget.counts_tokens and self.budget.calls is None:
            return await self._reserve(tokens, nano_usd, noted)
        try:
            async with asyncio.timeout(self.seconds_left()), self._queue:
                return await self._reserve(tokens, nano_usd, noted)
        except TimeoutError as error:
            raise self.too_late() from error

    async def _reserve(self, tokens: int, nano_usd: int, noted: Entry) -> Hold:
        wait_s = 0.001
        while True:
            try:
                return await self._try_to_reserve(tokens, nano_usd, noted)
            except BudgetExceeded as refusal:
                if not refusal.pending:
                    self.over_cap = refusal.limit.partition(" ")[0] if refusal.unit == "USD" else self.over_cap
                    raise
                left = self.seconds_left()
            pause_s = wait_s * random.uniform(0.5, 1.0)
            await self._sleep(pause_s if left is None else min(pause_s, left))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def settle(self, hold: Hold, usage: Usage, nano_usd: int) -> None:
        """The attempt was answered: count what it really used."""
        self.usage += usage
        self._close(hold, usage.input_tokens + usage.output_tokens, nano_usd, usage, "answered")

    def charge(self, hold: Hold, tokens: int, nano_usd: int) -> None:
        """The attempt's outcome is unknown: count the most it can have used."""
        self._close(hold, tokens, nano_usd, Usage(), "unknown")

    def release(self, hold: Hold, *, sent: bool = True) -> None:
        """The attempt is known to have cost nothing; one that was never ``sent`` does not count at all."""
        self._tokens_held -= hold.tokens
        self.purse.ledger.release(hold.reservation, outcome="rejected" if sent else "unsent")
        tell(Settled(hold.reservation.nano_usd, 0, Usage()))
        if not sent:
            self.attempts -= 1

    def cached(self, entry: Entry, usage: Usage) -> None:
        """An answer came from the cache."""
        self.purse.ledger.cached(self._filled_in(entry), usage)

    def close(self) -> None:
        """The query is done; the ledger need not remember it as a scope of its own."""
        for scope in self._scopes:
            if scope.kind == "query":
                self.purse.ledger.forget(scope)

    async def _try_to_reserve(self, tokens: int, nano_usd: int, entry: Entry) -> Hold:
        left = self.seconds_left()
        budget = self.budget
        if budget.calls is not None and self.attempts >= budget.calls:
            raise BudgetExceeded(f"query {self.qid}: calls", cap=budget.calls, spent=self.attempts, asked=1)
        if budget.tokens is not None and self._tokens_spent + self._tokens_held + tokens > budget.tokens:
            raise BudgetExceeded(
                f"query {self.qid}: tokens",
                cap=budget.tokens,
                spent=self._tokens_spent + self._tokens_held,
                asked=tokens,
                pending=self._tokens_held > 0 and self._tokens_spent + tokens <= budget.tokens,
            )
        self.attempts += 1
        self._tokens_held += tokens
        try:
            async with asyncio.timeout(left):
                reservation = await self.purse.ledger.reserve(
                    (*self._scopes, *self.purse.outer()), nano_usd, entry, patience_s=2 * self._patience_s
                )
        except BaseException as error:
            self.attempts -= 1
            self._tokens_held -= tokens
            if isinstance(error, TimeoutError):
                raise self.too_late() from error
            raise
        self.counted = entry.counted or self.counted
        tell(Reserved(reservation.nano_usd))
        return Hold(tokens, reservation, self._clock())

    def _filled_in(self, entry: Entry | None) -> Entry:
        own = self._entry
        return own if entry is None else replace(entry, run=own.run, account=own.account, qid=own.qid)

    def _close(self, hold: Hold, tokens: int, nano_usd: int, usage: Usage, outcome: Outcome) -> None:
        self._tokens_held -= hold.tokens
        self._tokens_spent += tokens
        self.nano_usd += nano_usd
        self.purse.ledger.settle(
            hold.reservation, nano_usd, usage=usage, outcome=outcome, seconds=self._clock() - hold.since
        )
        tell(Settled(hold.reservation.nano_usd, nano_usd, usage))
