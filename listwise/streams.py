"""Streams of work: so many at once, and what comes of them as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


async def at_once(
    work: AsyncGenerator[Coroutine[Any, Any, T], None], most: int
) -> AsyncGenerator[tuple[int, T], None]:
    """Do work that comes as a stream of coroutines, ``most`` at a time.

    The next one is waited for together with those under way, so that results come out of a slow stream as soon as
    they are there. Leaving early cancels what is under way, waits for its end, and then closes the stream.

    Yields:
        The place in the stream, from 0, and the result, in the order in which they are done.
    """
    places: dict[asyncio.Task[T], int] = {}
    coming: asyncio.Task[Coroutine[Any, Any, T] | None] | None = None
    started, ended = 0, False
    try:
        while places or not ended:
            if coming is None and not ended and len(places) < most:
                coming = asyncio.create_task(_next(work))
            at_work: set[asyncio.Task[Any]] = {*places, *((coming,) if coming else ())}
            done, _ = await asyncio.wait(at_work, return_when=asyncio.FIRST_COMPLETED)
            if coming in done:
                following, coming = coming.result(), None
                if following is None:
                    ended = True
                else:
                    places[asyncio.create_task(following)] = started
                    started += 1
            for task in done & places.keys():
                yield places.pop(task), task.result()
    finally:
        if coming is not None:
            coming.add_done_callback(_drop)
        left = {*places, *((coming,) if coming else ())}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        await work.aclose()


async def astream(entries: Iterable[T]) -> AsyncIterator[T]:
    """A stream from any iterable; one that may block is read in a thread, so that calls in flight go on."""
    if isinstance(entries, Sequence):
        for entry in entries:
            yield entry
        return
    left = iter(entries)
    while (following := await asyncio.to_thread(next, left, None)) is not None:
        yield following


async def _next(work: AsyncGenerator[Coroutine[Any, Any, T], None]) -> Coroutine[Any, Any, T] | None:
    return await anext(work, None)


def _drop(coming: asyncio.Task[Coroutine[Any, Any, T] | None]) -> None:
    """Work that came too late is not done."""
    if not coming.cancelled() and coming.exception() is None and (late := coming.result()) is not None:
        late.close()
