"""No connection is open while this process forks.

What SQLite knows of its locks lives in the process, by file: a child that inherits an open database believes that
it holds its parent's locks, even on a connection of its own. When the parent then closes the database, it deletes
the ``-wal`` file under the child, with the answers that the child wrote. So all connections are closed before a
fork, and afterwards both processes open their own. https://www.sqlite.org/howtocorrupt.html (2.6)
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet

WAIT_S = 10.0
"""How long a fork waits for work on a database. A child of a fork that did not wait it out has no cache."""


class Pausing(Protocol):
    """Something with a connection."""

    def pause(self, wait_s: float) -> bool:
        """Close the connection and open none until `resume`; False if that takes longer."""
        ...

    def resume(self) -> None:
        """End a `pause`."""
        ...


undisturbed = threading.Lock()
"""Held while something is used that a child could not use any more if it was forked in the middle of it: pydantic's
locks do not know of forks. The last to be taken: whoever holds it waits for nothing."""

_lock = threading.Lock()
_watched: WeakSet[Pausing] = WeakSet()
_paused: list[Pausing] = []
_torn: list[Pausing] = []
"""In a child: what still had a connection when it was forked. It must be neither used nor closed, so it is kept."""


def watch(one: Pausing) -> None:
    """Pause it for every fork."""
    with _lock:
        _watched.add(one)


def is_torn() -> bool:
    """Whether this process was forked while a connection was in use: then no database may be opened in it."""
    return bool(_torn)


def _before() -> None:
    _lock.acquire()
    _paused.extend(one for one in _watched if one.pause(WAIT_S))
    undisturbed.acquire()


def _in_parent() -> None:
    undisturbed.release()
    for one in _paused:
        one.resume()
    _paused.clear()
    _lock.release()


def _in_child() -> None:
    _torn.extend(one for one in _watched if one not in _paused)
    _in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
