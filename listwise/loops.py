"""One of a thing for each event loop: connections cannot move from one loop to another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Gives each event loop its own; the first loop that asks gets the one that is there."""

    def __init__(self, first: T, again: Callable[[T], T]) -> None:
        """``again``: makes the same for another loop."""
        self.first = first
        self._again = again
        self._taken = False
        self._lock = threading.Lock()
        self._each: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()

    def here(self) -> T:
        """That of the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._each:
                self._each[loop] = self._again(self.first) if self._taken else self.first
                self._taken = True
            return self._each[loop]

    def leave(self) -> T | None:
        """That of the running event loop, for good; or the first, if no loop ever had it."""
        with self._lock:
            return self._each.pop(asyncio.get_running_loop(), None if self._taken else self.first)
