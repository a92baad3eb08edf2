"""The sync door to the async core: one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


class Portal:
    """Runs coroutines for callers that have no event loop, or are inside one that they may not block on.

    Any number of threads may call at once; they share the loop, and so connections, limits and calls in flight.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="listwise", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine; an interrupt while waiting cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The same for a caller in an event loop of its own; cancelling it cancels the work."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def iterate(self, stream: AsyncGenerator[T, None]) -> Iterator[T]:
        """The entries of an async stream, as they come."""
        done = object()

        async def following() -> T | object:
            return await anext(stream, done)

        try:
            while (entry := self.run(following())) is not done:
                yield entry  # type: ignore[misc]
        finally:
            if not sys.is_finalizing() and self._loop.is_running():
                self._end(stream)

    def _end(self, stream: AsyncGenerator[T, None]) -> None:
        """Close a stream; without waiting where an abandoned iterator is collected in the loop's own thread."""
        if threading.current_thread() is self._thread:
            asyncio.run_coroutine_threadsafe(stream.aclose(), self._loop)
        else:
            self.run(stream.aclose())

    def cancel_all(self) -> None:
        """Cancel everything that is being waited for, and let it end."""

        async def cancel() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            if others:
                await asyncio.wait(others)

        self.run(cancel())

    def close(self) -> None:
        """Stop the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
