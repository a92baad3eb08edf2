"""Figures, for whoever counts what is done on behalf of the current task and of those that it starts.

Who listens is found by context, like the span that is current, so that several services in one process each hear of
their own work, and of nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from listwise.calls import Identity
from listwise.types import Usage


@dataclass(frozen=True, slots=True)
class Called:
    """A call to a model came to its end, with all its attempts and all waiting."""

    identity: Identity
    operation: str
    """What was asked of it: `names.CHAT` or `names.RERANK`."""
    seconds: float
    error: str | None = None
    """The type of the error that it ended in."""
    cached: bool = False
    """Whether the answer was at hand: in the cache, or on its way to another call."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """A request was sent to a model."""

    identity: Identity
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Retried:
    """A call is tried again."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A model on this machine scored the candidates of a query; those who waited for it are not in its time."""

    scorer: str
    seconds: float
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Reserved:
    """Nano-dollars were set aside for an attempt."""

    nano_usd: int


@dataclass(frozen=True, slots=True)
class Settled:
    """An attempt for which so much was ``reserved`` did cost this, in nano-dollars, and used that."""

    reserved: int
    nano_usd: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class Broke:
    """A model is left alone, since it keeps failing; ``circuit`` is a number that its breaker alone has."""

    circuit: int
    model: str


@dataclass(frozen=True, slots=True)
class Mended:
    """It answers again."""

    circuit: int
    model: str


Event = Called | Attempted | Retried | Scored | Reserved | Settled | Broke | Mended
Listener = Callable[[Event], None]

_listener: ContextVar[Listener | None] = ContextVar("listwise listener", default=None)


def tell(event: Event) -> None:
    """Tell whoever listens."""
    if (listener := _listener.get()) is not None:
        listener(event)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """In this block, and in tasks that it starts, this one is told."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
