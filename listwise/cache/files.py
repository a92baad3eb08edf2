"""The files of a cache: generations of its database, and the lock that is held while one is opened or begun.

A database that is broken is never moved or written again: its successor is begun beside it, under the next number,
and it is *set aside* by that alone. SQLite deletes a ``-wal`` file by its name when a connection closes, so a name
that came to mean another file would cost the new one its latest answers. Numbers are therefore never used twice:
the first one is the time (milliseconds) at which the cache was begun, and each successor's is the next.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

LOCK = "answers.lock"
LOCK_EVERY_S = 0.01
KEPT_ASIDE = 3
"""Databases that stay set aside; older ones are removed when another joins them."""

_PART = re.compile(r"answers-(\d+)\.db(?:-wal|-shm|-journal)?")


class Aside(NamedTuple):
    """A database that was set aside."""

    path: Path
    size: int
    """Bytes, of all its files."""


def path_of(directory: Path, generation: int) -> Path:
    """The database of a generation."""
    return directory / f"answers-{generation}.db"


def _generations(directory: Path) -> dict[int, list[Path]]:
    """All files of each generation; none where there is no directory.

    Raises:
        OSError: the directory cannot be listed.
    """
    found: dict[int, list[Path]] = {}
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return found
    for name in sorted(names):
        if part := _PART.fullmatch(name):
            found.setdefault(int(part[1]), []).append(directory / name)
    return found


def current(directory: Path) -> int | None:
    """The generation in use: the latest, if its database is still there."""
    latest = max(_generations(directory), default=None)
    return latest if latest is not None and path_of(directory, latest).exists() else None


def begin(directory: Path) -> int:
    """Make the empty file of the next generation, private; to be called under the lock.

    Raises:
        OSError: it cannot be made.
    """
    latest = max(_generations(directory), default=None)
    generation = time.time_ns() // 1_000_000 if latest is None else latest + 1
    # The file is new: no connection can have it open, whose locks this closing would drop.
    os.close(os.open(path_of(directory, generation), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    remove_aside(directory, keep=KEPT_ASIDE)
    return generation


def set_aside(directory: Path) -> list[Aside]:
    """The databases that were set aside, oldest first."""
    found = _generations(directory)
    in_use = current(directory)
    return [
        Aside(path_of(directory, generation), sum(_size(file) for file in found[generation]))
        for generation in sorted(found)
        if generation != in_use
    ]


def remove_aside(directory: Path, keep: int = 0) -> list[Aside]:
    """Delete what was set aside, but for the latest ``keep``; returns what is gone."""
    asides = set_aside(directory)
    gone = asides[: max(0, len(asides) - keep)]
    for aside in gone:
        for ending in ("", "-wal", "-shm", "-journal"):
            aside.path.with_name(aside.path.name + ending).unlink(missing_ok=True)
    return gone


def size_in_use(directory: Path) -> int:
    """Bytes of the database in use, with what is yet to be merged into it."""
    in_use = current(directory)
    return 0 if in_use is None else sum(_size(file) for file in _generations(directory)[in_use])


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def locked(directory: Path, wait_s: float) -> Iterator[None]:
    """Hold the directory's lock, against threads and processes; a process that dies lets go of it.

    Raises:
        OSError: the lock cannot be made (a directory that cannot be written).
        TimeoutError: others held it for ``wait_s`` seconds.
    """
    deadline = time.monotonic() + wait_s
    while (file := _grasped(directory / LOCK)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"another process holds {directory / LOCK}")
        time.sleep(LOCK_EVERY_S)
    try:
        yield
    finally:
        os.close(file)


def _grasped(path: Path) -> int | None:
    """The lock's file, locked; None while another has it."""
    import fcntl

    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is(file, path):
            return file
    except BlockingIOError:
        pass
    except OSError:
        os.close(file)
        raise
    os.close(file)
    return None


def _is(file: int, path: Path) -> bool:
    """Whether an open file is still the one at a path: the directory may have been deleted and made anew."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
