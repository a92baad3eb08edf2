"""What ``listwise cache`` does to keep a cache in order.

Nothing here is bounded in time, but all that writes does so in short steps, between which others write. No function
begins a cache where there is none, but for `salvage_into`. All raise `ConfigError` where the cache cannot be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from listwise.cache.access import PATIENCE_S, in_use, refused
from listwise.cache.connecting import Damaged
from listwise.cache.database import SAME, Database
from listwise.cache.files import Aside, current, path_of, remove_aside, set_aside
from listwise.cache.opening import found, opened
from listwise.cache.salvage import VERSION_1, Salvaged, row_of, salvage, version_1

ROWS_AT_ONCE = 1000
PAGES_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a cache holds what was put in."""

    answers: int
    """Answers that are what was once stored."""
    damaged: int
    """Entries that are not."""
    broken: str | None
    """What SQLite says of the file itself, if it is damaged."""
    aside: Path | None = None
    """The file, if it was set aside; ``answers`` could be read, and were copied into a new one."""

    @property
    def is_sound(self) -> bool:
        """Nothing is damaged."""
        return not self.damaged and self.broken is None


def verify(directory: Path, *, keep: bool = False) -> Verdict:
    """Check the file and every entry; remove what is damaged, or set a damaged file aside, unless ``keep``."""
    with refused(directory):
        if current(directory) is None:
            return Verdict(0, 0, None)
        try:
            with closing(found(directory, PATIENCE_S)) as database:
                _check_file(database)
                return _checked_entries(database, keep=keep)
        except Damaged as damage:
            if keep:
                return Verdict(0, 0, str(damage))
            salvaged = _replace(directory, damage.generation)
            return Verdict(salvaged.found, 0, str(damage), salvaged.path)


def clear(directory: Path, model: str | None = None) -> int:
    """Delete all answers, or those of one model; returns how many. Their space is given back to the disk."""
    with in_use(directory) as database:
        if database is None:
            return 0
        with database.reading() as connection:
            (last,) = connection.execute("SELECT max(id) FROM answer").fetchone()
        chosen, values = ("model = ? AND ", [model]) if model is not None else ("", [])
        query = f"DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE {chosen}id <= ? LIMIT {ROWS_AT_ONCE})"
        deleted = 0
        while True:
            with database.transaction():
                now = database.connection.execute(query, [*values, last]).rowcount
            deleted += now
            if not now:
                break
        _give_back(database, 0)
        return deleted


def trim(directory: Path, limit_bytes: int) -> int:
    """Evict answers until a limit is kept, now; returns how many. The file is then no larger than the limit."""
    evicted = 0
    with in_use(directory) as database:
        if database is None:
            return 0
        while database.used_bytes() > limit_bytes:
            with database.transaction():
                now = database.evict(limit_bytes, ROWS_AT_ONCE)
            if not now:
                break
            evicted += now
        _give_back(database, limit_bytes)
    return evicted


def salvage_into(directory: Path, files: Sequence[Path] = ()) -> list[Salvaged]:
    """Copy answers out of databases: by default those set aside here, and that of an older version."""
    with refused(directory), closing(opened(directory, PATIENCE_S)) as database:
        sources = list(files) or [aside.path for aside in set_aside(directory)]
        if not files and version_1(directory):
            sources.append(directory / VERSION_1)
        return [salvage(path, database) for path in sources]


def clear_aside(directory: Path) -> list[Aside]:
    """Delete the databases that were set aside; returns what is gone."""
    with refused(directory):
        return remove_aside(directory)


def _entries(database: Database) -> Iterator[tuple[int, object, object, object, object, object]]:
    """Every row."""
    last = -(2**63)
    while True:
        with database.reading() as connection:
            rows = connection.execute(
                "SELECT id, key, model, stored, value, checksum FROM answer WHERE id > ? ORDER BY id LIMIT ?",
                (last, ROWS_AT_ONCE),
            ).fetchall()
        if not rows:
            return
        yield from rows
        last = rows[-1][0]


def _check_file(database: Database) -> None:
    """Its pages and its index: an answer that is missing from the index would never be found."""
    with database.reading() as connection:
        (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if said != b"ok":
        raise Damaged(f"{database.path}: {said.decode(errors='replace')}", database.generation)


def _checked_entries(database: Database, *, keep: bool) -> Verdict:
    sound = 0
    damaged: list[tuple[int, object, object, object]] = []
    for number, key, model, stored, value, seal in _entries(database):
        if row_of(key, model, stored, value, seal) is None:
            damaged.append((number, model, value, seal))
        else:
            sound += 1
    if damaged and not keep:
        with database.transaction():
            database.connection.executemany(f"DELETE FROM answer WHERE id = ? AND {SAME}", damaged)
            database.tally("damaged", len(damaged))
    return Verdict(sound, len(damaged), None)


def _replace(directory: Path, broken: int) -> Salvaged:
    """Set a damaged database aside for a new one, and copy all that can be read."""
    with closing(opened(directory, PATIENCE_S, broken=broken)) as fresh:
        return salvage(path_of(directory, broken), fresh)


def _give_back(database: Database, limit_bytes: int) -> None:
    """Return pages that hold nothing to the disk, down to the limit, and what waits to be merged."""
    before = None
    while (now := database.page_count) != before:
        before = now
        database.shrink(limit_bytes, PAGES_AT_ONCE)
    with database.reading() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
