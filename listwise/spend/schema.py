"""The ledger's tables, and how its file is opened.

Amounts are nano-dollars, times are Unix seconds, days are UTC.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

from listwise.errors import ConfigError, InputError
from listwise.spend import route_table

APPLICATION_ID = 0x6C_77_69_73  # "lwis"
VERSION = 3
"""2 counts search units; 3 keeps the state of pacing, and the log of routes."""
BUSY_TIMEOUT_S = 60.0
"""How long a transaction waits for those of other processes."""

_CREATING = threading.Lock()
_NEEDS_FILES_BESIDE_IT = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
"""What SQLite says where it cannot make the files in which readers and writers tell each other of themselves."""

_TABLES = f"""
CREATE TABLE scope (
    key TEXT PRIMARY KEY,
    settled INTEGER NOT NULL,
    reserved INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE cap (
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    nano_usd INTEGER NOT NULL,
    PRIMARY KEY (account, kind)
) WITHOUT ROWID;

CREATE TABLE attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    run TEXT NOT NULL,
    account TEXT NOT NULL,
    qid TEXT NOT NULL,
    model TEXT NOT NULL,
    passages INTEGER NOT NULL,
    estimated_input INTEGER NOT NULL,
    counted TEXT NOT NULL,
    owner TEXT NOT NULL,
    expires REAL NOT NULL,
    scopes TEXT NOT NULL,
    reserved INTEGER NOT NULL,
    spent INTEGER NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL,
    seconds REAL NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    cached_input_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens INTEGER NOT NULL DEFAULT 0,
    search_units INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX attempt_open ON attempt (expires) WHERE outcome = 'open';
CREATE INDEX attempt_at ON attempt (at);
CREATE INDEX attempt_run ON attempt (run);
CREATE INDEX attempt_model ON attempt (model, id) WHERE outcome = 'answered';

CREATE TABLE ranking (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    run TEXT NOT NULL,
    account TEXT NOT NULL,
    qid TEXT NOT NULL,
    route TEXT NOT NULL,
    model TEXT NOT NULL,
    strategy TEXT NOT NULL,
    spent INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    cache_hits INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    degraded INTEGER NOT NULL,
    fallback TEXT,
    seconds REAL NOT NULL
);
CREATE INDEX ranking_at ON ranking (at);
CREATE INDEX ranking_run ON ranking (run, qid, at);

CREATE TABLE plan (
    key TEXT PRIMARY KEY,
    at REAL NOT NULL,
    figures TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE run (
    name TEXT PRIMARY KEY,
    at REAL NOT NULL,
    account TEXT NOT NULL,
    settings TEXT NOT NULL,
    planned TEXT
) WITHOUT ROWID;
{route_table.TABLES}
"""

_PACING = """
CREATE TABLE pacing (
    account TEXT PRIMARY KEY,
    at REAL NOT NULL,
    state TEXT NOT NULL
) WITHOUT ROWID;
"""

_FROM_VERSION = {
    1: ("ALTER TABLE attempt ADD COLUMN search_units INTEGER NOT NULL DEFAULT 0",),
    2: (_PACING, route_table.TABLES),
}
"""What makes a version the next one."""
_SEEN_FROM_VERSION = {
    1: "CREATE TEMP VIEW attempt AS SELECT *, 0 AS search_units FROM main.attempt",
    2: route_table.NO_TABLE,
}
"""The same for reports: what is only read is not changed."""


def default_path() -> Path:
    """``$LISTWISE_LEDGER``, else ``listwise/ledger.db`` in the user's state folder."""
    if own := os.environ.get("LISTWISE_LEDGER"):
        return Path(own)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "listwise" / "ledger.db"


def connect(path: Path) -> sqlite3.Connection:
    """Open a ledger for writing, and begin it if there is none. Only its user can read it.

    Raises:
        ConfigError: it cannot be opened or written, or it is something else.
    """
    try:
        _create(path)
        connection = sqlite3.connect(
            os.path.abspath(path), timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"the ledger {path} cannot be opened: {_why(error)}; choose another with --ledger"
        ) from error
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise ConfigError(
            f"the ledger {path} cannot be used: {error}; it is not replaced, because caps depend on it: mend it, "
            "or move it away to begin a new one"
        ) from error
    except ConfigError:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a ledger for reports. Its entries cannot be changed, and it may lie where nothing can be written.

    Raises:
        ConfigError: it cannot be read, or it is something else.
        InputError: nothing was ever put into it.
    """
    try:
        try:
            return _opened_to_read(path, "mode=rw")  # or to read only, where it cannot be written
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _NEEDS_FILES_BESIDE_IT:
                raise
            log = Path(f"{os.path.realpath(path)}-wal")
            if log.exists() and log.stat().st_size:
                raise ConfigError(
                    f"the ledger {path} cannot be read where nothing can be written: its latest entries are still "
                    f"in {log.name}; copy both files to another folder"
                ) from error
            return _opened_to_read(path, "mode=ro&immutable=1")
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"the ledger {path} cannot be read: {_why(error)}") from error


def _opened_to_read(path: Path, how: str) -> sqlite3.Connection:
    address = f"{Path(os.path.realpath(path)).as_uri()}?{how}"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        if _is_new(connection, path):
            raise InputError("there is no ledger here yet: nothing was spent", path=path)
        connection.execute("PRAGMA temp_store = MEMORY")
        for version in range(_version(connection), VERSION):
            _execute(connection, _SEEN_FROM_VERSION[version])
        connection.execute("PRAGMA query_only = 1")
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    """Make an empty file of the user's own, if there is none.

    A file that is there must not be opened beside SQLite: closing it would take away the locks that other
    connections of this process hold on it (POSIX), and the next process to go would delete the log they write to.
    A link to nowhere is followed: SQLite would, too, and make a file that others can read.
    """
    place = Path(os.path.realpath(path))
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _CREATING, suppress(FileExistsError):
        os.close(os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_new(connection, path):
            _execute(connection, _TABLES, _PACING)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        else:
            for version in range(_version(connection), VERSION):
                _execute(connection, *_FROM_VERSION[version])
        if _version(connection) < VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    _use_wal(connection)


def _execute(connection: sqlite3.Connection, *scripts: str) -> None:
    """Execute statements inside of the transaction that is open, which ``executescript`` would end."""
    for script in scripts:
        for statement in script.split(";"):
            connection.execute(statement)


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    version = _version(connection)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION_ID and version > VERSION:
        raise ConfigError(f"the ledger {path} was written by a newer listwise; update this one")
    if application != APPLICATION_ID and tables:
        raise ConfigError(f"{path} is another program's database, no ledger; choose another file with --ledger")
    return bool(application != APPLICATION_ID)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switching is refused at once, without waiting, while another process looks at the file."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _why(error: OSError | sqlite3.Error) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
