"""A rerank API as a stage: candidates in, scores out, and everything that an LLM's calls get on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from listwise.cache import AnswerStore, cache_key
from listwise.calls import Identity
from listwise.errors import BudgetExceeded, CallError, LedgerFailed
from listwise.layers import Counting, Layer
from listwise.models.base import Model
from listwise.models.rerank.naming import load_rerank_model
from listwise.models.rerank.scores import read_scores
from listwise.models.rerank.vendor import Limits
from listwise.policy import Policy
from listwise.spend.prices import Price, bound
from listwise.spend.search_units import most_search_units
from listwise.spend.tab import Tab
from listwise.spend.tokens import TokenCounter, counter_for
from listwise.stages.base import StageScores
from listwise.stages.requests import ScoreRequest, requests_for
from listwise.types import Candidate, Query, Usage
from listwise.wrapping import price_of, wrapped


@dataclass(frozen=True, slots=True)
class Forecast:
    """What scoring some candidates would take. Where the price is not known, dollars are 0."""

    requests: int = 0
    cached: int = 0
    """Those whose answer is in the cache, free of charge; they count in none of the figures below."""
    input_tokens: int = 0
    """About right, as are ``search_units`` and ``nano_usd``."""
    search_units: int = 0
    nano_usd: int = 0
    most_nano_usd: int = 0
    """Never too few, as long as no attempt is lost and has to be made again."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """What became of one request."""

    scores: tuple[float, ...] | None
    cached: bool = False
    why: str = ""
    """Why there are no scores."""


class RemoteStage:
    """One rerank API with everything that stands around it. See `listwise.stages.base.Stage`."""

    def __init__(
        self,
        model: Model,
        layer: Layer,
        *,
        limits: Limits,
        counter: TokenCounter,
        price: Price | None,
        store: AnswerStore | None,
        rebuild: Callable[[], Self] | None = None,
    ) -> None:
        """``layer`` asks ``model``; ``store`` is where it keeps answers, and ``rebuild`` makes the same anew."""
        self._model = model
        self._layer = layer
        self._limits = limits
        self._counter = counter
        self._price = price
        self._store = store
        self._rebuild = rebuild

    @classmethod
    def of(
        cls,
        policy: Policy,
        name: str,
        *,
        base_url: str | None = None,
        store: AnswerStore | None,
        capped: bool = False,
    ) -> Self:
        """The stage of a name such as ``cohere/rerank-v3.5``; no call is made.

        Args:
            policy: gives prices, caps, concurrency, timeout and attempts. Its rates a minute are the LLM's own.
            name: see `load_rerank_model`.
            base_url: where it is served, if not at the vendor's own address or where the environment says.
            store: the answer cache; who opened it closes it.
            capped: whether a dollar cap holds that is not the policy's own.

        Raises:
            ConfigError: there is no such model, its key or address is missing, or its price is, under a cap.
        """
        model = load_rerank_model(name, base_url=base_url)
        price = price_of(policy, model.identity, capped=capped)
        counter = counter_for(name)
        return cls(
            model,
            wrapped(policy, model, store, Counting(counter), price),
            limits=model.limits,
            counter=counter,
            price=price,
            store=store,
            rebuild=lambda: cls.of(policy, name, base_url=base_url, store=store, capped=capped),
        )

    @property
    def name(self) -> str:
        """``provider/name``, as in receipts."""
        return self._model.identity.name

    @property
    def identity(self) -> Identity:
        """Which model, and where."""
        return self._model.identity

    @property
    def calibration(self) -> None:
        """None: what a vendor's score says of relevance is the vendor's own affair."""

    @property
    def priced(self) -> bool:
        """Whether its price is known, so that dollars mean anything."""
        return self._price is not None

    async def score(self, query: Query, candidates: Sequence[Candidate], tab: Tab) -> StageScores:
        """See `Stage.score`. Candidates go in requests of as many as the API takes, all at once."""
        requests = requests_for(query, candidates, self._limits, self._counter)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ask(request, tab)) for request in requests.each]
        replies = [task.result() for task in tasks]
        scores: list[float | None] = [None] * len(candidates)
        missed: Counter[str] = Counter()
        for request, reply in zip(requests.each, replies, strict=True):
            if reply.scores is None:
                missed[reply.why] += len(request.positions)
                continue
            for at, score in zip(request.positions, reply.scores, strict=True):
                scores[at] = score
        missed["there is nothing in them"] += requests.blank
        missed["the query is blank"] += len(candidates) if requests.blank_query else 0
        return StageScores(
            tuple(scores),
            cut=requests.cut,
            calls=sum(reply.scores is not None for reply in replies),
            cache_hits=sum(reply.cached for reply in replies),
            degraded=tuple(
                f"{self.name} left {count} of {len(candidates)} candidates without a score: {why}"
                for why, count in missed.items()
                if count
            ),
        )

    def bound_nano_usd(self, query: Query, candidates: Sequence[Candidate]) -> int:
        """Nano-dollars that scoring these can cost at most, whatever is in the cache; 0 without a price."""
        requests = requests_for(query, candidates, self._limits, self._counter)
        return sum(self._most(request) for request in requests.each)

    async def forecast(self, query: Query, candidates: Sequence[Candidate]) -> Forecast:
        """What scoring these would take, with what is in the cache now."""
        requests = requests_for(query, candidates, self._limits, self._counter).each
        new = [request for request in requests if not await self._is_cached(request)]
        usages = [self._expected(request) for request in new]
        return Forecast(
            requests=len(requests),
            cached=len(requests) - len(new),
            input_tokens=sum(usage.input_tokens for usage in usages),
            search_units=sum(usage.search_units for usage in usages),
            nano_usd=sum(self._price.cost(usage) for usage in usages) if self._price else 0,
            most_nano_usd=sum(map(self._most, new)),
        )

    def again(self) -> Self:
        """The same stage with fresh connections."""
        return self if self._rebuild is None else self._rebuild()

    async def aclose(self) -> None:
        """Close connections; the cache stays open."""
        await self._model.aclose()

    async def _ask(self, request: ScoreRequest, tab: Tab) -> _Reply:
        try:
            answer = await self._layer.ask(request.call, tab)
        except CallError as error:
            return _Reply(None, why=error.message)
        except (BudgetExceeded, LedgerFailed) as error:
            return _Reply(None, why=str(error))
        scores = read_scores(answer.completion.text, len(request.positions))
        return _Reply(scores, answer.cached, "" if scores else "the answer that was kept holds no scores")

    async def _is_cached(self, request: ScoreRequest) -> bool:
        if self._store is None:
            return False
        return await self._store.get(cache_key(self._model.identity, request.call)) is not None

    def _most(self, request: ScoreRequest) -> int:
        count = self._counter.count(request.call)
        return bound(self._price, count.bound, 0, count.search_units) if self._price else 0

    def _expected(self, request: ScoreRequest) -> Usage:
        query, *passages = (self._counter.estimate(message.content) for message in request.call.messages)
        units = most_search_units(query, passages)
        return Usage(self._counter.count(request.call).estimate, search_units=units)
