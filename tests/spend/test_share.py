"""The state that processes share through the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from listwise.errors import LedgerFailed
from listwise.spend.ledger import Ledger, MemoryLedger, Scope
from listwise.spend.sqlite import SqliteLedger

DAY = Scope("day", "a 2024-10-04")


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, path: Path) -> Iterator[Ledger]:
    opened = MemoryLedger() if request.param == "memory" else SqliteLedger(path)
    yield opened
    opened.close()


def one_more(kept: str | None) -> str:
    return str(int(kept or 0) + 1)


async def test_each_account_has_its_own(ledger: Ledger) -> None:
    assert await ledger.share("a", DAY, one_more) == ("1", 0, 0)
    assert await ledger.share("b", DAY, one_more) == ("1", 0, 0)
    assert await ledger.share("a", DAY, one_more) == ("2", 0, 0)


async def test_it_comes_with_what_the_scope_holds(ledger: Ledger) -> None:
    first = await ledger.reserve([DAY], 100)
    await ledger.reserve([DAY, Scope("run", "r")], 30)
    ledger.settle(first, 70)
    assert await ledger.share("a", DAY, one_more) == ("1", 70, 30)
    assert await ledger.share("a", Scope("day", "another"), one_more) == ("2", 0, 0)


async def test_nothing_that_is_told_at_once_is_lost(path: Path) -> None:
    ledgers = [SqliteLedger(path) for _ in range(3)]
    shared = await asyncio.gather(*(each.share("a", DAY, one_more) for each in ledgers for _ in range(50)))
    assert sorted(int(each.state) for each in shared) == list(range(1, 151))
    for each in ledgers:
        each.close()
    again = SqliteLedger(path)
    assert (await again.share("a", DAY, one_more)).state == "151"
    again.close()


async def test_an_update_that_fails_changes_nothing(path: Path) -> None:
    def fails(kept: str | None) -> str:
        raise ValueError(kept)

    ledger = SqliteLedger(path)
    await ledger.share("a", DAY, one_more)
    refused, reservation = await asyncio.gather(
        ledger.share("a", DAY, fails), ledger.reserve([DAY], 5), return_exceptions=True
    )
    assert isinstance(refused, LedgerFailed)
    assert not isinstance(reservation, BaseException)
    assert await ledger.share("a", DAY, one_more) == ("2", 0, 5)
    ledger.close()


async def test_whoever_waits_no_more_loses_nothing(path: Path) -> None:
    ledger = SqliteLedger(path)
    waiting = asyncio.create_task(ledger.share("a", DAY, one_more))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert await ledger.share("a", DAY, one_more) == ("2", 0, 0)
    ledger.close()
