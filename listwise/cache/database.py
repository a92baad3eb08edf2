"""The cache's database: one table of answers, what its errors mean, and how it keeps within its size.

Which answers go: those stored longest ago. The least recently used could stay longer, but then every hit would be a
write: it would wait for other writers, and a cache that cannot be written could not be read
(`eval/benchmarks/cache.py` measures the price). What is read over and over is an experiment run again, which reads
all of it in the order in which it was stored: there neither rule is better.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os.path import exists, getsize
from pathlib import Path

from listwise.cache.answers import Row
from listwise.cache.connecting import ERRORS, Damaged, ReadOnly, Superseded, Unusable, connected, is_emptied, named
from listwise.cache.files import path_of

APPLICATION_ID = 0x6C_77_61_6E  # "lwan"
VERSION = 2
"""Of the tables. Version 1 had no checksums and was a diskcache database, ``cache.db``."""
LATEST_VERSION = 99
"""A number beyond is damage, not a version to come."""
PAGE_BYTES = 4096
WAL_PAGES = 512
"""How many pages wait in the ``-wal`` file before they are merged into the database."""
BESIDE_LIMIT_BYTES = 8 * 2**20
"""What a cache may take on disk beyond its limit, while it is in use: the ``-wal`` and ``-shm`` files."""
MERGED_FROM_BYTES = BESIDE_LIMIT_BYTES // 2
"""From which size on a writer waits until the ``-wal`` file can be merged."""
EVICTED_AT_ONCE = 32
EVICTED_AT_MOST = 512
"""Answers that one write evicts. A limit that was lowered is reached over several writes, or by ``cache trim``."""

TABLES = {
    "answer": "CREATE TABLE answer (id INTEGER PRIMARY KEY, key TEXT NOT NULL, model TEXT NOT NULL, "
    "stored REAL NOT NULL, value TEXT NOT NULL, checksum BLOB NOT NULL)",
    "answer_key": "CREATE UNIQUE INDEX answer_key ON answer (key)",
    "tally": "CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
}

Found = tuple[object, object, object]
"""Model, value and checksum as they stand in a row: whatever they are, text as bytes."""
SAME = " AND ".join(f"CAST({name} AS BLOB) IS CAST(? AS BLOB)" for name in ("model", "value", "checksum"))
"""That a row is still as it was found: another process may have put a sound one in its place."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open connection, for one thread at a time."""

    connection: sqlite3.Connection
    path: Path
    generation: int
    name: str
    successor: str
    """The file that stands there once this one was set aside."""
    frozen: bool
    """Whether it is read as if nobody wrote it, because SQLite cannot make the files it shares with writers (a
    read-only folder, a full disk). What is written meanwhile may be missed, and may look like damage."""

    @classmethod
    def open(cls, path: Path, generation: int, busy_s: float) -> Database:
        """Open a file that exists; a new one, of no length, is given its tables.

        Raises:
            Damaged: it is broken, or another program's.
            Unusable: it cannot be opened, or a newer listwise wrote it.
        """
        if is_emptied(path):
            raise Damaged(f"{path} is empty, but for what waits to be merged into it", generation)
        try:
            connection, frozen = connected(path, busy_s)
        except ERRORS as error:
            raise named(error, path, generation) from error
        successor = path_of(path.parent, generation + 1)
        opened = cls(connection, path, generation, str(path), str(successor), frozen)
        try:
            with opened.reading():
                opened._prepare()
        except Unusable:
            connection.close()
            raise
        return opened

    @property
    def is_current(self) -> bool:
        """Whether this is still the database in use."""
        return exists(self.name) and not exists(self.successor)

    def close(self) -> None:
        """Close it; whatever its state, this does not fail."""
        try:
            self.connection.close()
        except sqlite3.Error:
            return

    def find(self, key: str) -> Found | None:
        """``(model, value, checksum)`` under a key, as they stand there: text as bytes.

        Raises:
            Unusable: see `Database.open`.
        """
        try:
            found: Found | None = self.connection.execute(
                "SELECT model, value, checksum FROM answer WHERE key = ?", (key,)
            ).fetchone()
        except ERRORS as error:
            raise self._named(error) from error
        return found

    def write(self, rows: Collection[Row], damaged: Mapping[str, Found], limit_bytes: int) -> int:
        """Remove damaged answers (by key, as they were found), keep new ones, evict; all of it or nothing.

        An answer that is there stays: what one process has read, it reads again. Returns how many were evicted.

        Raises:
            Unusable: see `Database.open`.
            Superseded: it is not the database in use any more.
        """
        with self.transaction():
            removed = sum(
                self.connection.execute(f"DELETE FROM answer WHERE key = ? AND {SAME}", (key, *found)).rowcount
                for key, found in damaged.items()
            )
            self.insert(rows)
            evicted = self.evict(limit_bytes, EVICTED_AT_MOST)
            self.tally("damaged", removed)
        self.shrink(limit_bytes, WAL_PAGES)
        return evicted

    def insert(self, rows: Collection[Row]) -> int:
        """Add answers within a transaction; returns how many were not there yet."""
        return self.connection.executemany(
            "INSERT INTO answer (key, model, stored, value, checksum) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (key) DO NOTHING",
            rows,
        ).rowcount

    def evict(self, limit_bytes: int, at_most: int) -> int:
        """Within a transaction, delete the answers stored longest ago until the rest is within the limit."""
        evicted = 0
        while evicted < at_most and self.used_bytes() > limit_bytes:
            gone = self.connection.execute(
                "DELETE FROM answer WHERE id IN (SELECT id FROM answer ORDER BY id LIMIT ?)", (EVICTED_AT_ONCE,)
            ).rowcount
            if not gone:
                break
            evicted += gone
        self.tally("evicted", evicted)
        return evicted

    def shrink(self, limit_bytes: int, at_most_pages: int) -> None:
        """Give pages that hold nothing back to the disk, if the file is larger than the limit."""
        if (over := self.page_count - limit_bytes // PAGE_BYTES) > 0:
            with self.reading():
                # Every step of this statement frees one page, and `execute` takes only the first.
                self.connection.executescript(f"PRAGMA incremental_vacuum({min(over, at_most_pages)})")
            self._merge_if_due()

    def used_bytes(self) -> int:
        """Bytes of the pages that hold something."""
        return (self.page_count - self._number("freelist_count")) * PAGE_BYTES

    @property
    def page_count(self) -> int:
        """Pages of the file, empty ones too."""
        return self._number("page_count")

    def tally(self, name: str, count: int) -> None:
        """Add to what is counted over the cache's life."""
        if count:
            self.connection.execute(
                "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
                (name, count),
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write, all of it or nothing.

        Raises:
            Unusable: see `Database.open`.
            Superseded: it is not the database in use any more.
        """
        with self.reading():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                # Salvage waits for the transactions that are under way, so from here on nothing is missed.
                if not self.is_current:
                    raise Superseded
                yield
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
        self._merge_if_due()

    def _merge_if_due(self) -> None:
        """Wait for readers to let go of the ``-wal`` file where it grew too large.

        SQLite merges it by itself, but never waits: as long as somebody reads at any moment, it only grows.
        """
        with suppress(OSError):
            if getsize(f"{self.name}-wal") > MERGED_FROM_BYTES:
                with self.reading():
                    self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Ask anything; errors as those of `Database.open`."""
        try:
            yield self.connection
        except ERRORS as error:
            raise self._named(error) from error

    def _number(self, pragma: str) -> int:
        with self.reading():
            (number,) = self.connection.execute(f"PRAGMA {pragma}").fetchone()
        return int(number)

    def _prepare(self) -> None:
        if self._is_new():
            self._create()
        if self.frozen:
            return
        for pragma in (
            "synchronous = NORMAL",
            f"wal_autocheckpoint = {WAL_PAGES}",
            f"journal_size_limit = {WAL_PAGES * PAGE_BYTES}",
        ):
            self.connection.execute(f"PRAGMA {pragma}")

    def _named(self, error: sqlite3.Error | UnicodeDecodeError) -> Unusable:
        return ReadOnly(f"{self.path}: {error}") if self.frozen else named(error, self.path, self.generation)

    def _is_new(self) -> bool:
        application, version = self._number("application_id"), self._number("user_version")
        tables = self.connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        ).fetchall()
        if application == APPLICATION_ID and VERSION < version <= LATEST_VERSION:
            raise Unusable(f"{self.path} was written by a newer listwise; update this one")
        if not tables and application in (0, APPLICATION_ID):
            return True
        if application != APPLICATION_ID or version != VERSION or _decoded(tables) != TABLES:
            raise Damaged(f"{self.path} is another program's database", self.generation)
        return False

    def _create(self) -> None:
        """To be called under the lock of `listwise.cache.files`."""
        execute = self.connection.execute
        execute(f"PRAGMA page_size = {PAGE_BYTES}")
        execute("PRAGMA auto_vacuum = INCREMENTAL")
        execute("PRAGMA journal_mode = WAL")
        execute("BEGIN IMMEDIATE")
        try:
            for statement in TABLES.values():
                execute(statement)
            execute(f"PRAGMA application_id = {APPLICATION_ID}")
            execute(f"PRAGMA user_version = {VERSION}")
            execute("COMMIT")
        finally:
            if self.connection.in_transaction:
                execute("ROLLBACK")


def _decoded(tables: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(errors="replace"): sql.decode(errors="replace") for name, sql in tables}
