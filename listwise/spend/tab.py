"""The running account of one query: what its budget still allows, and what its ranking did cost."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from listwise.errors import BudgetExceeded
from listwise.spend.ledger import Ledger, Reservation, Scope
from listwise.spend.money import nano_usd_down
from listwise.types import Usage

_numbers = itertools.count()
"""Tells tabs of queries with the same qid apart."""


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
        """Whether a call's size must be bounded before it may be sent."""
        return self.usd is not None or self.tokens is not None


@dataclass(frozen=True, slots=True)
class Hold:
    """What one attempt may use at most, set aside until its outcome is known."""

    tokens: int
    reservation: Reservation


class Tab:
    """One query's account. Used by the tasks of one event loop; the ledger behind it is shared."""

    def __init__(
        self,
        qid: str,
        budget: Budget,
        ledger: Ledger,
        *,
        elapsed_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``elapsed_s`` is the time the query has had already."""
        self.qid = qid
        self.budget = budget
        self.attempts = 0
        self.retries = 0
        self.usage = Usage()
        self.nano_usd = 0
        self._ledger = ledger
        self._clock = clock
        self._started = clock() - elapsed_s
        self._tokens_held = 0
        cap = None if budget.usd is None else nano_usd_down(budget.usd)
        self._scopes = (Scope(f"query {qid} #{next(_numbers)}", cap),)

    @property
    def seconds(self) -> float:
        """Seconds since the query's turn came."""
        return self._clock() - self._started

    def seconds_left(self) -> float | None:
        """Seconds until the deadline, None if there is none.

        Raises:
            BudgetExceeded: it has passed.
        """
        cap = self.budget.seconds
        if cap is None:
            return None
        if (left := cap - self.seconds) <= 0:
            raise BudgetExceeded(f"query {self.qid}: seconds", cap=cap, spent=round(self.seconds, 3), asked=0)
        return left

    def reserve(self, tokens: int, nano_usd: int) -> Hold:
        """Set aside what an attempt may use at most, and count the attempt.

        Raises:
            BudgetExceeded: it does not fit; nothing was set aside.
        """
        self.seconds_left()
        budget = self.budget
        if budget.calls is not None and self.attempts >= budget.calls:
            raise BudgetExceeded(f"query {self.qid}: calls", cap=budget.calls, spent=self.attempts, asked=1)
        if budget.tokens is not None and self._tokens_held + tokens > budget.tokens:
            raise BudgetExceeded(
                f"query {self.qid}: tokens", cap=budget.tokens, spent=self._tokens_held, asked=tokens
            )
        reservation = self._ledger.reserve(self._scopes, nano_usd)
        self.attempts += 1
        self._tokens_held += tokens
        return Hold(tokens, reservation)

    def settle(self, hold: Hold, usage: Usage, nano_usd: int) -> None:
        """The attempt was answered: count what it really used."""
        self._close(hold, usage.input_tokens + usage.output_tokens, nano_usd)
        self.usage += usage

    def charge(self, hold: Hold, tokens: int, nano_usd: int) -> None:
        """The attempt's outcome is unknown: count the most it can have used."""
        self._close(hold, tokens, nano_usd)

    def release(self, hold: Hold, *, sent: bool = True) -> None:
        """The attempt is known to have cost nothing; one that was never ``sent`` does not count at all."""
        self._tokens_held -= hold.tokens
        self._ledger.release(hold.reservation)
        if not sent:
            self.attempts -= 1

    def close(self) -> None:
        """The query is done; the ledger need not remember it as a scope of its own."""
        for scope in self._scopes:
            self._ledger.forget(scope.name)

    def _close(self, hold: Hold, tokens: int, nano_usd: int) -> None:
        self._tokens_held += tokens - hold.tokens
        self.nano_usd += nano_usd
        self._ledger.settle(hold.reservation, nano_usd)
