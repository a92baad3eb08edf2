"""What can be written into the ledger's tables inside one transaction.

Totals of a scope are kept beside the attempts that they sum up, so that a reservation costs the same however long
the history is. What one transaction changes is gathered and written together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain

from listwise.errors import LedgerFailed
from listwise.spend.ledger import Entry, Outcome, Reservation, Scope, Shared
from listwise.spend.owner import Owner
from listwise.spend.route_table import Row, append, row_of
from listwise.spend.routes import RouteNote
from listwise.spend.standing import Standing, Total, text_of
from listwise.types import Receipt, Usage

TOGETHER = 32
"""Attempts that one statement inserts. While it runs, the process's other threads go on."""

_ROW = f"({', '.join('?' * 20)})"
_INSERT = f"""
    INSERT INTO attempt (id, at, run, account, qid, model, passages, estimated_input, counted, owner, expires,
        scopes, reserved, outcome, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
        reasoning_tokens, search_units)
    VALUES {_ROW}
"""
_INSERT_MANY = _INSERT + f", {_ROW}" * (TOGETHER - 1)
_CLOSE = """
    UPDATE attempt SET spent = ?, outcome = ?, seconds = ?, input_tokens = ?, cached_input_tokens = ?,
        cache_write_tokens = ?, output_tokens = ?, reasoning_tokens = ?, search_units = ?
    WHERE id = ?
"""


class Books:
    """One transaction's view. What it changes is on its way to the file once `write` was called."""

    def __init__(self, connection: sqlite3.Connection, standing: Standing, owner: Owner, now: float) -> None:
        self._connection = connection
        self._standing = standing
        self._owner = owner
        self._owner_text = str(owner)
        self._now = now
        self._new: list[tuple[object, ...]] = []
        self._changed: set[Total] = set()
        self._closed: dict[int, tuple[object, ...]] = {}
        self._routes: list[Row] = []

    def reserve(self, scopes: Sequence[Scope], nano_usd: int, entry: Entry, patience_s: float) -> Reservation:
        """See `Ledger.reserve`."""
        keys = tuple([scope.key for scope in scopes])
        totals = self._standing.totals(keys)
        kept = self._standing.caps(entry.account)
        if kept and not entry.priced:
            raise LedgerFailed(
                f"account {entry.account} has a cap by now, and no price is known for {entry.model}: give one with "
                "--price"
            )
        for scope, total in zip(scopes, totals, strict=True):
            cap = _lower(scope.cap, kept.get(scope.kind))
            held = total.settled + total.reserved
            if cap is not None and held + nano_usd > cap:
                pending = held - self._on_its_way(scope) + nano_usd <= cap
                raise scope.over(cap, held, nano_usd, pending=pending)
        number = self._note(entry, "open", keys, nano_usd, self._now + patience_s, Usage())
        self._standing.opened(number, nano_usd, totals)
        for total in totals:
            total.reserved += nano_usd
        self._changed.update(totals)
        return Reservation(number, tuple(scopes), nano_usd)

    def settle(self, number: int, nano_usd: int, usage: Usage, outcome: Outcome, seconds: float) -> None:
        """Close an attempt: what it cost replaces what was reserved, or what it was thought to have cost."""
        attempt = self._standing.attempt(number)
        if attempt is None:
            return
        self._closed[number] = (nano_usd, outcome, seconds, *_usage(usage), number)
        for total in attempt.totals:
            total.settled += nano_usd - attempt.spent
            total.reserved -= attempt.reserved
        self._changed.update(attempt.totals)
        attempt.reserved, attempt.spent = 0, nano_usd

    def cached(self, entry: Entry, usage: Usage) -> None:
        """See `Ledger.cached`."""
        self._note(entry, "cached", (), 0, self._now, usage)

    def ranked(self, entry: Entry, receipt: Receipt, nano_usd: int) -> None:
        """See `Ledger.ranked`."""
        self._connection.execute(
            f"INSERT INTO ranking VALUES (NULL, {', '.join('?' * 17)})",
            (
                self._now,
                entry.run,
                entry.account,
                receipt.qid,
                receipt.route,
                receipt.model or receipt.local or "",
                receipt.strategy or "",
                nano_usd,
                receipt.calls,
                receipt.attempts,
                receipt.retries,
                receipt.cache_hits,
                receipt.input_tokens,
                receipt.output_tokens,
                len(receipt.degraded),
                receipt.fallback,
                receipt.seconds,
            ),
        )

    def share(self, account: str, scope: Scope, update: Callable[[str | None], str]) -> Shared:
        """See `Ledger.share`."""
        row = self._connection.execute("SELECT state FROM pacing WHERE account = ?", (account,)).fetchone()
        state = update(row[0] if row else None)
        self._connection.execute("INSERT OR REPLACE INTO pacing VALUES (?, ?, ?)", (account, self._now, state))
        total = self._standing.total(scope.key)
        return Shared(state, total.settled, total.reserved)

    def routed(self, entry: Entry, note: RouteNote) -> None:
        """See `Ledger.routed`."""
        self._routes.append(row_of(self._now, entry, note))

    def forget(self, scope: Scope) -> None:
        """See `Ledger.forget`; a scope with money still reserved in it is kept."""
        total = self._standing.total(scope.key)
        if total.reserved == 0:
            total.settled = 0
            self._changed.add(total)

    def write(self) -> None:
        """The last act of a transaction. A scope that holds nothing needs no row."""
        self._write_attempts()
        if self._routes:
            append(self._connection, self._routes)
        self._connection.executemany(
            "INSERT OR REPLACE INTO scope VALUES (?, ?, ?)",
            [(total.key, total.settled, total.reserved) for total in self._changed if not total.empty],
        )
        self._connection.executemany(
            "DELETE FROM scope WHERE key = ?", [(total.key,) for total in self._changed if total.empty]
        )

    def _write_attempts(self) -> None:
        full = len(self._new) // TOGETHER * TOGETHER
        for start in range(0, full, TOGETHER):
            rows = self._new[start : start + TOGETHER]
            self._connection.execute(_INSERT_MANY, tuple(chain.from_iterable(rows)))
        self._connection.executemany(_INSERT, self._new[full:])
        self._connection.executemany(_CLOSE, self._closed.values())
        self._standing.closed(self._closed)
        self._new.clear()
        self._closed.clear()

    def _note(
        self, entry: Entry, outcome: str, keys: tuple[str, ...], reserved: int, expires: float, usage: Usage
    ) -> int:
        number = self._standing.new_number()
        self._new.append(
            (
                number,
                self._now,
                entry.run,
                entry.account,
                entry.qid,
                entry.model,
                entry.passages,
                entry.estimated_input,
                entry.counted,
                self._owner_text,
                expires,
                text_of(keys),
                reserved,
                outcome,
                *_usage(usage),
            )
        )
        return number

    def _on_its_way(self, scope: Scope) -> int:
        """What is reserved in a scope by attempts that may yet turn out cheaper: those of processes that live."""
        self._write_attempts()
        rows = self._connection.execute(
            "SELECT owner, sum(reserved) FROM attempt, json_each(attempt.scopes) "
            "WHERE outcome = 'open' AND expires > ? AND json_each.value = ? GROUP BY owner",
            (self._now, scope.key),
        )
        return sum(amount for owner, amount in rows if Owner.parse(owner).lives(self._owner) is not False)


def _lower(one: int | None, other: int | None) -> int | None:
    """The lower of two caps; None is none."""
    return one if other is None else other if one is None else min(one, other)


def _usage(usage: Usage) -> tuple[int, int, int, int, int, int]:
    return (
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.search_units,
    )
