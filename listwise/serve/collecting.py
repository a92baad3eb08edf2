"""Less work for the garbage collector, in a process that serves and does nothing else.

What there is after the start stays to the end: half a million objects, which a full collection looks through while
all requests wait. And a request that waits for an LLM keeps its objects for longer than the collector expects, so
that it looks at them in vain, again and again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 200_000
"""Objects made, beyond those that went, before the young ones are looked at: about what two hundred requests under
way hold, or 10 MB. Python's own bound is 700."""


@contextmanager
def uncollected() -> Iterator[None]:
    """While something starts: hardly anything that it makes is garbage."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def settle() -> None:
    """The start is over: what there is now is never looked at again."""
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
