"""Work that SIGINT or SIGTERM ends early, with what is done kept."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any


def run_until_stopped(work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run to the end, or until a signal cancels it; returns the signal's number, or 0."""
    stopped_by: list[int] = []

    async def stoppable() -> None:
        task = asyncio.current_task()
        assert task is not None

        def stop(number: int) -> None:
            stopped_by.append(number)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        await work()

    with suppress(asyncio.CancelledError):
        asyncio.run(stoppable())
    return stopped_by[0] if stopped_by else 0
