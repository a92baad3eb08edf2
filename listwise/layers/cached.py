"""Contract 3: pay once. An answer that was ever given is not asked for again, nor one that is on its way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from listwise.cache import AnswerStore, cache_key
from listwise.calls import Call, Identity
from listwise.layers.base import Answer, Layer
from listwise.spend.ledger import Entry
from listwise.spend.tab import Tab


class Cached:
    """Answers from the store if it can; joins a call that is in flight with the same key.

    Followers of a call that fails ask for themselves: its failure may be its own query's (a budget, a deadline).
    """

    def __init__(
        self, inner: Layer, store: AnswerStore | None, identity: Identity, *, in_books: bool = False
    ) -> None:
        """``in_books``: whether hits are noted in the ledger, beside the attempts they saved."""
        self._inner = inner
        self._store = store
        self._identity = identity
        self._in_books = in_books
        self._in_flight: dict[str, asyncio.Future[Answer | None]] = {}

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        key = cache_key(self._identity, call)
        while (leader := self._in_flight.get(key)) is not None:
            if (answer := await asyncio.shield(leader)) is not None:
                self._note(call, tab, answer)
                return replace(answer, nano_usd=0, cached=True)
        landed = self._in_flight[key] = asyncio.get_running_loop().create_future()
        answer = None
        try:
            answer = await self._look_up_or_ask(key, call, tab)
            return answer
        finally:
            del self._in_flight[key]
            landed.set_result(answer)

    async def _look_up_or_ask(self, key: str, call: Call, tab: Tab) -> Answer:
        if self._store is None:
            return await self._inner.ask(call, tab)
        if (stored := await self._store.get(key)) is not None:
            found = Answer(stored, cached=True)
            self._note(call, tab, found)
            return found
        answer = await self._inner.ask(call, tab)
        await asyncio.shield(self._store.put(key, answer.completion, self._identity.name))
        return answer

    def _note(self, call: Call, tab: Tab, answer: Answer) -> None:
        if self._in_books:
            tab.cached(Entry(model=self._identity.name, passages=call.passages), answer.completion.usage)
