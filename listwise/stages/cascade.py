"""Scorers one after another: the best of what one ranked goes on to the next."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

from listwise.cache import AnswerCache, default_directory
from listwise.fusion import Fusion, fuse
from listwise.models.base import Scorer
from listwise.models.rerank.naming import is_rerank_api
from listwise.policy import Policy
from listwise.settings import StageSettings
from listwise.spend.money import usd_of
from listwise.spend.tab import Budget, Tab
from listwise.stages.base import Stage, StageScores
from listwise.stages.local import LocalStage
from listwise.stages.remote import Forecast, RemoteStage
from listwise.stages.scored import Scored
from listwise.types import Candidate, Query, Request, StageReceipt

NOTHING_MORE = Budget(calls=0)
"""What a plan may spend: answers from the cache are free of charge."""


def _one_thread() -> ThreadPoolExecutor:
    """Where local models score, one query after another: each uses all cores."""
    return ThreadPoolExecutor(1, thread_name_prefix="listwise-local")


@dataclass(frozen=True, slots=True)
class Cascade:
    """The stages of a policy, ready to score."""

    stages: tuple[tuple[Stage, int], ...]
    """Each with how many candidates it is given."""
    depth: int
    """How many candidates from the top are looked at at all."""
    fusion: Fusion = "none"
    weight: float = 0.5
    store: AnswerCache | None = None
    """Where answers of APIs are kept."""
    threads: ThreadPoolExecutor = field(default_factory=_one_thread)

    @classmethod
    def of(cls, policy: Policy, own: Scorer | None = None, *, capped: bool = False) -> Cascade:
        """The stages that a policy names; no call is made.

        Args:
            own: a scorer to use instead.
            capped: whether a dollar cap holds that is not the policy's own.

        Raises:
            ConfigError: a model, a key or a price is missing or does not fit.
        """
        threads = _one_thread()
        named = () if own is not None else policy.local
        remote = any(is_rerank_api(each.scorer) for each in named)
        store = None
        if remote and policy.cache != "off":
            store = AnswerCache(Path(policy.cache or default_directory()), policy.cache_size)

        def stage(named: StageSettings) -> Stage:
            if is_rerank_api(named.scorer):
                return RemoteStage.of(policy, named.scorer, base_url=named.base_url, store=store, capped=capped)
            from listwise.models.local import load_scorer

            return LocalStage(load_scorer(named.scorer, policy.long_passages), threads)

        stages: list[tuple[Stage, int]] = [] if own is None else [(LocalStage(own, threads), policy.depth)]
        depth = policy.depth
        for each in named:
            depth = each.depth or depth
            stages.append((stage(each), depth))
        return cls(tuple(stages), policy.depth, policy.fuse, policy.fuse_weight, store, threads)

    @property
    def name(self) -> str | None:
        """How receipts call it; None without a stage."""
        return " > ".join(stage.name for stage, _ in self.stages) or None

    @property
    def priced(self) -> bool:
        """Whether all that costs has a price, so that dollars mean anything."""
        return all(stage.priced for stage, _ in self.stages if isinstance(stage, RemoteStage))

    async def score(self, request: Request, tab: Tab) -> Scored:
        """Put the candidates of a request through the stages; where one fails, the order before it stands.

        A single candidate is not worth paying for: its place is known.
        """
        scored = Scored.as_given(request, self.depth)
        if not scored.order:
            return scored
        started = time.monotonic()
        for stage, depth in self.stages:
            if len(scored.order[:depth]) > 1 or not isinstance(stage, RemoteStage | Foreseen):
                scored = await self._through(stage, depth, scored, tab)
        return replace(scored, seconds=time.monotonic() - started)

    async def _through(self, stage: Stage, depth: int, scored: Scored, tab: Tab) -> Scored:
        request, asked = scored.request, scored.order[:depth]
        started, attempts, usage, nano_usd = time.monotonic(), tab.attempts, tab.usage, tab.nano_usd
        read = await stage.score(request.query, [request.candidates[at] for at in asked], tab)
        receipt = StageReceipt(
            scorer=stage.name,
            candidates=len(asked),
            cut=read.cut,
            chunked=read.chunked,
            calls=read.calls,
            attempts=tab.attempts - attempts,
            cache_hits=read.cache_hits,
            input_tokens=tab.usage.input_tokens - usage.input_tokens,
            search_units=tab.usage.search_units - usage.search_units,
            usd=usd_of(tab.nano_usd - nano_usd),
            seconds=time.monotonic() - started,
        )
        fused, problems = self._fused(request, asked, read.scores)
        after = scored.by(asked, read.scores, fused, stage.calibration)
        return replace(
            after,
            certain=scored.certain and read.asked,
            stages=(*scored.stages, receipt),
            degraded=(
                *scored.degraded,
                *read.degraded,
                *(each for each in problems if each not in scored.degraded),
            ),
        )

    def _fused(
        self, request: Request, asked: Sequence[int], scores: Sequence[float | None]
    ) -> tuple[Sequence[float | None], tuple[str, ...]]:
        """What to order by, and why that is not what was asked for, if so."""
        given = [request.candidates[at].score for at in asked]
        if self.fusion == "sum" and not all(score is not None and isfinite(score) for score in given):
            return scores, ("first-stage scores are missing: they were not fused in",)
        return fuse(self.fusion, self.weight, scores, asked, given), ()

    def unspent(self) -> Cascade:
        """The same for a plan: what would cost money is foreseen, not asked, and leaves the order as it is."""
        stages: list[tuple[Stage, int]] = [
            (Foreseen(stage) if isinstance(stage, RemoteStage) else stage, depth) for stage, depth in self.stages
        ]
        return replace(self, stages=tuple(stages))

    @property
    def foreseen(self) -> tuple[Foreseen, ...]:
        """The stages of a plan that would cost money."""
        return tuple(stage for stage, _ in self.stages if isinstance(stage, Foreseen))

    def again(self) -> Cascade:
        """The same with fresh connections."""
        return replace(self, stages=tuple((stage.again(), depth) for stage, depth in self.stages))

    async def aclose(self) -> None:
        """Close connections; threads and cache stay, see `shut`."""
        for stage, _ in self.stages:
            await stage.aclose()

    def shut(self) -> None:
        """End the threads and close the cache; nothing is scored afterwards."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self.store is not None:
            self.store.close()


class Foreseen:
    """A rerank API as a plan sees it: adds up what it would take, and scores only by answers in the cache."""

    def __init__(self, stage: RemoteStage) -> None:
        self.name = stage.name
        self.priced = stage.priced
        self.calibration = None
        self.forecasts: list[Forecast] = []
        self._stage = stage

    async def score(self, query: Query, candidates: Sequence[Candidate], tab: Tab) -> StageScores:
        """See `Stage.score`."""
        forecast = await self._stage.forecast(query, candidates)
        self.forecasts.append(forecast)
        if forecast.cached < forecast.requests:
            return StageScores((None,) * len(candidates), asked=False)
        return await self._stage.score(query, candidates, Tab(query.qid, NOTHING_MORE))

    def again(self) -> Foreseen:
        """Itself: it holds no connections."""
        return self

    async def aclose(self) -> None:
        """Nothing to close."""
