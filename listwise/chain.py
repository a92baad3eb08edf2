"""The fallback chain: a window that one model cannot put in order is passed on to the next.

What the models before did, and why it came to nothing, stays with the reading: a window never changes hands unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from listwise.asking import Reply
from listwise.prompting import RequestPrompts
from listwise.reading import Reading, Window, WindowReader
from listwise.spend.tab import Tab
from listwise.types import Request


class Chain:
    """The models for one request, first choice first.

    A model that can do nothing more for this request (its key is refused, the request is, its dollars do not fit)
    is passed over from then on; where none is left, or nothing more may be asked of any, the reply says so.
    """

    def __init__(self, readers: Sequence[WindowReader], request: Request, tab: Tab) -> None:
        self._readers = readers
        self._request = request
        self._tab = tab
        self._prompts: dict[int, RequestPrompts] = {}
        self._out: dict[int, str] = {}

    async def read(self, window: Window) -> Reading:
        """Have a window read by the first model that can order it.

        Raises:
            AnswerError: a bad answer, under the policy ``raise``.
        """
        before: tuple[Reading, ...] = ()
        for at, reader in enumerate(self._readers):
            reading = replace(await self._read(at, reader, window), before=before)
            reply = reading.reply
            if reply.stops == "model" and reply.error is not None:
                self._out.setdefault(at, reply.error)
            if reply.settled or reply.stops == "query":
                return reading
            before = (*before, reading)
        return self._unordered(before)

    async def _read(self, at: int, reader: WindowReader, window: Window) -> Reading:
        if at in self._out:
            return reader.unread(window, Reply(error=self._out[at], stops="model"))
        if at not in self._prompts:
            self._prompts[at] = reader.prompts(self._request)
        return await reader.read(window, self._request, self._prompts[at], self._tab)

    def _unordered(self, readings: tuple[Reading, ...]) -> Reading:
        """None of the models could order the window."""
        *before, last = readings
        ends: Literal["query"] | None = "query" if len(self._out) == len(self._readers) else None
        why = "; then ".join(dict.fromkeys(reading.reply.error or "" for reading in readings))
        return replace(last, reply=replace(last.reply, error=why, stops=ends), before=tuple(before))
