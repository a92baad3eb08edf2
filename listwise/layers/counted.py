"""A model's own count of a prompt's tokens: asked for like an answer, and so cached and joined like one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from listwise.cache import AnswerStore
from listwise.calls import Call, Completion
from listwise.errors import BudgetExceeded, CallError
from listwise.layers.cached import Cached
from listwise.layers.provider import Provider
from listwise.layers.retried import Retried
from listwise.log import get_logger
from listwise.models.base import CountingModel
from listwise.spend.tab import Tab
from listwise.spend.tokens import Count, Rung, TokenCounter
from listwise.types import Usage

COUNT_TIMEOUT_S = 5.0
"""How long a count may take; a prompt is counted locally where it takes longer."""
FAILURES_IN_A_ROW = 3
"""After so many the server is not asked for a while."""
PAUSE_S = 60.0
"""That while."""
SLACK_SHARE, SLACK_TOKENS = 0.02, 16
"""Room for what a provider's count may be off: Anthropic states "a small amount" without a figure."""

_log = get_logger(__name__)


class TokenCounts:
    """Counts prompts as the server that will read them does. Counting is free; no budget is asked."""

    def __init__(
        self, model: CountingModel, *, store: AnswerStore | None, timeout_s: float, attempts: int = 1
    ) -> None:
        tokenizer = _Tokenizer(model)
        self.rung: Rung = model.counted
        self._layer = Cached(Retried(Provider(tokenizer, timeout_s), attempts), store, tokenizer.identity)

    async def count(self, call: Call, tab: Tab) -> int | None:
        """Input tokens of a call; None where the server does not say."""
        try:
            answer = await self._layer.ask(call, tab)
        except (CallError, BudgetExceeded):
            return None
        said = answer.completion.text
        return int(said) if said.isdecimal() else None


class Counting:
    """How large a call is, before money is set aside for it.

    By the local counter alone, or, with ``counts``, by the server's own count, where it gives one in time that is
    not below the local floor. After `FAILURES_IN_A_ROW` failures the server is left alone for `PAUSE_S`, so that no
    run is slowed by an endpoint that is not there.
    """

    def __init__(
        self,
        counter: TokenCounter,
        counts: TokenCounts | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counter = counter
        self._counts = counts
        self._clock = clock
        self._failures = 0
        self._asks_again_at = -math.inf

    def local(self, call: Call) -> Count:
        """The size of a call as it is counted here."""
        return self._counter.count(call)

    async def count(self, call: Call, tab: Tab) -> Count:
        """The size of a call, as well as it can be known."""
        here = self.local(call)
        if self._counts is None or self._clock() < self._asks_again_at:
            return here
        tokens = await self._counts.count(call, tab)
        if tokens is None or tokens < here.floor:
            self._failed()
            return here
        self._failures = 0
        return Count(_with_slack(tokens, self._counts.rung), tokens, self._counts.rung)

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            _log.warning("the server does not count tokens; counting locally", pause_s=PAUSE_S)
            self._asks_again_at = self._clock() + PAUSE_S


def _with_slack(tokens: int, rung: Rung) -> int:
    """The upper bound that a server's count makes; a tokenizer's is exact."""
    return tokens if rung == "tokenizer" else math.ceil(tokens * (1 + SLACK_SHARE)) + SLACK_TOKENS


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
