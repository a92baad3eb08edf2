"""Has queries that are the same but for the typing asked in the spelling that came first, so that one pays for all.

Everything that follows goes by that spelling: local scores, the order the LLM is shown, the prompts. So what the
later ones would be told is in the answer cache already, or on its way, byte for byte, whatever the model makes of
capitals and question marks. The spelling itself is kept beside the answers, for later runs.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from threading import Lock

from listwise.cache import SPELLINGS, AnswerStore
from listwise.calls import Completion
from listwise.routing.duplicates import same_request
from listwise.types import Request, Usage

REMEMBERED = 65_536
"""Queries whose spelling is kept in memory, beside the cache."""


class Spellings:
    """The first spellings of queries. Safe to share between threads and event loops."""

    def __init__(self, depth: int) -> None:
        """``depth``: how many candidates must be the same."""
        self._depth = depth
        self._seen: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def see(self, request: Request) -> str:
        """Note a request, in the order in which requests come; returns the spelling that came first since."""
        return self._first(same_request(request, self._depth), request.query.text)

    async def first(self, request: Request, store: AnswerStore | None) -> Request:
        """The request in the spelling that came first: of all in the ``store``, else of those seen."""
        key = same_request(request, self._depth)
        kept = await store.get(key) if store is not None else None
        text = kept.text if kept is not None else self._first(key, request.query.text)
        return request if text == request.query.text else replace(request, query=replace(request.query, text=text))

    async def keep(self, request: Request, store: AnswerStore | None) -> None:
        """Keep the spelling of a request that is about to be paid for, unless there is an earlier one."""
        if store is None:
            return
        key = same_request(request, self._depth)
        if await store.get(key) is None:
            await store.put(key, Completion(request.query.text, Usage(), SPELLINGS), SPELLINGS)

    def _first(self, key: str, text: str) -> str:
        with self._lock:
            first = self._seen.setdefault(key, text)
            self._seen.move_to_end(key)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            return first


def said_of(asked: str) -> str:
    """What a receipt notes."""
    return f"asked as {asked!r}, which came first: it differs only in case, spacing, punctuation or Unicode form"
