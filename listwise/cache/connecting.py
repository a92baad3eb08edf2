"""Connections to SQLite files that may be damaged, hostile or not to be written, and what their errors mean."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
"""The last one says that a statement does not suit the file (no such table, unsupported format): ours suit ours."""
_DENIED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR}


ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What the sqlite3 module raises; the latter where SQLite's message quotes a damaged schema."""


class Unusable(Exception):
    """The cache cannot be used now: busy, full, read-only, not to be opened, or written by a newer version."""


class ReadOnly(Unusable):
    """The file could not be opened for writing; its connection stays so even if that has changed since."""


class Damaged(Unusable):
    """The file is no cache, or no longer one; ``generation`` says which file it was."""

    def __init__(self, message: str, generation: int) -> None:
        super().__init__(message)
        self.generation = generation


class Superseded(Exception):
    """The file was set aside, or deleted, since it was opened."""


def connect(path: Path, way: str, busy_s: float) -> sqlite3.Connection:
    """A connection that runs nothing a hostile file may hold, and gives text as bytes.

    Raises:
        sqlite3.Error, UnicodeDecodeError: the file cannot be opened or read.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{way}", uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = bytes
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except ERRORS:
        connection.close()
        raise
    return connection


def connected(path: Path, busy_s: float) -> tuple[sqlite3.Connection, bool]:
    """A connection, and whether it is frozen: the file is read as if nobody wrote it, because SQLite cannot make
    the files that it shares with writers.

    Raises:
        sqlite3.Error, UnicodeDecodeError: see `connect`.
    """
    try:
        return connect(path, "mode=rw", busy_s), False
    except sqlite3.OperationalError as error:
        if _code(error) not in _DENIED:
            raise
        return connect(path, "mode=ro&immutable=1", busy_s), True


def is_emptied(path: Path) -> bool:
    """Whether the file lost its pages, but not its ``-wal`` file; SQLite would delete that too."""
    try:
        return not path.stat().st_size and bool(path.with_name(f"{path.name}-wal").stat().st_size)
    except OSError:
        return False


def named(error: sqlite3.Error | UnicodeDecodeError, path: Path, generation: int) -> Unusable:
    """SQLite's errors as ours."""
    said = f"{path}: {error}"
    if isinstance(error, UnicodeDecodeError):
        return Damaged(f"{path}: malformed database schema", generation)
    if _code(error) in _DAMAGE:
        return Damaged(said, generation)
    return ReadOnly(said) if _code(error) == sqlite3.SQLITE_READONLY else Unusable(said)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error is the Python module's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
