"""What can be written into the ledger's tables inside one transaction.

Totals of a scope are kept beside the attempts that they sum up, so that a reservation costs the same however long
the history is.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from listwise.spend.ledger import Entry, Outcome, Reservation, Scope
from listwise.spend.owner import Owner
from listwise.types import Receipt, Usage


@dataclass(slots=True)
class _Total:
    settled: int
    reserved: int
    changed: bool = False


class Books:
    """One transaction's view. What it changes in totals is written once, by `write_totals`."""

    def __init__(self, connection: sqlite3.Connection, owner: Owner, now: float) -> None:
        self._connection = connection
        self._owner = owner
        self._now = now
        self._totals: dict[str, _Total] = {}
        self._caps: dict[str, dict[str, int]] = {}

    def reserve(self, scopes: Sequence[Scope], nano_usd: int, entry: Entry, patience_s: float) -> Reservation:
        """See `Ledger.reserve`."""
        for scope in scopes:
            cap = self._cap(scope, entry.account)
            total = self._total(scope.key)
            held = total.settled + total.reserved
            if cap is not None and held + nano_usd > cap:
                pending = held - self._on_its_way(scope) + nano_usd <= cap
                raise scope.over(cap, held, nano_usd, pending=pending)
        keys = [scope.key for scope in scopes]
        number = self._insert(entry, "open", keys, nano_usd, self._now + patience_s, Usage())
        for key in keys:
            self._add(key, reserved=nano_usd)
        return Reservation(number, tuple(scopes), nano_usd)

    def settle(self, number: int, nano_usd: int, usage: Usage, outcome: Outcome, seconds: float) -> None:
        """Close an attempt: what it cost replaces what was reserved, or what it was thought to have cost."""
        found = self._connection.execute(
            "SELECT outcome, reserved, spent, scopes FROM attempt WHERE id = ?", (number,)
        ).fetchone()
        if found is None:
            return
        was, reserved, spent, scopes = found
        self._connection.execute(
            "UPDATE attempt SET spent = ?, outcome = ?, seconds = ?, input_tokens = ?, cached_input_tokens = ?, "
            "cache_write_tokens = ?, output_tokens = ?, reasoning_tokens = ? WHERE id = ?",
            (nano_usd, outcome, seconds, *_tokens(usage), number),
        )
        for key in json.loads(scopes):
            if was == "open":
                self._add(key, settled=nano_usd, reserved=-reserved)
            else:
                self._add(key, settled=nano_usd - spent)

    def cached(self, entry: Entry, usage: Usage) -> None:
        """See `Ledger.cached`."""
        self._insert(entry, "cached", [], 0, self._now, usage)

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

    def forget(self, scope: Scope) -> None:
        """See `Ledger.forget`; a scope with money still reserved in it is kept."""
        if self._total(scope.key).reserved == 0:
            self._totals.pop(scope.key)
            self._connection.execute("DELETE FROM scope WHERE key = ?", (scope.key,))

    def write_totals(self) -> None:
        """The last act of a transaction."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO scope VALUES (?, ?, ?)",
            [(key, total.settled, total.reserved) for key, total in self._totals.items() if total.changed],
        )

    def _insert(
        self, entry: Entry, outcome: str, keys: Sequence[str], reserved: int, expires: float, usage: Usage
    ) -> int:
        cursor = self._connection.execute(
            "INSERT INTO attempt (at, run, account, qid, model, passages, estimated_input, counted, owner, "
            "expires, scopes, reserved, outcome, input_tokens, cached_input_tokens, cache_write_tokens, "
            f"output_tokens, reasoning_tokens) VALUES ({', '.join('?' * 18)})",
            (
                self._now,
                entry.run,
                entry.account,
                entry.qid,
                entry.model,
                entry.passages,
                entry.estimated_input,
                entry.counted,
                str(self._owner),
                expires,
                json.dumps(keys),
                reserved,
                outcome,
                *_tokens(usage),
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _cap(self, scope: Scope, account: str) -> int | None:
        """The lower of the asker's cap and the one kept for the account."""
        if account not in self._caps:
            rows = self._connection.execute("SELECT kind, nano_usd FROM cap WHERE account = ?", (account,))
            self._caps[account] = dict(rows.fetchall())
        kept = self._caps[account].get(scope.kind)
        return scope.cap if kept is None else kept if scope.cap is None else min(kept, scope.cap)

    def _total(self, key: str) -> _Total:
        if key not in self._totals:
            row = self._connection.execute("SELECT settled, reserved FROM scope WHERE key = ?", (key,)).fetchone()
            self._totals[key] = _Total(*(row or (0, 0)))
        return self._totals[key]

    def _add(self, key: str, *, settled: int = 0, reserved: int = 0) -> None:
        total = self._total(key)
        total.settled += settled
        total.reserved += reserved
        total.changed = True

    def _on_its_way(self, scope: Scope) -> int:
        """What is reserved in a scope by attempts that may yet turn out cheaper: those of processes that live."""
        rows = self._connection.execute(
            "SELECT owner, sum(reserved) FROM attempt, json_each(attempt.scopes) "
            "WHERE outcome = 'open' AND expires > ? AND json_each.value = ? GROUP BY owner",
            (self._now, scope.key),
        )
        return sum(amount for owner, amount in rows if Owner.parse(owner).lives(self._owner) is not False)


def _tokens(usage: Usage) -> tuple[int, int, int, int, int]:
    return (
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )
