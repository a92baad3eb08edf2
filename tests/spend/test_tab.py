from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from listwise.errors import BudgetExceeded
from listwise.spend.ledger import MemoryLedger, Reservation, Scope
from listwise.spend.tab import Budget, Tab
from listwise.types import Usage


class LedgerMachine(RuleBasedStateMachine):
    """Settled and reserved never exceed a cap, whatever is reserved, settled and released in what order."""

    reservations = Bundle("reservations")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MemoryLedger()
        self.run = Scope("run", 1000)
        self.query = Scope("query", 300)
        self.expected = 0

    @rule(target=reservations, amount=st.integers(0, 400))
    def reserve(self, amount: int) -> Reservation | None:
        try:
            reservation = self.ledger.reserve((self.query, self.run), amount)
        except BudgetExceeded:
            assert self.expected + amount > 300
            return None
        self.expected += amount
        return reservation

    @rule(reservation=consumes(reservations), share=st.floats(0, 1))
    def settle(self, reservation: Reservation | None, share: float) -> None:
        if reservation is not None:
            spent = int(reservation.nano_usd * share)
            self.ledger.settle(reservation, spent)
            self.expected += spent - reservation.nano_usd

    @rule(reservation=consumes(reservations))
    def release(self, reservation: Reservation | None) -> None:
        if reservation is not None:
            self.ledger.release(reservation)
            self.expected -= reservation.nano_usd

    @invariant()
    def within_the_caps(self) -> None:
        assert self.ledger.held("query") == self.ledger.held("run") == self.expected <= 300


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=50, stateful_step_count=30)


def test_threads_cannot_overdraw() -> None:
    ledger, scope = MemoryLedger(), Scope("run", 1000)

    def spend(_: int) -> int:
        with suppress(BudgetExceeded):
            ledger.settle(ledger.reserve((scope,), 30), 30)
            return 30
        return 0

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(spend, range(500))) == 990
    assert ledger.held("run") == 990


def test_a_reservation_that_fits_one_scope_but_not_the_other_holds_nothing() -> None:
    ledger = MemoryLedger()
    with pytest.raises(BudgetExceeded, match="small"):
        ledger.reserve((Scope("large", 100), Scope("small", 10)), 50)
    assert ledger.held("large") == ledger.held("small") == 0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def tab(**limits: object) -> Tab:
    return Tab("q1", Budget(**limits), MemoryLedger(), clock=Clock())  # type: ignore[arg-type]


def test_dollars_are_checked_before_the_attempt() -> None:
    account = tab(usd=Decimal("0.000001"))
    hold = account.reserve(10, 600)
    with pytest.raises(BudgetExceeded, match="q1"):
        account.reserve(10, 600)
    account.settle(hold, Usage(5, output_tokens=1), 100)
    account.reserve(10, 900)
    assert (account.nano_usd, account.attempts) == (100, 2)


def test_tokens_are_checked_before_the_attempt() -> None:
    account = tab(tokens=100)
    hold = account.reserve(80, 0)
    with pytest.raises(BudgetExceeded, match="tokens"):
        account.reserve(30, 0)
    account.settle(hold, Usage(40, output_tokens=10), 0)
    account.reserve(50, 0)


def test_calls_are_checked_and_one_that_was_never_sent_does_not_count() -> None:
    account = tab(calls=1)
    account.release(account.reserve(0, 0), sent=False)
    account.release(account.reserve(0, 0))
    with pytest.raises(BudgetExceeded, match="calls"):
        account.reserve(0, 0)


def test_an_unknown_outcome_costs_the_worst_case() -> None:
    account = tab(usd=Decimal(1))
    account.charge(account.reserve(10, 600), 10, 600)
    assert account.nano_usd == 600


def test_a_query_without_time_left_is_not_asked() -> None:
    clock = Clock()
    account = Tab("q1", Budget(seconds=5), MemoryLedger(), elapsed_s=1, clock=clock)
    assert account.seconds_left() == 4
    clock.now += 4
    with pytest.raises(BudgetExceeded, match="seconds"):
        account.reserve(0, 0)
