"""The answer cache as the layers see it: it never fails a query, and never holds one up for long."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, TypeVar

from listwise.cache.answers import sealed
from listwise.cache.desk import Counts, Desk, Waits
from listwise.cache.sizes import SIZE_LIMIT_BYTES
from listwise.calls import Completion
from listwise.log import get_logger

T = TypeVar("T")

LARGEST_BYTES = 2**20
LARGEST_SHARE = 16
"""One answer may take a sixteenth of the size limit, and no more than 1 MiB: no model writes as much."""

_log = get_logger(__name__)


class AnswerStore(Protocol):
    """Keeps raw answers. Neither method raises on a failure of the store."""

    async def get(self, key: str) -> Completion | None:
        """The answer kept under a key, or None."""
        ...

    async def put(self, key: str, completion: Completion, model: str) -> None:
        """Keep an answer."""
        ...


class AnswerCache:
    """An `AnswerStore` in a directory that only its user can read.

    Reads have a thread and a connection, and writes have theirs, so that no read waits for a write. Answers that
    wait for their turn are written together. What cannot be written now (a full disk, a lock, a read-only folder)
    waits in memory, where it is found, and is tried again with the answers that follow. After a fork, the child
    begins with threads and connections of its own. Once closed, it keeps and finds nothing.
    """

    def __init__(
        self,
        directory: Path,
        size_limit_bytes: int = SIZE_LIMIT_BYTES,
        *,
        waits: Waits | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``clock`` paces attempts to write; ``now`` (Unix seconds) dates answers."""
        self.directory = directory
        self.counts = Counts()
        self._size_limit_bytes = size_limit_bytes
        self._waits = waits or Waits()
        self._clock = clock
        self._now = now
        self._complaints: set[str] = set()
        self._overdue_read: Future[Completion | None] | None = None
        self._overdue_write: Future[None] | None = None
        self._ended = False
        self._desk = self._begin()

    async def get(self, key: str) -> Completion | None:
        """The answer kept under a key, or None; also None where it cannot be read in time."""
        if self._ended:
            return None
        desk = self._own()
        if (waiting := desk.waiting(key)) is not None:
            return waiting
        if _is_stuck(self._overdue_read):
            return None
        job = desk.read(key)
        try:
            async with asyncio.timeout(self._waits.read_s):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            if job.running():
                self._overdue_read = job
            self._complain("the answer cache does not answer in time", f"{self._waits.read_s} s")
            return None

    async def put(self, key: str, completion: Completion, model: str) -> None:
        """Keep an answer; ``model`` is noted beside it for ``listwise cache``."""
        if self._ended:
            return
        try:
            row = sealed(key, completion, model, self._now())
        except ValueError as error:
            self._refuse(str(error))
            return
        if len(row.value) > min(LARGEST_BYTES, self._size_limit_bytes // LARGEST_SHARE):
            self._refuse(f"{len(row.value):,} bytes are too many for the size of the cache")
            return
        job = self._own().keep(row)
        if _is_stuck(self._overdue_write):
            return
        try:
            async with asyncio.timeout(self._waits.write_s):
                await asyncio.wrap_future(job)
        except TimeoutError:
            if job.running():
                self._overdue_write = job

    def close(self) -> None:
        """Wait for what is being written, and close the database; may be called again."""
        if not self._ended:
            self._ended = True
            if self._desk.pid == os.getpid():
                self._desk.close(wait_for_reads=not _is_stuck(self._overdue_read))

    def _own(self) -> Desk:
        """The desk of this process."""
        if self._desk.pid != os.getpid():
            self._overdue_read = self._overdue_write = None
            self._desk = self._begin()
        return self._desk

    def _begin(self) -> Desk:
        return Desk(self.directory, self._size_limit_bytes, self._waits, self._clock, self.counts, self._complain)

    def _refuse(self, why: str) -> None:
        self.counts.dropped += 1
        self._complain("an answer cannot be kept", why)

    def _complain(self, what: str, detail: str) -> None:
        """A warning the first time, so that a long run is not drowned in them."""
        level = _log.debug if what in self._complaints else _log.warning
        self._complaints.add(what)
        level(what, detail=detail, cache=str(self.directory))


def _is_stuck(overdue: Future[T] | None) -> bool:
    """Whether a thread still waits for something (a lock, a disk that hangs): whoever came next would wait too."""
    return overdue is not None and not overdue.done()
