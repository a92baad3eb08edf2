"""A thread with a connection of its own, which survives whatever happens to the database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from listwise.cache.database import Damaged, Database, Superseded, Unusable
from listwise.cache.opening import opened

T = TypeVar("T")

FROZEN_S = 1.0
"""How long a database that could only be opened frozen is read, before it is opened again."""
TRIES = 3
"""How often a piece of work is begun: a database that is set aside, or was by another process, is opened again."""


class Worker:
    """Does one thing after another with the database in use."""

    def __init__(
        self,
        name: str,
        directory: Path,
        busy_s: float,
        clock: Callable[[], float],
        complain: Callable[[str, str], None],
    ) -> None:
        """``complain(what, detail)`` hears of what fails; ``busy_s`` is how long locks are waited for."""
        self._directory = directory
        self._busy_s = busy_s
        self._clock = clock
        self._complain = complain
        self._database: Database | None = None
        self._frozen_until = float("-inf")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have something done in the thread."""
        return self._thread.submit(work)

    def ask(self, work: Callable[[Database], T]) -> T | None:
        """In the thread: what ``work`` returns, or None if it cannot be done."""
        broken: int | None = None
        for _ in range(TRIES):
            try:
                return work(self._opened(broken))
            except Damaged as damage:
                self._complain("the answer cache is broken; it is set aside and begun anew", str(damage))
                broken = damage.generation
            except Superseded:
                broken = None
            except (Unusable, OSError) as error:
                self._complain("the answer cache cannot be used", str(error))
                return None
            self._leave()
        return None

    def close(self, *, wait: bool = True) -> None:
        """End the thread, once it has done what was submitted, and close the connection."""
        ended = self._thread.submit(self._leave)
        self._thread.shutdown(wait=wait)
        if wait:
            ended.result()

    def _opened(self, broken: int | None) -> Database:
        held = self._database
        if held is not None and (not held.is_current or (held.frozen and self._clock() > self._frozen_until)):
            self._leave()
        if self._database is None:
            self._database = opened(self._directory, self._busy_s, broken)
            self._frozen_until = self._clock() + FROZEN_S
        return self._database

    def _leave(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
