"""The log of routes: in a file and in memory, read by account, run and time, bounded, and out of the way."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from listwise.spend import route_table
from listwise.spend.history import History
from listwise.spend.ledger import Entry, Ledger, MemoryLedger
from listwise.spend.purse import Purse
from listwise.spend.routes import Routed, RouteFilter, RouteNote
from listwise.spend.schema import connect
from listwise.spend.sqlite import SqliteLedger

NOTE = RouteNote(
    why="explored",
    signals={"margin": 0.4123, "swaps": 2.0},
    tier="llm",
    depth=50,
    votes=3,
    model="openai/gpt-4o",
    router="default 1",
    propensity=0.02,
    predicted_gain=0.031,
    predicted_nano_usd=1_500_000,
    disagreement=0.27,
    nano_usd=1_400_000,
    cache_hits=1,
)
STAYED = RouteNote(why="gain", signals={"margin": 2.5}, propensity=0.02, predicted_gain=-0.01)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def in_memory(path: Path, clock: Clock) -> Ledger:
    return MemoryLedger(clock=clock)


def in_a_file(path: Path, clock: Clock) -> Ledger:
    return SqliteLedger(path, clock=clock)


@pytest.fixture(params=[in_memory, in_a_file])
def make(request: pytest.FixtureRequest) -> Callable[[Path, Clock], Ledger]:
    made: Callable[[Path, Clock], Ledger] = request.param
    return made


async def test_what_was_noted_is_read_back(make: Callable[[Path, Clock], Ledger], path: Path) -> None:
    clock = Clock()
    with closing(make(path, clock)) as ledger:
        Purse(ledger, "monday", "team").note_route("q1", NOTE)
        Purse(ledger, "monday", "team").note_route("q2", STAYED)
        await ledger.flush()
        assert ledger.routes() == [
            Routed(1000.0, "monday", "team", "q1", NOTE),
            Routed(1000.0, "monday", "team", "q2", STAYED),
        ]


@pytest.mark.parametrize(
    ("chosen", "qids"),
    [
        (RouteFilter(), ["q0", "q1", "q2", "q3"]),
        (RouteFilter(account="a"), ["q0", "q1"]),
        (RouteFilter(run="r1"), ["q1", "q3"]),
        (RouteFilter(account="b", run="r1"), ["q3"]),
        (RouteFilter(since=1001.0), ["q1", "q2", "q3"]),
        (RouteFilter(since=1001.0, until=1003.0), ["q1", "q2"]),
        (RouteFilter(router="v0"), ["q0", "q1", "q2"]),
        (RouteFilter(account="c"), []),
    ],
)
async def test_it_is_read_by_account_run_time_and_router(
    make: Callable[[Path, Clock], Ledger], path: Path, chosen: RouteFilter, qids: list[str]
) -> None:
    clock = Clock()
    with closing(make(path, clock)) as ledger:
        for at in range(4):
            clock.now = 1000.0 + at
            entry = Entry(run=f"r{at % 2}", account="ab"[at // 2], qid=f"q{at}")
            ledger.routed(entry, replace(STAYED, router=f"v{at // 3}"))
            await ledger.flush()
        assert [routed.qid for routed in ledger.routes(chosen)] == qids


async def test_numbers_that_are_none_harm_nothing(ledger: SqliteLedger) -> None:
    signals = {"margin": math.nan, "entropy": math.inf, "swaps": 1 / 3}
    ledger.routed(Entry(qid="q"), replace(NOTE, signals=signals, predicted_gain=math.nan))
    await ledger.flush()
    ((_, _, _, _, note),) = ledger.routes()
    assert (note.signals, note.predicted_gain) == ({"swaps": 0.333333}, None)


def test_the_oldest_go_where_there_is_no_room(path: Path) -> None:
    with closing(connect(path)) as db:
        for start in (0, 7):
            rows = [route_table.row_of(0.0, Entry(qid=f"q{start + at}"), STAYED) for at in range(7)]
            route_table.append(db, rows, most=10)
    assert [routed.qid for routed in History(path).routes()] == [f"q{at}" for at in range(4, 14)]


def test_memory_keeps_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listwise.spend.ledger.MOST_IN_MEMORY", 3)
    ledger = MemoryLedger()
    for at in range(5):
        ledger.routed(Entry(qid=f"q{at}"), STAYED)
    assert [routed.qid for routed in ledger.routes()] == ["q2", "q3", "q4"]


async def test_noting_waits_for_no_disk(ledger: SqliteLedger, path: Path) -> None:
    """While another connection holds the file, queries are noted all the same."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for at in range(1000):
            ledger.routed(Entry(qid=f"q{at}"), NOTE)
        assert ledger.routes() == []
        other.execute("COMMIT")
    await ledger.flush()
    assert len(ledger.routes()) == 1000
