"""Connections whose clients take their time: none may hold a place in the service for nothing.

What uvicorn bounds is a connection kept without a request. Here are bounded: the time from a connection's, or a
request's, first moment until its head is there; answers that nobody reads; and how many connections there are.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from listwise.log import get_logger
from listwise.serve.refusals import busy
from listwise.serve.settings import Limits

_log = get_logger(__name__)

ENDED = "connection_ended"
"""Under this name the application's state has whoever is told why a connection was ended."""
LEAST_BYTES = 64 * 1024
"""Of an answer that waits to be read: so many must go in every period."""
LINGER_S, MOST_LINGERING = 1.0, 64
"""How long a client that was turned away has to read why, and how many have that at a time."""
FILES_BESIDE = 256
"""Open files of a worker that are neither connections of clients nor to LLMs."""


@dataclass(slots=True)
class Bounds:
    """What the connections of one worker are held to."""

    connections: int
    head_s: float
    read_s: float
    lingering: int = 0
    """Those that were turned away and are still open."""


class Bounded(asyncio.Protocol):
    """A connection that uvicorn serves, as long as its client is quick enough."""

    def __init__(self, bounds: Bounds, **uvicorns: Any) -> None:
        self._bounds = bounds
        self._inner: Any = AutoHTTPProtocol(**uvicorns)  # which adds itself to the connections once it is made
        self._connections: set[Any] = uvicorns["server_state"].connections
        self._tell: Callable[[str], None] = uvicorns["app_state"].get(ENDED, _nobody)
        self._turned_away = False
        self._head: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None
        self._unread = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()  # asyncio reads on in that of the request that last resumed reading
        if len(self._connections) >= self._bounds.connections:
            self._turn_away()
            return
        self._inner.connection_made(transport)
        self._await_head()
        self._watch_reader()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._turned_away:
            return
        self._context.run(self._inner.data_received, data)
        if self._is_served():
            self._stop(self._head)
            self._head = None
        elif self._head is None:
            self._await_head()

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""
        return None if self._turned_away else self._inner.eof_received()

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if not self._turned_away:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        if not self._turned_away:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._stop(self._head)
        self._stop(self._reader)
        if not self._turned_away:
            self._inner.connection_lost(exc)
        elif self._head is not None:
            self._bounds.lingering -= 1

    def _is_served(self) -> bool:
        """Whether the head of a request is there, and its answer is not complete."""
        cycle = self._inner.cycle
        return cycle is not None and not cycle.response_complete

    def _await_head(self) -> None:
        self._head = self._loop.call_later(self._bounds.head_s, self._head_is_late)

    def _head_is_late(self) -> None:
        self._tell("slow_head")
        self._transport.abort()

    def _watch_reader(self) -> None:
        """Look again and again whether what waits to be read is read."""
        unread = self._transport.get_write_buffer_size()
        if self._unread and unread > max(0, self._unread - LEAST_BYTES):
            self._drop_answer()
            return
        self._unread = unread
        self._reader = self._loop.call_later(self._bounds.read_s, self._watch_reader)

    def _drop_answer(self) -> None:
        """End the connection, and have the system forget what it holds for it."""
        self._tell("unread")
        self._transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _turn_away(self) -> None:
        """Say why, and wait a moment: what is closed while a request is on its way is reset, and then not read."""
        self._turned_away = True
        self._tell("full")
        self._transport.write(_full())
        if self._bounds.lingering >= MOST_LINGERING:
            self._transport.close()
            return
        self._bounds.lingering += 1
        self._transport.write_eof()
        self._head = self._loop.call_later(LINGER_S, self._transport.abort)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def bounds_of(limits: Limits) -> Bounds:
    """What a worker's connections are held to."""
    return Bounds(limits.connections, limits.head_s, limits.read_s)


def make_room(limits: Limits) -> None:
    """Let this process, and those that it starts, have as many files open as its connections take."""
    try:
        import resource
    except ImportError:  # a system without such limits
        return
    wanted = limits.connections + limits.running + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most < wanted:
            _log.warning("too few files may be open for so many connections", allowed=most, wanted=wanted)


def _nobody(_: str) -> None:
    """Is told nothing."""


def _full() -> bytes:
    refusal = busy("too many connections are open", 1.0, status=503)
    body = json.dumps(refusal.body).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
        **refusal.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 503 Service Unavailable\r\n{lines}\r\n".encode() + body
