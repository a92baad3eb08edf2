"""Opens the database in use; begins one where there is none, or where the one there was is broken."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from listwise.cache.connecting import Damaged, Superseded, Unusable
from listwise.cache.database import Database
from listwise.cache.files import begin, current, locked, path_of
from listwise.cache.salvage import VERSION_1, Salvaged, salvage
from listwise.log import get_logger

SALVAGE_S = 2.0
"""How long whoever finds the database broken copies answers out of it; `listwise cache salvage` copies the rest."""

_log = get_logger(__name__)


def opened(directory: Path, busy_s: float, broken: int | None = None) -> Database:
    """The database in use, ready for one thread. The directory is made if it is missing, for its user alone.

    A database that is broken, or ``broken`` by what was seen of it, is set aside, and its answers copied into a new
    one. Of several processes that find this, the first does it, while the others wait at the lock and then find its
    work. An old cache (version 1) is copied in the same way when the first database is begun.

    Raises:
        Unusable: it can neither be opened nor begun.
        OSError: the directory cannot be made, listed or written.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_writable(directory):
        return found(directory, busy_s)
    with locked(directory, busy_s):
        generation = current(directory)
        if generation is None:
            return _begun(directory, busy_s, directory / VERSION_1)
        damaged = path_of(directory, generation)
        try:
            if generation != broken:
                return Database.open(damaged, generation, busy_s)
        except Damaged as damage:
            _log.warning("the answer cache is broken; it is set aside and begun anew", detail=str(damage))
        return _begun(directory, busy_s, damaged)


def found(directory: Path, busy_s: float) -> Database:
    """The database in use as it is; nothing is begun or set aside.

    Raises:
        Damaged: it is broken.
        Unusable: there is none, or it cannot be opened.
        OSError: the directory cannot be listed.
    """
    with locked(directory, busy_s) if _is_writable(directory) else nullcontext():
        generation = current(directory)
        if generation is None:
            raise Unusable(f"there is no cache in {directory}")
        return Database.open(path_of(directory, generation), generation, busy_s)


def _is_writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)


def _begun(directory: Path, busy_s: float, source: Path) -> Database:
    generation = begin(directory)
    database = Database.open(path_of(directory, generation), generation, busy_s)
    if source.exists():
        try:
            _report(salvage(source, database, seconds=SALVAGE_S))
        except (Unusable, Superseded) as error:
            _log.warning("answers of the cache that was set aside cannot be copied", detail=str(error))
    return database


def _report(salvaged: Salvaged) -> None:
    rest = "" if salvaged.whole else "; for the rest, run `listwise cache salvage`"
    _log.warning(f"answers copied into the new cache{rest}", copied=salvaged.copied, file=str(salvaged.path))
