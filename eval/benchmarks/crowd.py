"""Clients of an HTTP server, in a process of their own: raw asyncio over requests that were written beforehand.

They cost some 0.1 ms of CPU a request, so that they are not what a benchmark measures, and look at every answer.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import time
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from multiprocessing.connection import Connection
from random import Random
from typing import Any, Literal
from urllib.parse import urlsplit

from eval.benchmarks.loopback import content_length

PATIENCE_S = 120.0
"""After which a request counts as lost."""

Arrival = Literal["closed", "burst", "open"]
"""How requests come.

``closed``
    So many clients; each asks again as soon as it has its answer. They begin one after the other, spread over
    ``spread_s``. The load is what the server bears: if it is slow, less is asked of it.
``burst``
    All clients ask at the same moment, again and again, each time when all have their answers.
``open``
    So many requests a second, at random moments (Poisson), whatever became of those before. A time is counted from
    the moment at which a request should have been sent.
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients are to do. It travels to their process."""

    url: str
    bodies: Sequence[bytes]
    """One for each request."""
    whole: Sequence[tuple[bytes, int]]
    """What a good answer holds, and how often."""
    clients: int
    arrival: Arrival = "closed"
    spread_s: float = 0.0
    rate: float = 0.0
    """Requests a second, where the arrival is open."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the clients saw."""

    seconds: list[float]
    """Of each request that was answered with 200."""
    lost: int
    """Requests without an answer, or with one that is not whole."""
    wall_s: float
    cpu_s: float
    """Of the clients."""

    @property
    def a_second(self) -> float:
        """Requests answered."""
        return len(self.seconds) / self.wall_s

    def quantile(self, share: float) -> float:
        """Seconds in which that share of the requests was answered."""
        ordered = sorted(self.seconds)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def put(load: Load) -> Seen:
    """Do it, in another process.

    Raises:
        RuntimeError: that process failed.
    """
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_put, args=(load, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        found: Seen = ours.recv()
    except EOFError:
        raise RuntimeError("the clients failed") from None
    finally:
        process.join()
    return found


def _put(load: Load, to: Connection) -> None:
    to.send(asyncio.run(_Crowd(load).work()))


@dataclass(slots=True)
class _Crowd:
    load: Load
    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    idle: list[_Line] = field(default_factory=list)

    async def work(self) -> Seen:
        place = urlsplit(self.load.url)
        head = f"POST {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        asked = [f"{head}Content-Length: {len(each)}\r\n\r\n".encode() + each for each in self.load.bodies]
        ways = {"closed": self._closed, "burst": self._burst, "open": self._open}
        began, before = time.monotonic(), time.process_time()
        await ways[self.load.arrival](asked)
        wall_s, cpu_s = time.monotonic() - began, time.process_time() - before
        return Seen(self.seconds, self.lost, wall_s, cpu_s)

    async def _closed(self, asked: Sequence[bytes]) -> None:
        waiting = iter(asked)

        async def one(number: int) -> None:
            await asyncio.sleep(number / self.load.clients * self.load.spread_s)
            for request in waiting:
                await self._ask(request, time.monotonic())

        await _all(one(at) for at in range(self.load.clients))

    async def _burst(self, asked: Sequence[bytes]) -> None:
        for start in range(0, len(asked), self.load.clients):
            together = asked[start : start + self.load.clients]
            now = time.monotonic()
            await _all(self._ask(each, now) for each in together)

    async def _open(self, asked: Sequence[bytes]) -> None:
        chance = Random(8)
        began = time.monotonic()
        times = accumulate(chance.expovariate(self.load.rate) for _ in asked)

        async def one(request: bytes, at: float) -> None:
            await asyncio.sleep(began + at - time.monotonic())
            await self._ask(request, began + at)

        await _all(one(request, at) for request, at in zip(asked, times, strict=True))

    async def _ask(self, request: bytes, since: float) -> None:
        try:
            line = self.idle.pop() if self.idle else await self._connected()
            async with asyncio.timeout(PATIENCE_S):
                answer = await line.ask(request)
        except (OSError, TimeoutError):
            self.lost += 1
            return
        if line.is_open:
            self.idle.append(line)
        self.seconds.append(time.monotonic() - since)
        whole = answer.startswith(b"HTTP/1.1 200") and all(
            answer.count(what) == times for what, times in self.load.whole
        )
        self.lost += not whole

    async def _connected(self) -> _Line:
        place = urlsplit(self.load.url)
        _, line = await asyncio.get_running_loop().create_connection(_Line, place.hostname or "", place.port or 80)
        return line


async def _all(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(job)


class _Line(asyncio.Protocol):
    """One connection; a request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._unread = b""
        self._end = 0

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed"))

    async def ask(self, request: bytes) -> bytes:
        """Send a request; returns the whole answer with its head."""
        if self._transport is None:
            raise ConnectionResetError("closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._unread, self._end = b"", 0
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._end:
            head_end = self._unread.find(b"\r\n\r\n")
            if head_end < 0:
                return
            self._end = head_end + 4 + content_length(self._unread[:head_end].split(b"\r\n"))
        if len(self._unread) >= self._end and self._answer is not None and not self._answer.done():
            self._answer.set_result(self._unread)
