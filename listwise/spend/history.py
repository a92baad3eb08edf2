"""Reads the ledger's history: what was spent on what, how a model answered, what dead processes left behind."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from listwise.errors import InputError
from listwise.spend.books import Books
from listwise.spend.ledger import Sample, ScopeKind
from listwise.spend.money import nano_usd_down, nano_usd_up, usd_of
from listwise.spend.owner import Owner
from listwise.spend.schema import connect
from listwise.spend.standing import Standing
from listwise.spend.throughput import Served
from listwise.types import Usage

Grouping = Literal["day", "run", "account", "model", "route"]
GROUPINGS = get_args(Grouping)

_KEYS: Mapping[Grouping, str] = {
    "day": "date(at, 'unixepoch')",
    "run": "run",
    "account": "account",
    "model": "model",
    "route": "route",
}
_ATTEMPTS = """
    SELECT {key}, sum(outcome = 'answered'), sum(outcome = 'rejected'), sum(outcome IN ('unknown', 'lost')),
        sum(outcome = 'open'), sum(outcome = 'cached'),
        sum(CASE outcome WHEN 'cached' THEN 0 ELSE input_tokens END),
        sum(CASE outcome WHEN 'cached' THEN 0 ELSE output_tokens END),
        sum(spent), sum(CASE outcome WHEN 'open' THEN reserved ELSE 0 END)
    FROM attempt WHERE {where} GROUP BY 1 ORDER BY 1
"""
_RANKINGS = (
    "SELECT {key}, count(*), sum(retries), sum(degraded > 0), count(fallback) FROM ranking WHERE {where} GROUP BY 1"
)
_ROUTES = """
    SELECT route, count(*), sum(retries), sum(degraded > 0), count(fallback), sum(attempts), sum(cache_hits),
        sum(input_tokens), sum(output_tokens), sum(spent)
    FROM ranking WHERE {where} GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report."""

    name: str
    """The day (UTC), run, account, model or route."""
    queries: int = 0
    answered: int = 0
    """Attempts that were answered; by route, all attempts."""
    rejected: int = 0
    """Attempts that failed and cost nothing."""
    unknown: int = 0
    """Attempts whose outcome nobody knows; they count at their worst case."""
    open: int = 0
    """Attempts under way, or left behind by a process that died."""
    retries: int = 0
    cached: int = 0
    """Answers from the cache, free of charge."""
    degraded: int = 0
    """Queries that were not ranked wholly as asked."""
    fell_back: int = 0
    """Of those, queries that another LLM, the local model or the first stage ranked instead of the first choice."""
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = Decimal(0)
    """Settled."""
    reserved_usd: Decimal = Decimal(0)
    """Set aside for the open attempts; counts against caps."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries a report is made of; None is all."""

    run: str | None = None
    account: str | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Up to but not including this moment."""

    def where(self) -> tuple[str, tuple[object, ...]]:
        """An SQL condition and its values."""
        parts: list[tuple[str, object]] = [
            (f"{name} = ?", value)
            for name, value in (("run", self.run), ("account", self.account), ("model", self.model))
            if value is not None
        ]
        if self.since is not None:
            parts.append(("at >= ?", self.since.timestamp()))
        if self.until is not None:
            parts.append(("at < ?", self.until.timestamp()))
        return " AND ".join(part for part, _ in parts) or "1", tuple(value for _, value in parts)


class Leftover(NamedTuple):
    """A reservation of a process that died or vanished; it counts as spent."""

    id: int
    at: datetime
    run: str
    qid: str
    model: str
    usd: Decimal
    why: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it was begun; ``plan`` is the key of a plan for the same work, if one was made."""

    name: str
    at: datetime
    account: str
    settings: Mapping[str, object]
    plan: str | None


class History:
    """The ledger in a file, for reports and repairs. Every method opens it for itself.

    Raises:
        ConfigError: the file cannot be opened or is no ledger.
        InputError: there is no such file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError("there is no ledger here yet: nothing was spent", path=path)
        self.path = path

    def report(self, by: Grouping, chosen: Filter = Filter()) -> list[Line]:
        """Spending by day, run, account, model or route, sorted by name."""
        where, values = chosen.where()
        with self._open() as db:
            if by == "route":
                return [_route_line(*row) for row in db.execute(_ROUTES.format(where=where), values)]
            key = _KEYS[by]
            ranked = {
                str(name): counts for name, *counts in db.execute(_RANKINGS.format(key=key, where=where), values)
            }
            spent = {str(name): sums for name, *sums in db.execute(_ATTEMPTS.format(key=key, where=where), values)}
        names = sorted({*ranked, *spent})
        return [_line(name, spent.get(name, [0] * 9), ranked.get(name, [0] * 4)) for name in names]

    def leftovers(self, now: datetime | None = None) -> list[Leftover]:
        """Reservations that nobody will settle any more: their process is dead, or they are overdue."""
        moment = (now or datetime.now(UTC)).timestamp()
        here = Owner.of_this_process()
        with self._open() as db:
            rows = db.execute(
                "SELECT id, at, run, qid, model, reserved, owner, expires FROM attempt WHERE outcome = 'open'"
            ).fetchall()
        found = []
        for number, at, run, qid, model, reserved, owner, expires in rows:
            lives = Owner.parse(owner).lives(here)
            if lives is False or (lives is None and expires < moment):
                why = "its process is dead" if lives is False else "overdue, on another machine"
                found.append(Leftover(number, _moment(at), run, qid, model, usd_of(reserved), why))
        return found

    def reconcile(self, leftovers: Iterable[Leftover], each_usd: Decimal | None = None) -> Decimal:
        """Close leftovers at ``each_usd``, or at all that was reserved; returns what they are counted as."""
        total = 0
        with self._writing() as books:
            for leftover in leftovers:
                nano_usd = nano_usd_up(leftover.usd if each_usd is None else each_usd)
                books.settle(leftover.id, nano_usd, Usage(), "lost" if nano_usd else "written off", 0.0)
                total += nano_usd
        return usd_of(total)

    def caps(self) -> dict[str, dict[str, Decimal]]:
        """The caps that are kept, by account and kind of scope."""
        found: dict[str, dict[str, Decimal]] = {}
        with self._open() as db:
            for account, kind, nano_usd in db.execute("SELECT account, kind, nano_usd FROM cap ORDER BY 1, 2"):
                found.setdefault(account, {})[kind] = usd_of(nano_usd)
        return found

    def keep_cap(self, account: str, kind: ScopeKind, usd: Decimal | None) -> None:
        """Cap an account, or its days, for everybody who uses this ledger; None lifts the cap."""
        with self._open() as db:
            if usd is None:
                db.execute("DELETE FROM cap WHERE account = ? AND kind = ?", (account, kind))
            else:
                db.execute("INSERT OR REPLACE INTO cap VALUES (?, ?, ?)", (account, kind, nano_usd_down(usd)))

    def held(self, kind: ScopeKind, name: str) -> Decimal:
        """Dollars settled and reserved in a scope."""
        with self._open() as db:
            row = db.execute("SELECT settled + reserved FROM scope WHERE key = ?", (f"{kind} {name}",)).fetchone()
        return usd_of(row[0]) if row else Decimal(0)

    def samples(self, model: str, most: int = 500) -> list[Sample]:
        """The latest answered attempts of a model."""
        with self._open() as db:
            rows = db.execute(
                "SELECT passages, estimated_input, seconds, input_tokens, cached_input_tokens, cache_write_tokens, "
                "output_tokens, reasoning_tokens FROM attempt "
                "WHERE model = ? AND outcome = 'answered' ORDER BY id DESC LIMIT ?",
                (model, most),
            ).fetchall()
        return [Sample(passages, estimated, Usage(*tokens), s) for passages, estimated, s, *tokens in rows]

    def served(self, model: str, run: str | None = None) -> list[Served]:
        """The answered attempts of a model, in all or in one run."""
        where, values = Filter(model=model, run=run).where()
        with self._open() as db:
            rows = db.execute(
                "SELECT at, seconds, input_tokens, output_tokens FROM attempt "
                f"WHERE outcome = 'answered' AND {where}",
                values,
            ).fetchall()
        return [Served(*row) for row in rows]

    def keep_plan(self, key: str, figures: Mapping[str, object]) -> None:
        """Keep a plan, to be held against the bill."""
        now = datetime.now(UTC).timestamp()
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO plan VALUES (?, ?, ?)", (key, now, json.dumps(figures)))

    def plan(self, key: str) -> dict[str, object] | None:
        """The plan kept under a key."""
        with self._open() as db:
            row = db.execute("SELECT figures FROM plan WHERE key = ?", (key,)).fetchone()
        return dict(json.loads(row[0])) if row else None

    def keep_run(self, name: str, account: str, settings: Mapping[str, object], plan: str | None) -> None:
        """Note that a run begins; one that goes on keeps its first note."""
        now = datetime.now(UTC).timestamp()
        with self._open() as db:
            db.execute(
                "INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?, ?)", (name, now, account, json.dumps(settings), plan)
            )

    def run(self, name: str) -> RunRecord | None:
        """A run as it was begun."""
        with self._open() as db:
            row = db.execute("SELECT name, at, account, settings, plan FROM run WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        name, at, account, settings, plan = row
        return RunRecord(name, _moment(at), account, json.loads(settings), plan)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        db = connect(self.path)
        try:
            yield db
        finally:
            db.close()

    @contextmanager
    def _writing(self) -> Iterator[Books]:
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            books = Books(db, Standing(db), Owner.of_this_process(), datetime.now(UTC).timestamp())
            yield books
            books.write()
            db.execute("COMMIT")


def _line(name: str, spent: Sequence[int], ranked: Sequence[int]) -> Line:
    answered, rejected, unknown, still_open, cached, input_tokens, output_tokens, nano_usd, reserved = spent
    queries, retries, degraded, fell_back = ranked
    return Line(
        name=name,
        queries=queries,
        answered=answered,
        rejected=rejected,
        unknown=unknown,
        open=still_open,
        retries=retries,
        cached=cached,
        degraded=degraded,
        fell_back=fell_back,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        usd=usd_of(nano_usd),
        reserved_usd=usd_of(reserved),
    )


def _route_line(name: str, *sums: int) -> Line:
    queries, retries, degraded, fell_back, attempts, cached, input_tokens, output_tokens, nano_usd = sums
    return Line(
        name=name,
        queries=queries,
        answered=attempts,
        retries=retries,
        cached=cached,
        degraded=degraded,
        fell_back=fell_back,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        usd=usd_of(nano_usd),
    )


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
