"""The log of routes in the ledger's file: its table, and how entries go in and come out.

It is bounded: beyond `MOST_ROUTES` entries, the oldest go.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from listwise.spend.ledger import Entry
from listwise.spend.routes import Routed, RouteFilter, RouteNote, as_logged

MOST_ROUTES = 200_000
"""Entries that a file keeps, over all accounts."""

Row = tuple[object, ...]

_COLUMNS = """(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    run TEXT NOT NULL,
    account TEXT NOT NULL,
    qid TEXT NOT NULL,
    why TEXT NOT NULL,
    signals TEXT NOT NULL,
    tier TEXT,
    depth INTEGER NOT NULL,
    votes INTEGER NOT NULL,
    model TEXT NOT NULL,
    router TEXT NOT NULL,
    propensity REAL NOT NULL,
    predicted_gain REAL,
    predicted INTEGER,
    disagreement REAL,
    spent INTEGER NOT NULL,
    cache_hits INTEGER NOT NULL
)"""
TABLES = f"""
CREATE TABLE route {_COLUMNS};
CREATE INDEX route_at ON route (at);
CREATE INDEX route_run ON route (run);
CREATE INDEX route_account ON route (account, at)"""
NO_TABLE = f"CREATE TEMP TABLE route {_COLUMNS}"
"""For reports on a file of before there was one: what is only read is not changed."""

_INSERT = f"INSERT INTO route VALUES (NULL, {', '.join('?' * 17)})"
_TRIM = "DELETE FROM route WHERE id <= (SELECT max(id) FROM route) - ?"
_SELECT = """
    SELECT at, run, account, qid, why, signals, tier, depth, votes, model, router, propensity, predicted_gain,
        predicted, disagreement, spent, cache_hits
    FROM route WHERE {where} ORDER BY id
"""


def row_of(at: float, entry: Entry, note: RouteNote) -> Row:
    """An entry as its columns."""
    signals = {name: kept for name, value in note.signals.items() if (kept := as_logged(value)) is not None}
    return (
        at,
        entry.run,
        entry.account,
        entry.qid,
        note.why,
        json.dumps(signals, separators=(",", ":")),
        note.tier,
        note.depth,
        note.votes,
        note.model,
        note.router,
        note.propensity,
        as_logged(note.predicted_gain),
        note.predicted_nano_usd,
        as_logged(note.disagreement),
        note.nano_usd,
        note.cache_hits,
    )


def append(connection: sqlite3.Connection, rows: Iterable[Row], most: int = MOST_ROUTES) -> None:
    """Put entries into the table, and let the oldest of more than ``most`` go."""
    connection.executemany(_INSERT, rows)
    connection.execute(_TRIM, (most,))


def read(connection: sqlite3.Connection, chosen: RouteFilter) -> list[Routed]:
    """Entries in the order in which they were written."""
    where, values = _where(chosen)
    return [_routed(row) for row in connection.execute(_SELECT.format(where=where), values)]


def _where(chosen: RouteFilter) -> tuple[str, tuple[object, ...]]:
    conditions = {
        "run = ?": chosen.run,
        "account = ?": chosen.account,
        "router = ?": chosen.router,
        "at >= ?": chosen.since,
        "at < ?": chosen.until,
    }
    asked = {condition: value for condition, value in conditions.items() if value is not None}
    return " AND ".join(asked) or "1", tuple(asked.values())


def _routed(row: Sequence[Any]) -> Routed:
    at, run, account, qid, why, signals, *rest = row  # columns stand in the order of the note's fields
    return Routed(at, run, account, qid, RouteNote(why, json.loads(signals), *rest))
