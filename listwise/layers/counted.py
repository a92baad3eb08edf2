"""A model's own count of a prompt's tokens: asked for like an answer, and so cached and joined like one."""

from __future__ import annotations

from dataclasses import replace

from listwise.cache import AnswerStore
from listwise.calls import Call, Completion
from listwise.errors import BudgetExceeded, CallError
from listwise.layers.cached import Cached
from listwise.layers.provider import Provider
from listwise.layers.retried import Retried
from listwise.models.base import CountingModel
from listwise.spend.tab import Tab
from listwise.types import Usage


class TokenCounts:
    """Counts prompts as the server that will read them does. Counting is free; no budget is asked."""

    def __init__(self, model: CountingModel, *, store: AnswerStore | None, timeout_s: float, attempts: int) -> None:
        tokenizer = _Tokenizer(model)
        self._layer = Cached(Retried(Provider(tokenizer, timeout_s), attempts), store, tokenizer.identity)

    async def count(self, call: Call, tab: Tab) -> int | None:
        """Input tokens of a call; None where the server does not say."""
        try:
            answer = await self._layer.ask(call, tab)
        except (CallError, BudgetExceeded):
            return None
        return int(answer.completion.text)


class _Tokenizer:
    """A tokenizer in the shape of a model: its answer to a prompt is the number of its tokens."""

    def __init__(self, model: CountingModel) -> None:
        self._model = model
        self.identity = replace(model.identity, interface="tokenize")
        self.context_tokens = model.context_tokens
        self.reasons = False

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        """See `Model.complete`."""
        count = await self._model.count_tokens(call, timeout_s=timeout_s)
        return Completion(str(count), Usage(), self.identity.model)

    async def aclose(self) -> None:
        """The model closes its own connections."""
