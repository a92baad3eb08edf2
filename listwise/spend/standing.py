"""What the ledger's file says, remembered from one transaction to the next for as long as nobody else writes.

SQLite tells whether another connection, in whatever process, has written since the last look. If one has, all is
forgotten and read again; so what is remembered is always what a look into the file would show.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

MOST_SCOPES = 4096
"""Remembered at once."""


@dataclass(slots=True, eq=False)
class Total:
    """What a scope holds."""

    key: str
    settled: int = 0
    reserved: int = 0

    @property
    def empty(self) -> bool:
        """Whether it is as if the scope had never been used."""
        return self.settled == self.reserved == 0


@dataclass(slots=True)
class Attempt:
    """What an attempt holds in each of its scopes."""

    reserved: int
    """Nothing once it was closed."""
    spent: int
    totals: Sequence[Total]


class Standing:
    """Scopes, kept caps and open attempts. To be used inside of transactions that `refresh` begins."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._version: int | None = None
        self.drop()

    def drop(self) -> None:
        """Remember nothing: a transaction was undone."""
        self._totals: dict[str, Total] = {}
        self._together: dict[tuple[str, ...], list[Total]] = {}
        self._caps: dict[str, dict[str, int]] = {}
        self._attempts: dict[int, Attempt] = {}
        self._latest: int | None = None

    def refresh(self, settling: Iterable[int]) -> None:
        """Forget what may have changed; look up together the attempts that are going to be settled."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version or len(self._totals) > MOST_SCOPES:
            self._version = version
            self.drop()
        if unknown := [number for number in settling if number not in self._attempts]:
            self._look_up(unknown)

    def total(self, key: str) -> Total:
        """What a scope holds."""
        if key not in self._totals:
            row = self._connection.execute("SELECT settled, reserved FROM scope WHERE key = ?", (key,)).fetchone()
            self._totals[key] = Total(key, *(row or ()))
        return self._totals[key]

    def totals(self, keys: tuple[str, ...]) -> list[Total]:
        """What some scopes hold."""
        if keys not in self._together:
            self._together[keys] = [self.total(key) for key in keys]
        return self._together[keys]

    def caps(self, account: str) -> dict[str, int]:
        """The caps that are kept for an account, by kind of scope."""
        if account not in self._caps:
            rows = self._connection.execute("SELECT kind, nano_usd FROM cap WHERE account = ?", (account,))
            self._caps[account] = dict(rows.fetchall())
        return self._caps[account]

    def attempt(self, number: int) -> Attempt | None:
        """What an attempt holds; None if there is no such attempt."""
        if number not in self._attempts:
            self._look_up([number])
        return self._attempts.get(number)

    def new_number(self) -> int:
        """Of an attempt; no other ever had it, since nobody else writes before this transaction ends."""
        if self._latest is None:
            row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'attempt'").fetchone()
            self._latest = row[0] if row else 0
        self._latest += 1
        return self._latest

    def opened(self, number: int, reserved: int, totals: Sequence[Total]) -> None:
        """This attempt is open, and going to be written."""
        self._attempts[number] = Attempt(reserved, 0, totals)

    def closed(self, numbers: Iterable[int]) -> None:
        """These attempts were written as closed, and need not be remembered."""
        for number in numbers:
            self._attempts.pop(number, None)

    def _look_up(self, numbers: Sequence[int]) -> None:
        rows = self._connection.execute(
            "SELECT id, CASE outcome WHEN 'open' THEN reserved ELSE 0 END, spent, scopes FROM attempt "
            "WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(numbers),),
        )
        for number, reserved, spent, scopes in rows.fetchall():
            self._attempts[number] = Attempt(reserved, spent, self.totals(keys_of(scopes)))


@lru_cache(maxsize=1024)
def text_of(keys: tuple[str, ...]) -> str:
    """Scopes as an attempt's row names them."""
    return json.dumps(keys)


@lru_cache(maxsize=1024)
def keys_of(text: str) -> tuple[str, ...]:
    """What `text_of` was made of."""
    return tuple(json.loads(text))
