"""Ledgers that an earlier listwise wrote: they go on, and can be reported where nothing can be written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from listwise.spend.history import History
from listwise.spend.ledger import Entry, Scope
from listwise.spend.routes import RouteNote
from listwise.spend.schema import VERSION, connect_to_read
from listwise.spend.sqlite import SqliteLedger
from listwise.types import Usage

SCOPE = Scope("run", "r")


@pytest.fixture(params=[1, 2])
def old_version(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture
async def old(tmp_path: Path, old_version: int) -> Path:
    """A ledger of an old version with one answered attempt."""
    path = tmp_path / "l.db"
    ledger = SqliteLedger(path)
    reservation = await ledger.reserve([SCOPE], 5, Entry(run="r", model="openai/gpt-4o"))
    ledger.settle(reservation, 3, usage=Usage(100, output_tokens=7))
    ledger.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE route")
        db.execute("DROP TABLE pacing")
        if old_version == 1:
            db.execute("ALTER TABLE attempt DROP COLUMN search_units")
        db.execute(f"PRAGMA user_version = {old_version}")
        db.execute("PRAGMA journal_mode = DELETE")
    return path


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        (found,) = db.execute("PRAGMA user_version").fetchone()
    return int(found)


async def test_it_is_reported_as_it_is(old: Path) -> None:
    before = old.read_bytes()
    for by in ("day", "model", "route"):
        (line,) = History(old).report(by)
        assert (line.answered, line.input_tokens, line.search_units) == (1, 100, 0)
    assert [sample.usage for sample in History(old).samples("openai/gpt-4o")] == [Usage(100, output_tokens=7)]
    assert old.read_bytes() == before


async def test_it_has_no_routes_yet_and_logs_them_from_now_on(old: Path, old_version: int) -> None:
    before = old.read_bytes()
    assert History(old).routes() == []
    assert old.read_bytes() == before
    ledger = SqliteLedger(old)
    assert version(old) == VERSION
    ledger.routed(Entry(run="r", qid="q"), RouteNote("gain", {"margin": 0.5}))
    ledger.close()
    ((_, run, _, qid, note),) = History(old).routes()
    assert (run, qid, note) == ("r", "q", RouteNote("gain", {"margin": 0.5}))


async def test_it_is_reported_where_nothing_can_be_written(old: Path) -> None:
    old.chmod(0o400)
    old.parent.chmod(0o500)
    try:
        with (
            closing(connect_to_read(old)) as db,
            pytest.raises(sqlite3.OperationalError, match="readonly database"),
        ):
            db.execute("DELETE FROM main.attempt")
        (line,) = History(old).report("model")
        assert (line.answered, line.search_units) == (1, 0)
    finally:
        old.parent.chmod(0o700)


async def test_it_goes_on_with_what_it_holds_and_counts_search_units(old: Path) -> None:
    ledger = SqliteLedger(old)
    assert version(old) == VERSION == 3
    reservation = await ledger.reserve([SCOPE], 5, Entry(run="r", model="cohere/rerank-v3.5"))
    ledger.settle(reservation, 4, usage=Usage(search_units=2))
    ledger.cached(Entry(run="r", model="cohere/rerank-v3.5"), Usage(search_units=9))
    ledger.close()
    cohere, gpt = History(old).report("model")
    assert (cohere.search_units, cohere.cached, gpt.search_units) == (2, 1, 0)
    assert str(History(old).held("run", "r")) == "7E-9"
    SqliteLedger(old).close()
    assert version(old) == 3


async def test_one_without_pacing_goes_on_with_it(old: Path) -> None:
    ledger = SqliteLedger(old)
    assert await ledger.share("a", SCOPE, lambda kept: f"{kept} and more") == ("None and more", 3, 0)
    ledger.close()
    assert version(old) == VERSION


def test_all_ways_lead_to_the_same_tables(old: Path, tmp_path: Path) -> None:
    SqliteLedger(old).close()
    SqliteLedger(tmp_path / "new.db").close()
    columns = []
    for path in (old, tmp_path / "new.db"):
        with closing(sqlite3.connect(path)) as db:
            tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            columns.append(
                {name: {row[1:] for row in db.execute(f"PRAGMA table_info({name})")} for (name,) in tables}
            )
    assert columns[0] == columns[1]
    assert "pacing" in columns[0]
