from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal

import pytest

from listwise.errors import BudgetExceeded
from listwise.spend.ledger import MemoryLedger, Scope
from listwise.spend.tab import Budget, Tab
from listwise.types import Usage

RUN = Scope("run", "r", 1000)


def test_tasks_and_threads_cannot_overdraw() -> None:
    ledger = MemoryLedger()

    async def spend() -> int:
        with suppress(BudgetExceeded):
            ledger.settle(await ledger.reserve((RUN,), 30), 30)
            return 30
        return 0

    async def spend_often() -> int:
        return sum(await asyncio.gather(*(spend() for _ in range(50))))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: asyncio.run(spend_often()), range(8))) == 990
    assert ledger.held(RUN) == 990


async def test_a_reservation_that_fits_one_scope_but_not_the_other_holds_nothing() -> None:
    ledger, large, small = MemoryLedger(), Scope("account", "large", 100), Scope("run", "small", 10)
    with pytest.raises(BudgetExceeded, match="run small"):
        await ledger.reserve((large, small), 50)
    assert ledger.held(large) == ledger.held(small) == 0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def tab(**limits: object) -> Tab:
    return Tab("q1", Budget(**limits), clock=Clock())  # type: ignore[arg-type]


async def test_dollars_are_checked_before_the_attempt() -> None:
    account = tab(usd=Decimal("0.000001"))
    account.settle(await account.reserve(10, 600), Usage(5, output_tokens=1), 500)
    with pytest.raises(BudgetExceeded, match="query q1: USD"):
        await account.reserve(10, 501)
    await account.reserve(10, 500)
    assert (account.nano_usd, account.attempts) == (500, 2)


async def test_an_attempt_waits_for_what_those_under_way_may_leave() -> None:
    account = tab(usd=Decimal("0.000001"))
    hold = await account.reserve(10, 600)
    waiting = asyncio.create_task(account.reserve(10, 600))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    account.settle(hold, Usage(5, output_tokens=1), 400)
    await waiting
    assert account.attempts == 2


async def test_an_attempt_that_waits_for_others_in_vain_is_refused() -> None:
    account = tab(usd=Decimal("0.000001"))
    hold = await account.reserve(10, 600)
    waiting = asyncio.create_task(account.reserve(10, 600))
    await asyncio.sleep(0.01)
    account.charge(hold, 10, 600)
    with pytest.raises(BudgetExceeded, match=r"0\.0000006 spent"):
        await waiting


async def test_waiting_for_others_ends_at_the_deadline() -> None:
    account = Tab("q1", Budget(usd=Decimal("0.000001"), seconds=0.05))
    await account.reserve(10, 600)
    with pytest.raises(BudgetExceeded, match="seconds"):
        await account.reserve(10, 600)


async def test_tokens_are_checked_before_the_attempt() -> None:
    account = tab(tokens=100)
    account.settle(await account.reserve(80, 0), Usage(40, output_tokens=10), 0)
    with pytest.raises(BudgetExceeded, match="tokens"):
        await account.reserve(51, 0)
    await account.reserve(50, 0)


async def test_calls_are_checked_and_one_that_was_never_sent_does_not_count() -> None:
    account = tab(calls=1)
    account.release(await account.reserve(0, 0), sent=False)
    account.release(await account.reserve(0, 0))
    with pytest.raises(BudgetExceeded, match="calls"):
        await account.reserve(0, 0)


async def test_an_unknown_outcome_costs_the_worst_case() -> None:
    account = tab(usd=Decimal(1))
    account.charge(await account.reserve(10, 600), 10, 600)
    assert account.nano_usd == 600


async def test_a_query_without_time_left_is_not_asked() -> None:
    clock = Clock()
    account = Tab("q1", Budget(seconds=5), elapsed_s=1, clock=clock)
    assert account.seconds_left() == 4
    clock.now += 4
    with pytest.raises(BudgetExceeded, match="seconds"):
        await account.reserve(0, 0)
