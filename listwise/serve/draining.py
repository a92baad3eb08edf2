"""How a worker stops: at once not ready, then done when those who run are done, or when their grace is over."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from listwise.serve.service import Service

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LEAST_S = 0.2
"""In which even an idle worker says that it is not ready any more."""


async def drain(service: Service) -> None:
    """Wait until nothing runs or waits; after the grace, cancel what does."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with suppress(TimeoutError):
        async with asyncio.timeout(service.settings.limits.grace_s):
            await service.gate.idle.wait()
    service.cancel()
    await asyncio.sleep(max(0.0, LEAST_S - (loop.time() - began)))


@contextmanager
def drained_by_signals(service: Service) -> Iterator[None]:
    """While this holds, a signal to stop drains the service first, and then does what it did before; a second one
    does so at once. Where signals cannot be had (in a thread), nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    tasks: set[asyncio.Task[None]] = set()

    async def then(number: int) -> None:
        await drain(service)
        pass_on(number, None)

    def pass_on(number: int, frame: FrameType | None) -> None:
        handler: Any = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    def begin(number: int) -> None:
        tasks.add(loop.create_task(then(number)))

    def stop(number: int, frame: FrameType | None) -> None:
        if service.draining:
            pass_on(number, frame)
            return
        service.draining = True
        loop.call_soon_threadsafe(begin, number)

    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
