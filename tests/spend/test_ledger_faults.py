"""What the ledger in a file does when something goes wrong with the file, with prices, or with what it is told."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from listwise.errors import BudgetExceeded, LedgerFailed
from listwise.spend.history import History
from listwise.spend.ledger import Entry, Scope
from listwise.spend.purse import Caps, Purse
from listwise.spend.sqlite import SqliteLedger
from listwise.spend.tab import Budget, Tab
from tests.spend.conftest import ACCOUNT, ENTRY, RUN, held


async def test_a_file_that_was_replaced_is_written_no_more(
    ledger: SqliteLedger, path: Path, tmp_path: Path
) -> None:
    first = await ledger.reserve((RUN,), 600, ENTRY)
    path.rename(tmp_path / "elsewhere.db")
    with pytest.raises(LedgerFailed, match="moved, removed or replaced"):
        await ledger.reserve((RUN,), 1, ENTRY)
    other = SqliteLedger(path)
    with pytest.raises(LedgerFailed, match="moved, removed or replaced"):
        await ledger.reserve((RUN,), 1, ENTRY)
    ledger.settle(first, 100)
    other.close()


async def test_whoever_has_no_price_is_stopped_by_a_cap_that_is_kept_meanwhile(
    ledger: SqliteLedger, path: Path
) -> None:
    unpriced = Entry(run="r", account="a", qid="q1", model="m", priced=False)
    await ledger.reserve((RUN, ACCOUNT), 0, unpriced)
    History(path).keep_cap("a", "day", Decimal(1))
    with pytest.raises(LedgerFailed, match="no price is known for m"):
        await ledger.reserve((RUN, ACCOUNT), 0, unpriced)
    await ledger.reserve((RUN, ACCOUNT), 0, ENTRY)


async def test_of_two_caps_the_lower_one_holds(ledger: SqliteLedger, path: Path) -> None:
    for kept, fits in ((Decimal("0.0000001"), 100), (Decimal(1), 5000)):
        History(path).keep_cap("a", "account", kept)
        with pytest.raises(BudgetExceeded):
            await ledger.reserve((ACCOUNT,), fits + 1, ENTRY)
        ledger.release(await ledger.reserve((ACCOUNT,), fits, ENTRY))


async def test_nothing_ends_the_thread_that_writes(ledger: SqliteLedger, path: Path) -> None:
    with pytest.raises(LedgerFailed):
        await ledger.reserve((Scope("run", "r", None),), 10**40, ENTRY)
    with pytest.raises(LedgerFailed):
        await ledger.reserve((RUN,), None, ENTRY)  # type: ignore[arg-type]
    bad = ledger.reserve((RUN,), "x", ENTRY)  # type: ignore[arg-type]
    both = await asyncio.gather(ledger.reserve((RUN,), 10, ENTRY), bad, return_exceptions=True)
    assert isinstance(both[1], LedgerFailed)
    assert await ledger.reserve((RUN,), 10, ENTRY)
    await ledger.flush()
    assert held(path, RUN) == 20


async def test_what_is_reserved_is_on_the_disk_before_it_may_be_spent(path: Path) -> None:
    said: list[str] = []
    ledger = SqliteLedger(path)
    ledger._writer._connection.set_trace_callback(said.append)
    await ledger.reserve((RUN,), 10, ENTRY)
    ledger.close()
    assert said.index("PRAGMA synchronous = FULL") < said.index("COMMIT")


async def test_what_was_told_while_the_file_was_locked_is_written_later(path: Path) -> None:
    ledger = SqliteLedger(path)
    ledger._writer._connection.execute("PRAGMA busy_timeout = 20")
    reservation = await ledger.reserve((RUN,), 600, ENTRY)
    with closing(sqlite3.connect(path, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        ledger.settle(reservation, 100)
        with pytest.raises(LedgerFailed, match="locked"):
            await ledger.flush()
        lock.execute("ROLLBACK")
    await ledger.flush()
    assert held(path, RUN) == 100
    ledger.close()


async def test_a_day_is_that_of_the_attempt_not_of_its_query(ledger: SqliteLedger, path: Path) -> None:
    now = [1_700_006_390.0]  # ten seconds before midnight UTC
    purse = Purse(ledger, "r", account="a", caps=Caps(day=Decimal(1)), now=lambda: now[0])
    tab = Tab("q1", Budget(), purse)
    await tab.reserve(10, 100)
    now[0] += 20
    await tab.reserve(10, 200)
    assert held(path, Scope("day", "a 2023-11-14")) == 100
    assert held(path, Scope("day", "a 2023-11-15")) == 200


async def test_the_same_query_in_two_processes_has_its_cap_in_each(ledger: SqliteLedger) -> None:
    scopes = {Purse(ledger, "service").scopes("query", Decimal(1))[0].key for _ in range(50)}
    assert len(scopes) == 50


def test_no_name_makes_a_ledger_that_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:x?mode=memory"):
        SqliteLedger(Path(name)).close()
        assert (tmp_path / name).stat().st_size > 0


async def test_a_reservation_that_nobody_waits_for_stays_in_a_ledger_that_is_closed(
    ledger: SqliteLedger, path: Path
) -> None:
    """It would end the thread that writes, before the last settlements."""
    reservation = await ledger.reserve((RUN,), 10, ENTRY)
    ledger.close()
    ledger._undo(reservation)
    assert held(path, RUN) == 10
