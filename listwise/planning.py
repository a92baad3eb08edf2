"""What a run would take, before anything is spent.

A plan plays the same strategies with the same prompts through the same engine as the run, against a layer that
answers every call with the order as shown and adds up what the answer would cost; so it cannot disagree with the
run on what is asked. Answers that are in the cache already are used, and cost nothing, as they will in the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from listwise.cache import AnswerStore
from listwise.engine import Engine, Guard, Outcome
from listwise.errors import ConfigError
from listwise.estimating import NOTHING, Estimator, Habits, Span, bounded, capped
from listwise.policy import Policy
from listwise.routing.offers import Option
from listwise.spend.money import usd_of
from listwise.spend.tab import Budget, Tab
from listwise.stages.cascade import Foreseen
from listwise.stages.remote import Forecast
from listwise.stages.scored import Scored
from listwise.strategies import adapts, make, most_windows, question_of
from listwise.strategies.base import ORDERS
from listwise.tiers import LlmTier
from listwise.types import Request, Route

SETTLING_S, OUTPUT_TOKENS_PER_S, INPUT_TOKENS_PER_S = 0.4, 60.0, 8000.0
"""How long an answer takes where no history says it: typical of hosted models in 2026."""


class Work(NamedTuple):
    """What the LLM would get of a query."""

    scored: Scored
    option: Option | None
    """How it would read it; None: as the policy says."""


@dataclass(frozen=True, slots=True)
class StrategyPlan:
    """One strategy over all queries that are to be escalated."""

    strategy: str
    calls: int
    cached: int
    """Calls whose answers are in the cache, free of charge."""
    passages_read: int
    input_tokens: Span
    output_tokens: Span
    usd: Span
    """Attempts that are lost or answered with garbage, and so charged and made again, come on top."""
    seconds: Span

    def times(self, factor: float, policy: Policy) -> StrategyPlan:
        """The same for a multiple of the queries."""
        if factor == 1:
            return self
        return StrategyPlan(
            self.strategy,
            round(self.calls * factor),
            round(self.cached * factor),
            round(self.passages_read * factor),
            self.input_tokens.times(factor),
            self.output_tokens.times(factor),
            capped(self.usd.times(factor), policy.budget_total_usd),
            self.seconds.times(factor),
        )


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One rerank API of the cascade over all queries."""

    scorer: str
    calls: int
    cached: int
    """Calls whose answers are in the cache, free of charge."""
    priced: bool
    """False where the API has no known price: dollars are then 0."""
    input_tokens: int
    search_units: int
    usd: Span

    def times(self, factor: float, policy: Policy) -> StagePlan:
        """The same for a multiple of the queries."""
        return StagePlan(
            self.scorer,
            round(self.calls * factor),
            round(self.cached * factor),
            self.priced,
            round(self.input_tokens * factor),
            round(self.search_units * factor),
            capped(self.usd.times(factor), policy.budget_total_usd),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do and take. The first of ``strategies`` is the policy's."""

    queries: int
    routes: Mapping[Route, int]
    """Expected number of queries by route."""
    strategies: tuple[StrategyPlan, ...] = ()
    stages: tuple[StagePlan, ...] = ()
    """The rerank APIs before the LLM. What comes after one whose answers are not in the cache is planned as if it
    left the order as it is, and told nothing of which queries are ambiguous."""
    llm: str | None = None
    price_source: str | None = None
    """None where the model has no known price: dollars are then 0."""
    counted: str | None = None
    """How prompts were counted."""
    learned_from: int = 0
    """Settled attempts of the model that the estimates were corrected by."""
    sampled: int | None = None
    """How many of the queries were looked at, if not all."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Strategies that these models, or the template named, cannot be asked with, and why."""

    def as_record(self) -> dict[str, object]:
        """What is kept of it, to be held against the bill."""
        usd = sum((stage.usd for stage in self.stages), self.strategies[0].usd if self.strategies else NOTHING)
        seconds = self.strategies[0].seconds if self.strategies else NOTHING
        return {
            "low_usd": usd.low,
            "expected_usd": usd.expected,
            "high_usd": usd.high,
            "expected_seconds": seconds.expected,
            "queries": self.queries,
            "routes": dict(self.routes),
        }


NOT_THE_WORK = frozenset(
    {
        *("concurrency", "rpm", "tpm", "timeout_s", "attempts"),
        *("budget_usd", "budget_total_usd", "budget_day_usd", "budget_account_usd"),
        *("max_tokens", "max_calls", "max_seconds"),
        *("account", "ledger", "cache", "cache_size"),
        *("prices", "price", "counting"),
    }
)
"""Settings that pace, limit, store or price the work, and leave what is asked as it is. A setting that is not among
them tells work apart: rather no plan is found for a bill than another one's."""


def work_key(policy: Policy, requests: Sequence[Request]) -> str:
    """Names a piece of work: the same requests, under the same settings for each LLM of the chain."""
    settings = [
        each.model_dump(mode="json", exclude={*NOT_THE_WORK, "fallback"}) for each in (policy, *policy.choices[1:])
    ]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for request in requests:
        docids = [candidate.docid for candidate in request.candidates]
        digest.update(json.dumps([request.query.qid, request.query.text, docids]).encode())
    return digest.hexdigest()


def tiers_for(names: Iterable[str], tier: LlmTier) -> tuple[dict[str, LlmTier], dict[str, str]]:
    """The tier as each of these strategies asks it; and those that cannot ask it, with the reason."""
    ready: dict[str, LlmTier] = {}
    left_out: dict[str, str] = {}
    for name in names:
        try:
            ready[name] = tier if name == tier.strategy else tier.playing(name)
        except ConfigError as error:
            left_out[name] = str(error)
    return ready, left_out


def plan_stage(stage: Foreseen, policy: Policy) -> StagePlan:
    """What a rerank API would take, as far as a plan saw it."""
    each = stage.forecasts
    return StagePlan(
        stage.name,
        sum(forecast.requests for forecast in each),
        sum(forecast.cached for forecast in each),
        stage.priced,
        sum(forecast.input_tokens for forecast in each),
        sum(forecast.search_units for forecast in each),
        sum((capped(_dollars(forecast), policy.budget_usd) for forecast in each), NOTHING),
    )


def _dollars(forecast: Forecast) -> Span:
    expected, most = float(usd_of(forecast.nano_usd)), float(usd_of(forecast.most_nano_usd))
    return Span(expected, expected, most)


async def plan_strategy(
    name: str, tier: LlmTier, policy: Policy, work: Sequence[Work], habits: Habits
) -> StrategyPlan:
    """Play one strategy over requests, each in the order that the LLM would get it, as far as that is known."""
    sums = [NOTHING, NOTHING, NOTHING]
    calls = cached = read = 0
    longest = 0
    budget = replace(policy.budget, seconds=None)
    for scored, option in work:
        depth = option.depth if option else policy.llm_depth or policy.depth
        llm = tier.taking(option) if option else tier
        request, prior, scores = scored.request, scored.order[:depth], scored.prior_scores(depth)
        store = tier.store if scored.certain else None
        perhaps = prior if scored.certain else scored.order

        async def played(
            within: Budget,
            guard: Guard | None = None,
            llm: LlmTier = llm,
            request: Request = request,
            prior: Sequence[int] = prior,
            scores: Sequence[float] | None = scores,
            store: AnswerStore | None = store,
        ) -> tuple[Estimator, Outcome]:
            layer = Estimator(llm.first, store, habits, policy.service_tier)
            engine = Engine([llm.first.reader_over(layer, counted=False)], make(name, **llm.measures), guard)
            return layer, await engine.rank(request, prior, Tab(request.query.qid, within), scores=scores)

        layer, outcome = await played(budget)
        longest_play = layer
        if budget.counts_tokens:  # cheaper answers than expected leave room for more calls
            longest_play, _ = await played(replace(budget, usd=None, tokens=None))
        if not longest_play.sizes:  # no answer is made up: the guard sees what it will see in the run
            longest_play, _ = await played(budget, tier.guard)
        widest = min(policy.window, len(prior)) if adapts(name) and question_of(name) in ORDERS else None
        sizes = longest_play.most_sizes(most_windows(name, len(prior), **llm.measures), budget.calls, widest)
        if sizes:
            largest = max(min(len(prior), policy.window), *sizes)
            most = tier.guard.most_windows(max(outcome.calls, len(sizes)), request, perhaps)
            sizes = [*sizes, *[largest] * most]
        tokens_in, tokens_out, usd = bounded(layer, sizes, llm, policy, request, perhaps)
        for at, span in enumerate((tokens_in, tokens_out, usd)):
            sums[at] += span
        calls, cached, read = calls + outcome.calls, cached + layer.cached, read + outcome.passages_read
        longest = max(longest, outcome.calls - layer.cached)
    new = calls - cached
    per_call = habits.seconds or (
        SETTLING_S + (sums[1].expected / OUTPUT_TOKENS_PER_S + sums[0].expected / INPUT_TOKENS_PER_S) / max(1, new)
    )
    expected_s = max(longest * per_call, new * per_call / policy.concurrency)
    seconds = Span(expected_s / 2, expected_s, 3 * expected_s)
    usd = capped(sums[2], policy.budget_total_usd)
    return StrategyPlan(name, calls, cached, read, sums[0], sums[1], usd, seconds)
