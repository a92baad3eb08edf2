"""What there is in a cache: answers, their models and worth, and what was set aside."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from listwise.cache.access import in_use, refused
from listwise.cache.database import Database
from listwise.cache.files import Aside, set_aside, size_in_use
from listwise.cache.keys import SPELLINGS
from listwise.cache.salvage import version_1
from listwise.spend.prices import PriceBook
from listwise.types import Usage


class Holding(NamedTuple):
    """The answers of one model."""

    model: str
    answers: int
    input_tokens: int
    output_tokens: int
    nano_usd: int | None
    """What they would cost today; None where the price table does not know the model."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is in a cache's directory."""

    directory: Path
    file: Path | None
    """The database in use."""
    size: int
    """Bytes on disk, without what was set aside."""
    used: int
    """Of those, bytes in pages that hold something: what the size limit is about."""
    oldest: float | None
    """When the oldest answer was stored, in Unix seconds."""
    holdings: tuple[Holding, ...]
    spellings: int
    """How many queries' first spellings are kept beside the answers."""
    damaged: int
    """Entries that were found damaged and removed, in all."""
    evicted: int
    """Answers that made room for others, in all."""
    aside: tuple[Aside, ...]
    version_1: Aside | None
    """A cache that an older listwise left, of which a copy was made."""

    @property
    def answers(self) -> int:
        """Number of answers."""
        return sum(holding.answers for holding in self.holdings)


def survey(directory: Path, book: PriceBook | None = None) -> Survey:
    """Count what is there. Damage is not looked for (see `verify`)."""
    with refused(directory):
        aside, old = tuple(set_aside(directory)), version_1(directory)
    with in_use(directory) as database:
        if database is None:
            return Survey(directory, None, 0, 0, None, (), 0, 0, 0, aside, old)
        with database.reading() as connection:
            (oldest,) = connection.execute("SELECT min(CAST(stored AS REAL)) FROM answer").fetchone()
            damaged, evicted = (_tallied(connection, name) for name in ("damaged", "evicted"))
        holdings = _holdings(database, book or PriceBook())
        return Survey(
            directory,
            database.path,
            size_in_use(directory),
            database.used_bytes(),
            oldest,
            tuple(each for each in holdings if each.model != SPELLINGS),
            sum(each.answers for each in holdings if each.model == SPELLINGS),
            damaged,
            evicted,
            aside,
            old,
        )


def _tallied(connection: sqlite3.Connection, name: str) -> int:
    found = connection.execute("SELECT CAST(count AS INTEGER) FROM tally WHERE name = ?", (name,)).fetchone()
    return int(found[0]) if found else 0


def _holdings(database: Database, book: PriceBook) -> list[Holding]:
    """Answers of equal usage are priced together; a value that is damaged may have used nothing."""
    names = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens")
    columns = ", ".join(
        f"CASE WHEN json_valid(value) THEN max(0, CAST(json_extract(value, '$.usage.{name}') AS INTEGER)) END"
        for name in names
    )
    found: dict[str, Holding] = {}
    with database.reading() as connection:
        for model, count, *tokens in connection.execute(
            f"SELECT coalesce(CAST(model AS BLOB), x''), count(*), {columns} FROM answer "
            "GROUP BY 1, 3, 4, 5, 6 ORDER BY 1"
        ):
            name = model.decode(errors="replace")
            so_far = found.get(name, Holding(name, 0, 0, 0, 0))
            usage = Usage(*(int(number or 0) for number in tokens))
            price = book.find(name)
            nano_usd = None if price is None else (so_far.nano_usd or 0) + count * price.cost(usage)
            found[name] = Holding(
                name,
                so_far.answers + count,
                so_far.input_tokens + count * usage.input_tokens,
                so_far.output_tokens + count * usage.output_tokens,
                nano_usd,
            )
    return list(found.values())
