"""Connections to a server: as many as there are requests at a time, and the same work for each, however many.

The pool of httpx2 goes through all its connections twice for each request, and asks the socket of every idle one
whether it still stands: with 200 requests under way that is a third of all that a call to an LLM costs.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any
from urllib.request import getproxies

import httpx2

IDLE_S = 5.0
"""Seconds that a connection is kept without a request, as httpx2 does."""
ONE = httpx2.Limits(max_connections=1, keepalive_expiry=IDLE_S)
UNLIMITED = httpx2.Limits(keepalive_expiry=IDLE_S)
TRUSTED = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Where the environment says whom to trust."""
PROXIED = {"http", "https", "all"}
"""What environments name proxies for."""
KEPT_ALIVE_S = 60
"""After so long without a word, the other end is asked whether it is still there: routers forget connections on
which a model thinks for minutes."""

Line = httpx2.AsyncBaseTransport
"""One connection, which opens by itself, and again where it was closed."""


class Connections(httpx2.AsyncBaseTransport):
    """Gives each request a line of its own: the one that was used last, or a new one.

    How many there may be is not limited here. Used in one event loop.
    """

    def __init__(self, line: Callable[[], Line], *, clock: Callable[[], float] = time.monotonic) -> None:
        """``line`` makes one."""
        self._line = line
        self._clock = clock
        self._idle: deque[tuple[Line, float]] = deque()
        """Those free, with the time since when; the one used last at the end."""
        self._busy: set[Line] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See `httpx2.AsyncBaseTransport`."""
        line = self._idle.pop()[0] if self._idle else self._line()
        self._busy.add(line)
        try:
            response = await line.handle_async_request(request)
        except BaseException:
            self._free(line)
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Answer(response.stream, lambda: self._free(line))
        await self._close_old()
        return response

    async def aclose(self) -> None:
        """Close all."""
        lines = [*self._busy, *(line for line, _ in self._idle)]
        self._busy.clear()
        self._idle.clear()
        for line in lines:
            await line.aclose()

    def _free(self, line: Line) -> None:
        if line in self._busy:
            self._busy.remove(line)
            self._idle.append((line, self._clock()))

    async def _close_old(self) -> None:
        """Those that were not needed for a while."""
        old = self._clock() - IDLE_S
        while self._idle and self._idle[0][1] < old:
            await self._idle.popleft()[0].aclose()


class _Answer(httpx2.AsyncByteStream):
    """A body; its line is free once it is closed."""

    def __init__(self, inner: httpx2.AsyncByteStream, closed: Callable[[], None]) -> None:
        self._inner = inner
        self._closed = closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._closed()


def client(**settings: Any) -> httpx2.AsyncClient:
    """httpx2's client over `Connections`. Where the environment names a proxy, that has the pool of httpx2.

    Args:
        settings: of httpx2's client, but for its transport and whom it trusts.
    """
    trusted = _trusted(*map(os.environ.get, TRUSTED))
    if PROXIED & getproxies().keys():
        return httpx2.AsyncClient(verify=trusted, limits=UNLIMITED, **settings)
    return httpx2.AsyncClient(
        transport=Connections(
            lambda: httpx2.AsyncHTTPTransport(verify=trusted, limits=ONE, socket_options=_kept_alive())
        ),
        **settings,
    )


@cache
def _trusted(*_: str | None) -> ssl.SSLContext:
    """Whom connections trust; one for all clients, as reading the certificates takes as long as ten calls."""
    return httpx2.create_ssl_context()


def _kept_alive() -> list[tuple[int, int, int]]:
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):  # not everywhere
        if (option := getattr(socket, name, None)) is not None:
            options.append((socket.IPPROTO_TCP, option, KEPT_ALIVE_S))
    return options
