"""Copies the answers of a database that was set aside, or of an older version, into the one in use.

Every answer was paid for. What SQLite still reads is taken first; then, if it stopped short, whatever the pages
hold. Answers are only taken if their checksum holds; version 1 had none, there the form of the value must do.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from listwise.cache.answers import Row, checksum, readable, unsealed
from listwise.cache.carving import carved
from listwise.cache.connecting import ERRORS, connect, is_emptied
from listwise.cache.database import Database
from listwise.cache.files import Aside

AT_ONCE = 1000
BUSY_S = 1.0
VERSION_1 = "cache.db"
"""The database of version 1, in the cache's directory; it is read and left as it is."""

_KEY = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What came of a file."""

    path: Path
    found: int
    """Answers that can be read."""
    copied: int
    """Of those, how many were not yet in the database in use."""
    whole: bool
    """Whether all that can be read was read; False where time ran out."""


def salvage(
    path: Path, into: Database, *, seconds: float | None = None, clock: Callable[[], float] = time.monotonic
) -> Salvaged:
    """Copy what can be read, in the time given; what is there already stays as it is.

    Raises:
        Unusable: ``into`` cannot be written.
        Superseded: ``into`` is not the database in use any more.
    """
    deadline = None if seconds is None else clock() + seconds
    rows = iter(_rows(path))
    found = copied = 0
    while batch := list(islice(rows, AT_ONCE)):
        answers = [row for row in batch if row is not None]
        with into.transaction():
            new = into.insert(answers)
        found, copied = found + len(answers), copied + new
        if deadline is not None and clock() > deadline:
            return Salvaged(path, found, copied, whole=False)
    return Salvaged(path, found, copied, whole=True)


def _rows(path: Path) -> Iterator[Row | None]:
    """Every answer that can be read, some perhaps twice; None where one was looked for in vain."""
    if path.name == VERSION_1:
        yield from _old_rows(path)
    elif not (yield from _asked_rows(path)):
        try:
            yield from carved(path)
        except OSError:
            return


def _asked_rows(path: Path) -> Generator[Row | None, None, bool]:
    """What SQLite reads, in the order of storing; returns whether it came to the end."""
    if is_emptied(path):
        return False
    try:
        with closing(connect(path, "mode=rw", BUSY_S)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # after what is being written at this moment
            for key, model, stored, value, seal in connection.execute(
                "SELECT key, model, stored, value, checksum FROM answer ORDER BY id"
            ):
                yield row_of(key, model, stored, value, seal)
    except ERRORS:
        return False
    return True


def row_of(key: object, model: object, stored: object, value: object, seal: object) -> Row | None:
    """A row as the database gave it, text as bytes; None if it is not what was once stored."""
    if not isinstance(key, bytes) or unsealed(key, model, value, seal) is None:
        return None
    assert isinstance(model, bytes)
    assert isinstance(value, bytes)
    assert isinstance(seal, bytes)
    return Row(key.decode(), model.decode(), stored if isinstance(stored, float) else 0.0, value.decode(), seal)


def _old_rows(path: Path) -> Iterator[Row | None]:
    try:
        with closing(connect(path, "mode=ro", BUSY_S)) as connection:
            for key, model, stored, value in connection.execute(
                "SELECT key, tag, store_time, value FROM Cache WHERE raw = 1 AND mode = 1 ORDER BY store_time"
            ):
                yield _old_row(key, model, stored, value)
    except ERRORS:
        return


def _old_row(key: object, model: object, stored: object, value: object) -> Row | None:
    if not (isinstance(key, bytes) and isinstance(model, bytes) and isinstance(value, bytes)):
        return None
    if not _KEY.fullmatch(key) or readable(value) is None:
        return None
    seal = checksum(key, model, value)
    return row_of(key, model, stored, value, seal)


def version_1(directory: Path) -> Aside | None:
    """The cache that an older listwise left in a directory."""
    path = directory / VERSION_1
    return Aside(path, path.stat().st_size) if path.is_file() else None
