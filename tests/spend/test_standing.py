"""What a ledger remembers of its file is what the file says, whoever else writes to it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from listwise.errors import BudgetExceeded
from listwise.spend import standing
from listwise.spend.books import TOGETHER
from listwise.spend.history import History
from listwise.spend.ledger import Entry, Scope
from listwise.spend.sqlite import SqliteLedger
from listwise.types import Usage

RUN = Scope("run", "r", 1000)
ENTRY = Entry(run="r", account="a", qid="q1", model="m")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledgers(path: Path) -> Iterator[tuple[SqliteLedger, SqliteLedger]]:
    """Two that know nothing of each other, as in two processes."""
    with closing(SqliteLedger(path)) as one, closing(SqliteLedger(path)) as other:
        yield one, other


def held(path: Path, scope: Scope = RUN) -> int:
    return int(History(path).held(scope.kind, scope.name) * 10**9)


async def test_two_ledgers_give_no_number_twice_and_share_a_cap(
    ledgers: tuple[SqliteLedger, SqliteLedger], path: Path
) -> None:
    one, other = ledgers
    one.cached(ENTRY, Usage(5))
    made = []
    for _ in range(5):
        made += await asyncio.gather(*(each.reserve((RUN,), 50, ENTRY) for each in ledgers for _ in range(2)))
        other.cached(ENTRY, Usage(5))
    assert len({each.id for each in made}) == 20
    assert held(path) == 1000
    for each in ledgers:
        with pytest.raises(BudgetExceeded):
            await each.reserve((RUN,), 1, ENTRY)


async def test_a_reservation_may_be_settled_by_another_ledger(
    ledgers: tuple[SqliteLedger, SqliteLedger], path: Path
) -> None:
    one, other = ledgers
    reservations = [await one.reserve((RUN,), 100, ENTRY) for _ in range(3)]
    other.settle(reservations[0], 30)
    other.release(reservations[1])
    await other.flush()
    assert held(path) == 130
    one.settle(reservations[0], 40)  # it does not know that this was done; the latest word counts
    one.settle(reservations[2], 50)
    await one.flush()
    assert held(path) == 90
    (line,) = History(path).report("run")
    assert (line.answered, line.rejected, line.open, line.usd) == (2, 1, 0, Decimal("0.00000009"))


async def test_what_is_settled_twice_at_once_counts_once(
    ledgers: tuple[SqliteLedger, SqliteLedger], path: Path
) -> None:
    one, _ = ledgers
    reservation = await one.reserve((RUN,), 100, ENTRY)
    for nano_usd in (70, 20, 60):
        one.settle(reservation, nano_usd)
    await one.reserve((RUN,), 940, ENTRY)
    assert held(path) == 1000


async def test_a_number_is_not_used_again_although_its_row_was_deleted(
    ledgers: tuple[SqliteLedger, SqliteLedger], path: Path
) -> None:
    one, _ = ledgers
    first = await one.reserve((RUN,), 100, ENTRY)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM attempt")
    second = await one.reserve((RUN,), 100, ENTRY)
    assert second.id > first.id
    one.settle(first, 0)  # there is no such attempt any more
    await one.flush()
    assert held(path) == 200


@pytest.mark.parametrize("many", [1, TOGETHER - 1, TOGETHER, 3 * TOGETHER + 1])
async def test_any_number_at_once_is_written(
    ledgers: tuple[SqliteLedger, SqliteLedger], path: Path, many: int
) -> None:
    one, _ = ledgers
    entries = [Entry(run="r", account="a", qid=f"q{number}", model="m") for number in range(many)]
    made = await asyncio.gather(*(one.reserve((RUN,), number, entry) for number, entry in enumerate(entries[:40])))
    made += await asyncio.gather(*(one.reserve((), 7, entry) for entry in entries[40:]))
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT id, qid, reserved FROM attempt ORDER BY id").fetchall()
    assert found == sorted((r.id, e.qid, r.nano_usd) for r, e in zip(made, entries, strict=True))
    for reservation in made:
        one.settle(reservation, 1)
    await one.flush()
    assert held(path) == min(many, 40)


async def test_scopes_are_remembered_up_to_a_number(
    ledgers: tuple[SqliteLedger, SqliteLedger], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "MOST_SCOPES", 3)
    one, _ = ledgers
    queries = [Scope("query", f"q{number}", 100) for number in range(8)]
    open_ones = [await one.reserve((query, RUN), 100, ENTRY) for query in queries]
    assert len(one._writer._standing._totals) <= 5
    for query, reservation in zip(queries, open_ones, strict=True):
        with pytest.raises(BudgetExceeded):
            await one.reserve((query,), 1, ENTRY)
        one.settle(reservation, 10)
        one.forget(query)
    await one.flush()
    assert held(path) == 80
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT key FROM scope").fetchall() == [("run r",)]


async def test_a_transaction_that_failed_is_not_remembered(
    ledgers: tuple[SqliteLedger, SqliteLedger], path: Path
) -> None:
    one, _ = ledgers
    with pytest.raises(Exception, match="cannot be written"):
        await one.reserve((RUN,), 900, Entry(run="\ud800"))
    await one.reserve((RUN,), 1000, ENTRY)
    assert held(path) == 1000
