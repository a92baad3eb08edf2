"""Reads the ledger's history: what was spent on what, how a model answered, what dead processes left behind."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from listwise.errors import ConfigError, InputError
from listwise.spend.books import Books
from listwise.spend.ledger import Sample, ScopeKind
from listwise.spend.money import MOST_USD, nano_usd_down, nano_usd_up, plain, usd_of
from listwise.spend.owner import Owner
from listwise.spend.route_table import read
from listwise.spend.routes import Routed, RouteFilter
from listwise.spend.schema import connect, connect_to_read
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
UNFINISHED = "(unfinished)"
"""Stands for a route in reports: attempts of queries that were not ranked afterwards, or not yet."""

_ROUTE_OF_ATTEMPT = f"""
    coalesce((
        SELECT route FROM ranking
        WHERE ranking.run = attempt.run AND ranking.qid = attempt.qid AND ranking.at >= attempt.at
        ORDER BY ranking.at LIMIT 1
    ), '{UNFINISHED}')
"""
_ATTEMPTS = """
    SELECT {key}, sum(outcome = 'answered'), sum(outcome IN ('rejected', 'written off')),
        sum(outcome IN ('unknown', 'lost')),
        sum(outcome = 'open'), sum(outcome = 'cached'),
        sum(CASE outcome WHEN 'cached' THEN 0 ELSE input_tokens END),
        sum(CASE outcome WHEN 'cached' THEN 0 ELSE output_tokens END),
        sum(CASE outcome WHEN 'cached' THEN 0 ELSE search_units END),
        sum(spent), sum(CASE outcome WHEN 'open' THEN reserved ELSE 0 END)
    FROM attempt WHERE {where} GROUP BY 1 ORDER BY 1
"""
_RANKINGS = (
    "SELECT {key}, count(*), sum(retries), sum(degraded > 0), count(fallback) FROM ranking WHERE {where} GROUP BY 1"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report."""

    name: str
    """The day (UTC), run, account, model or route; by route, attempts whose query was never ranked are
    ``UNFINISHED``."""
    queries: int = 0
    answered: int = 0
    """Attempts that were answered."""
    rejected: int = 0
    """Attempts that cost nothing: they failed, or were written off as what the provider's bill does not show."""
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
    search_units: int = 0
    """What rerank APIs bill by."""
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


class Reconciled(NamedTuple):
    """Leftovers that were closed, and what they count as together."""

    attempts: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it was begun."""

    name: str
    at: datetime
    account: str
    settings: Mapping[str, object]
    plan: Mapping[str, object] | None
    """The figures of the plan for the same work that was the latest one then."""


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
        rankings = _RANKINGS.format(key=_KEYS[by], where=where)
        attempts = _ATTEMPTS.format(key=_ROUTE_OF_ATTEMPT if by == "route" else _KEYS[by], where=where)
        with self._reading() as db:
            ranked = {str(name): counts for name, *counts in db.execute(rankings, values)}
            spent = {str(name): sums for name, *sums in db.execute(attempts, values)}
        names = sorted({*ranked, *spent})
        return [_line(name, spent.get(name, [0] * 10), ranked.get(name, [0] * 4)) for name in names]

    def leftovers(self, now: datetime | None = None) -> list[Leftover]:
        """Reservations that nobody will settle any more: their process is dead, or they are overdue."""
        moment = (now or datetime.now(UTC)).timestamp()
        here = Owner.of_this_process()
        with self._reading() as db:
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

    def reconcile(self, leftovers: Iterable[Leftover], each_usd: Decimal | None = None) -> Reconciled:
        """Close leftovers at ``each_usd``, or at all that was reserved.

        One that was settled since it was listed, because its process lives after all, stays as it was settled.

        Raises:
            InputError: it would be more than the ledger can count.
        """
        if each_usd is not None:
            _check(each_usd)
        count = total = 0
        with self._changing() as db:
            db.execute("BEGIN IMMEDIATE")
            still_open = {number for (number,) in db.execute("SELECT id FROM attempt WHERE outcome = 'open'")}
            books = Books(db, Standing(db), Owner.of_this_process(), datetime.now(UTC).timestamp())
            for leftover in leftovers:
                if leftover.id not in still_open:
                    continue
                nano_usd = nano_usd_up(leftover.usd if each_usd is None else each_usd)
                books.settle(leftover.id, nano_usd, Usage(), "lost" if nano_usd else "written off", 0.0)
                count, total = count + 1, total + nano_usd
            try:
                books.write()
            except OverflowError:
                raise InputError("that is more than the ledger can count", path=self.path) from None
            db.execute("COMMIT")
        return Reconciled(count, usd_of(total))

    def caps(self) -> dict[str, dict[str, Decimal]]:
        """The caps that are kept, by account and kind of scope."""
        found: dict[str, dict[str, Decimal]] = {}
        with self._reading() as db:
            for account, kind, nano_usd in db.execute("SELECT account, kind, nano_usd FROM cap ORDER BY 1, 2"):
                found.setdefault(account, {})[kind] = usd_of(nano_usd)
        return found

    def keep_cap(self, account: str, kind: ScopeKind, usd: Decimal | None) -> None:
        """Cap an account, or its days or months, for everybody who uses this ledger; None lifts the cap.

        Raises:
            InputError: the amount is negative, or more than the ledger can count.
        """
        with self._changing() as db:
            if usd is None:
                db.execute("DELETE FROM cap WHERE account = ? AND kind = ?", (account, kind))
            else:
                _check(usd)
                db.execute("INSERT OR REPLACE INTO cap VALUES (?, ?, ?)", (account, kind, nano_usd_down(usd)))

    def held(self, kind: ScopeKind, name: str) -> Decimal:
        """Dollars settled and reserved in a scope."""
        with self._reading() as db:
            row = db.execute("SELECT settled + reserved FROM scope WHERE key = ?", (f"{kind} {name}",)).fetchone()
        return usd_of(row[0]) if row else Decimal(0)

    def reserved(self) -> Decimal:
        """Dollars set aside for attempts that are open, those of dead processes included."""
        with self._reading() as db:
            (nano_usd,) = db.execute(
                "SELECT coalesce(sum(reserved), 0) FROM attempt WHERE outcome = 'open'"
            ).fetchone()
        return usd_of(nano_usd)

    def samples(self, model: str, most: int = 500) -> list[Sample]:
        """The latest answered attempts of a model."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT passages, estimated_input, seconds, input_tokens, cached_input_tokens, cache_write_tokens, "
                "output_tokens, reasoning_tokens, search_units FROM attempt "
                "WHERE model = ? AND outcome = 'answered' ORDER BY id DESC LIMIT ?",
                (model, most),
            ).fetchall()
        return [Sample(passages, estimated, Usage(*tokens), s) for passages, estimated, s, *tokens in rows]

    def served(self, model: str, run: str | None = None) -> list[Served]:
        """The answered attempts of a model, in all or in one run."""
        where, values = Filter(model=model, run=run).where()
        with self._reading() as db:
            rows = db.execute(
                "SELECT at, seconds, input_tokens, output_tokens FROM attempt "
                f"WHERE outcome = 'answered' AND {where}",
                values,
            ).fetchall()
        return [Served(*row) for row in rows]

    def routes(self, chosen: RouteFilter = RouteFilter()) -> list[Routed]:
        """The log of routes, oldest first."""
        with self._reading() as db:
            return read(db, chosen)

    def keep_plan(self, key: str, figures: Mapping[str, object]) -> None:
        """Keep a plan, to be held against the bill."""
        now = datetime.now(UTC).timestamp()
        with self._changing() as db:
            db.execute("INSERT OR REPLACE INTO plan VALUES (?, ?, ?)", (key, now, json.dumps(figures)))

    def keep_run(self, name: str, account: str, settings: Mapping[str, object], plan: str | None) -> None:
        """Note that a run begins, with the plan that is kept under a key now; one that goes on keeps its first
        note."""
        now = datetime.now(UTC).timestamp()
        with self._changing() as db:
            db.execute(
                "INSERT OR IGNORE INTO run VALUES (?, ?, ?, ?, (SELECT figures FROM plan WHERE key = ?))",
                (name, now, account, json.dumps(settings), plan),
            )

    def run(self, name: str) -> RunRecord | None:
        """A run as it was begun."""
        with self._reading() as db:
            row = db.execute("SELECT at, account, settings, planned FROM run WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        at, account, settings, planned = row
        return RunRecord(name, _moment(at), account, json.loads(settings), json.loads(planned) if planned else None)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a question to the file.

        Raises:
            ConfigError: it cannot be used.
        """
        with self._reading() as db:
            return db.execute(sql, values).fetchall()

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return _used(connect_to_read(self.path), self.path)

    def _changing(self) -> AbstractContextManager[sqlite3.Connection]:
        return _used(connect(self.path), self.path)


@contextmanager
def _used(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connection):
        try:
            yield connection
        except sqlite3.Error as error:
            raise ConfigError(f"the ledger {path} cannot be used: {error}") from error


def _line(name: str, spent: Sequence[int], ranked: Sequence[int]) -> Line:
    answered, rejected, unknown, still_open, cached, input_tokens, output_tokens, units, nano_usd, reserved = spent
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
        search_units=units,
        usd=usd_of(nano_usd),
        reserved_usd=usd_of(reserved),
    )


def _check(usd: Decimal) -> None:
    if not (usd.is_finite() and 0 <= usd <= MOST_USD):
        raise InputError(f"{usd} is no amount from 0 to {plain(MOST_USD)} dollars")


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
