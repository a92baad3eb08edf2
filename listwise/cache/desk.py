"""What a process has of the cache: a thread that reads, a thread that writes, and the answers that wait for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from listwise.cache.answers import Row, readable, unsealed
from listwise.cache.database import Database, Found
from listwise.cache.worker import Worker
from listwise.calls import Completion

T = TypeVar("T")

ROWS_AT_ONCE = 256
BYTES_AT_ONCE = 2**20
"""Answers, and bytes of them, in one transaction; one answer at least."""
WAITING_AT_MOST = 1024
"""Answers that wait in memory while they cannot be written."""

Complain = Callable[[str, str], None]
"""Told what happened, and the details of it."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long something waits for the cache, in seconds."""

    read_s: float = 3.0
    """A query for an answer, before it asks the model: about as long as a model takes."""
    write_s: float = 1.0
    """A query for its answer to be written, before it goes on; the answer is written when that can be."""
    busy_s: float = 5.0
    """The cache's own threads for the locks of other processes. Readers do not wait for writers."""
    rest_s: float = 1.0
    """After a write that failed, before another is tried."""


@dataclass(slots=True)
class Counts:
    """What a cache went through in this process."""

    damaged: int = 0
    """Entries that were not what was once stored."""
    evicted: int = 0
    """Answers that made room for others."""
    dropped: int = 0
    """Answers that could not be kept."""


class Desk:
    """Reads and writes for one process. ``read`` and ``keep`` may be called from any thread."""

    def __init__(
        self,
        directory: Path,
        limit_bytes: int,
        waits: Waits,
        clock: Callable[[], float],
        counts: Counts,
        complain: Complain,
    ) -> None:
        self.pid = os.getpid()
        self._limit_bytes = limit_bytes
        self._rest_s = waits.rest_s
        self._clock = clock
        self._counts = counts
        self._complain = complain
        self._reader = Worker("listwise-cache-reader", directory, waits.busy_s, clock, complain)
        self._writer = Worker("listwise-cache-writer", directory, waits.busy_s, clock, complain)
        self._lock = threading.Lock()
        self._waiting: dict[str, Row] = {}
        self._damaged: dict[str, Found] = {}
        self._rests_until = float("-inf")

    def waiting(self, key: str) -> Completion | None:
        """An answer that is not written yet."""
        row = self._waiting.get(key)
        return None if row is None else readable(row.value.encode())

    def read(self, key: str) -> Future[Completion | None]:
        """Look for an answer in the database. An entry that is damaged is a miss, and is removed."""
        return self._reader.submit(lambda: self._find(key))

    def keep(self, row: Row) -> Future[None]:
        """Write an answer, with others that wait; done when it is written or when that failed."""
        with self._lock:
            self._waiting[row.key] = row
        return self._writer.submit(self._write)

    def close(self, *, wait_for_reads: bool) -> None:
        """Write what waits, and end."""
        self._reader.close(wait=wait_for_reads)
        self._rests_until = float("-inf")
        self._writer.submit(self._write)
        self._writer.close()
        self._drop(0)

    def _find(self, key: str) -> Completion | None:
        found = self._reader.ask(lambda database: database.find(key))
        if found is None:
            return None
        answer = unsealed(key.encode(), *found)
        if answer is None:
            self._counts.damaged += 1
            self._complain("an entry of the answer cache is damaged; it is removed and asked for again", key)
            with self._lock:
                if len(self._damaged) < WAITING_AT_MOST:
                    self._damaged[key] = found
            self._writer.submit(self._write)
        return answer

    def _write(self) -> None:
        """All that waits, and what comes in meanwhile."""
        while self._clock() >= self._rests_until:
            with self._lock:
                batch = dict(_batch(self._waiting))
                damaged = dict(self._damaged)
            if not batch and not damaged:
                return
            if not self._writer.ask(partial(self._wrote, batch.values(), damaged)):
                self._rests_until = self._clock() + self._rest_s
                break
            with self._lock:
                _remove(self._waiting, batch)
                _remove(self._damaged, damaged)
        self._drop(WAITING_AT_MOST)

    def _wrote(self, rows: Collection[Row], damaged: Mapping[str, Found], database: Database) -> bool:
        self._counts.evicted += database.write(rows, damaged, self._limit_bytes)
        return True

    def _drop(self, most: int) -> None:
        """Give up the oldest of those that wait, where there are more than ``most``."""
        with self._lock:
            given_up = list(self._waiting)[: max(0, len(self._waiting) - most)]
            for key in given_up:
                del self._waiting[key]
        if given_up:
            self._counts.dropped += len(given_up)
            self._complain("answers could not be kept; asked again, they cost again", f"{len(given_up)} answers")


def _batch(waiting: Mapping[str, Row]) -> Iterator[tuple[str, Row]]:
    """What is written next, in the order in which it came."""
    taken = 0
    for key, row in islice(waiting.items(), ROWS_AT_ONCE):
        if taken and taken + len(row.value) > BYTES_AT_ONCE:
            return
        taken += len(row.value)
        yield key, row


def _remove(waiting: dict[str, T], done: dict[str, T]) -> None:
    """Take out what was done, unless something else has come in its place."""
    for key, value in done.items():
        if waiting.get(key) is value:
            del waiting[key]
