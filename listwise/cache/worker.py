"""A thread with a connection of its own, which survives whatever happens to the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from listwise.cache import forking
from listwise.cache.connecting import Damaged, ReadOnly, Superseded, Unusable
from listwise.cache.database import Database
from listwise.cache.opening import opened

T = TypeVar("T")

LOOK_EVERY_S = 0.25
"""How long a database is read before a look whether it is still the one in use; a frozen one is opened again.

Until then answers may come out of one that was set aside. Nothing is written there: every write looks.
"""
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
        self._look_at = float("-inf")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._at_work = threading.Lock()
        forking.watch(self)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have something done in the thread."""
        return self._thread.submit(work)

    def ask(self, work: Callable[[Database], T]) -> T | None:
        """In the thread: what ``work`` returns, or None if it cannot be done."""
        with self._at_work:
            return self._asked(work)

    def pause(self, wait_s: float) -> bool:
        """Close the connection and open none until `resume`; False if the thread is at work for longer."""
        paused = self._at_work.acquire(timeout=wait_s)
        if paused:
            self._leave()
        return paused

    def resume(self) -> None:
        """End a `pause`."""
        self._at_work.release()

    def close(self, *, wait: bool = True) -> None:
        """End the thread, once it has done what was submitted, and close the connection."""
        ended = self._thread.submit(self._end)
        self._thread.shutdown(wait=wait)
        if wait:
            ended.result()

    def _asked(self, work: Callable[[Database], T]) -> T | None:
        if forking.is_torn():
            self._complain("the answer cache was busy when this process was forked", "it does without one")
            return None
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
                if isinstance(error, ReadOnly):
                    self._leave()
                return None
            self._leave()
        return None

    def _opened(self, broken: int | None) -> Database:
        held = self._database
        if held is not None and self._clock() < self._look_at:
            return held
        if held is None or held.frozen or not held.is_current:
            self._leave()
            held = self._database = opened(self._directory, self._busy_s, broken)
        self._look_at = self._clock() + LOOK_EVERY_S
        return held

    def _end(self) -> None:
        with self._at_work:
            self._leave()

    def _leave(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
