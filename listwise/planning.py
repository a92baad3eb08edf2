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
from decimal import Decimal
from statistics import median

from listwise.cache import AnswerStore, cache_key
from listwise.calls import Call, Completion, ServiceTier
from listwise.engine import Engine, Guard, Outcome
from listwise.errors import ConfigError, InputError
from listwise.forms import FORMS
from listwise.layers import Answer
from listwise.policy import Policy
from listwise.receipts import Scored
from listwise.spend.learned import Learned
from listwise.spend.ledger import Sample
from listwise.spend.money import usd_of
from listwise.spend.prices import bound
from listwise.spend.tab import Budget, Tab
from listwise.strategies import adapts, make, most_windows, question_of
from listwise.strategies.base import ORDERS
from listwise.tiers import LlmTier, ReadyModel
from listwise.types import Request, Route, Usage

SETTLING_S, OUTPUT_TOKENS_PER_S, INPUT_TOKENS_PER_S = 0.4, 60.0, 8000.0
"""How long an answer takes where no history says it: typical of hosted models in 2026."""
REASONING_SHARE = 0.25
"""Of the allowance for reasoning, what is expected to be used where no history says it."""
TOKENS_AN_IDENTIFIER = 2
"""Output tokens that an identifier takes at least."""
LEAST_SHARE = {"exact": 1.0, "provider": 1.0, "tokenizer": 1.0, "family factor": 0.8, "bytes": 0.7}
"""By how the prompt was counted: the share of the expected input tokens that it may turn out to be."""


@dataclass(frozen=True, slots=True)
class Span:
    """An amount that is not known yet. It is expected to be ``expected``, and never above ``high``."""

    low: float
    expected: float
    high: float

    def __add__(self, other: Span) -> Span:
        return Span(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def times(self, factor: float) -> Span:
        """The same for a multiple of the work."""
        return Span(self.low * factor, self.expected * factor, self.high * factor)


NOTHING = Span(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Habits:
    """What a model is known for by its settled attempts; an attempt takes ``seconds`` in the median."""

    learned: Learned
    seconds: float | None = None

    @classmethod
    def of(cls, model: str, samples: Sequence[Sample]) -> Habits:
        """From a model's latest answered attempts, newest first."""
        rows = [
            (model, s.estimated_input, s.usage.input_tokens, s.passages, s.usage.output_tokens)
            for s in reversed(samples)
        ]
        return cls(Learned(rows), median(s.seconds for s in samples) if samples else None)


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
            _capped(self.usd.times(factor), policy.budget_total_usd),
            self.seconds.times(factor),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do and take. The first of ``strategies`` is the policy's."""

    queries: int
    routes: Mapping[Route, int]
    """Expected number of queries by route."""
    strategies: tuple[StrategyPlan, ...] = ()
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
        usd = self.strategies[0].usd if self.strategies else NOTHING
        seconds = self.strategies[0].seconds if self.strategies else NOTHING
        return {
            "low_usd": usd.low,
            "expected_usd": usd.expected,
            "high_usd": usd.high,
            "expected_seconds": seconds.expected,
            "queries": self.queries,
            "routes": dict(self.routes),
        }


REASK_TOKENS = 300
"""Tokens of the question after a bad answer, at most."""


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


async def plan_strategy(
    name: str, tier: LlmTier, policy: Policy, work: Sequence[Scored], habits: Habits
) -> StrategyPlan:
    """Play one strategy over requests, each in the order that the LLM would get it."""
    depth = policy.llm_depth or policy.depth
    strategy = make(name, **policy.measures)
    sums = [NOTHING, NOTHING, NOTHING]
    calls = cached = read = 0
    longest = 0
    budget = replace(policy.budget, seconds=None)
    for scored in work:
        request, prior, scores = scored.request, scored.order[:depth], scored.prior_scores(depth)

        async def played(
            within: Budget,
            guard: Guard | None = None,
            request: Request = request,
            prior: Sequence[int] = prior,
            scores: Sequence[float] | None = scores,
        ) -> _Played:
            layer = _Estimator(tier.first, tier.store, habits, policy.service_tier)
            engine = Engine([tier.first.reader_over(layer, counted=False)], strategy, guard)
            return layer, await engine.rank(request, prior, Tab(request.query.qid, within), scores=scores)

        layer, outcome = await played(budget)
        longest_play = layer
        if budget.counts_tokens:  # cheaper answers than expected leave room for more calls
            longest_play, _ = await played(replace(budget, usd=None, tokens=None))
        if not longest_play.sizes:  # no answer is made up: the guard sees what it will see in the run
            longest_play, _ = await played(budget, tier.guard)
        widest = min(policy.window, len(prior)) if adapts(name) and question_of(name) in ORDERS else None
        sizes = longest_play.most_sizes(most_windows(name, len(prior), **policy.measures), budget.calls, widest)
        if sizes:
            largest = max(min(len(prior), policy.window), *sizes)
            most = tier.guard.most_windows(max(outcome.calls, len(sizes)), request, prior)
            sizes = [*sizes, *[largest] * most]
        tokens_in, tokens_out, usd = _bounded(layer, sizes, tier, policy, request, prior)
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
    usd = _capped(sums[2], policy.budget_total_usd)
    return StrategyPlan(name, calls, cached, read, sums[0], sums[1], usd, seconds)


class _Estimator:
    """A layer that answers every call with the order as shown, and adds up what the answer would take."""

    def __init__(
        self, llm: ReadyModel, store: AnswerStore | None, habits: Habits, service_tier: ServiceTier
    ) -> None:
        self._llm = llm
        self._store = store
        self._habits = habits
        self._service_tier = service_tier
        self.cached = 0
        self.input_tokens = self.output_tokens = NOTHING
        self.usd = NOTHING
        self.sizes: list[int] = []
        """Passages of each call that may have to be bought: those after the first one depend on its answer, and may
        not be in the cache after all."""
        self.calls = self.largest = 0
        """How many there were, and the passages of the largest."""

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        llm = self._llm
        self.calls, self.largest = self.calls + 1, max(self.largest, call.passages)
        if self._store is not None:
            stored = await self._store.get(cache_key(llm.model.identity, call))
            if stored is not None:
                self.cached += 1
                if self.sizes:
                    self.sizes.append(call.passages)
                return Answer(stored, cached=True)
        most_in, most_out = llm.counter.call_bound(call), call.sampling.max_output_tokens
        hold = await tab.reserve(most_in + most_out, bound(llm.price, most_in, most_out) if llm.price else 0)
        text, leading = FORMS[call.form].as_shown(call.passages)
        tokens_in, tokens_out = self._input(call), self._output(call, text)
        usage = self._usage(tokens_in.expected, tokens_out.expected)
        tab.settle(hold, usage, llm.price.cost(usage) if llm.price else 0)
        self.input_tokens += tokens_in
        self.output_tokens += tokens_out
        self.usd += Span(
            self._dollars(tokens_in.low, tokens_out.low), self._dollars(tokens_in.expected, tokens_out.expected), 0
        )
        self.sizes.append(call.passages)
        return Answer(Completion(text, Usage(), llm.name, leading=leading))

    def most_sizes(self, windows: int, calls: int | None, widest: int | None) -> list[int]:
        """``sizes``, if other answers make the play as long as it can become: so many windows, of which so many
        calls may be bought. Where answers decide what later windows show, that is ``widest`` passages at most."""
        bought = len(self.sizes)
        if not bought:
            return []
        if widest is not None:
            return [widest] * (windows if calls is None else min(windows, calls))
        more = min(windows - self.calls, windows if calls is None else calls - bought)
        return [*self.sizes, *[self.largest] * more]

    def _input(self, call: Call) -> Span:
        estimate = self._llm.counter.call_estimate(call)
        low = estimate * LEAST_SHARE.get(self._llm.counter.rung, 0.7)
        expected = self._habits.learned.input_tokens(self._llm.name, estimate)
        return Span(min(low, expected), expected, 0)

    def _output(self, call: Call, text: str) -> Span:
        most = call.sampling.max_output_tokens
        learned = self._habits.learned.output_tokens(self._llm.name, call.passages)
        thinking = REASONING_SHARE * most if self._llm.model.reasons else 0.0
        expected = min(self._llm.counter.estimate(text) + thinking if learned is None else learned, most)
        return Span(min(TOKENS_AN_IDENTIFIER * call.passages, expected), expected, 0)

    def _dollars(self, input_tokens: float, output_tokens: float) -> float:
        price = self._llm.price
        if price is None:
            return 0.0
        return float(usd_of(price.cost(self._usage(input_tokens, output_tokens))))

    def _usage(self, input_tokens: float, output_tokens: float) -> Usage:
        tokens_in, tokens_out = round(input_tokens), round(output_tokens)
        return Usage(tokens_in, output_tokens=tokens_out, service_tier=self._service_tier)


_Played = tuple[_Estimator, Outcome]


def _bounded(
    layer: _Estimator,
    sizes: Sequence[int],
    tier: LlmTier,
    policy: Policy,
    request: Request,
    prior: Sequence[int],
) -> tuple[Span, Span, Span]:
    """What the calls of one query take, with high figures that hold whatever the model answers: as if every window
    (of these ``sizes``) showed the longest passages."""
    bounds = {size: _worst(tier, request, prior, size, policy.on_bad_answer == "reask") for size in set(sizes)}
    most_in = sum(bounds[size][0] for size in sizes)
    most_out = sum(bounds[size][1] for size in sizes)
    dollars = sum(bounds[size][2] for size in sizes)
    usd = _capped(Span(layer.usd.low, layer.usd.expected, dollars), policy.budget_usd)
    return (
        Span(layer.input_tokens.low, layer.input_tokens.expected, most_in),
        Span(layer.output_tokens.low, layer.output_tokens.expected, most_out),
        usd,
    )


def _worst(
    tier: LlmTier, request: Request, prior: Sequence[int], size: int, asked_twice: bool
) -> tuple[int, int, float]:
    """Tokens in and out, and dollars, that a window of so many passages can take at most, all models of the chain
    being asked."""
    each = [_worst_of(llm, request, prior, size, asked_twice) for llm in tier.chain]
    return sum(e[0] for e in each), sum(e[1] for e in each), sum(e[2] for e in each)


def _worst_of(
    llm: ReadyModel, request: Request, prior: Sequence[int], size: int, asked_twice: bool
) -> tuple[int, int, float]:
    by_length = sorted(prior, key=lambda at: -llm.counter.bound(request.candidates[at].content))
    tokens_out = llm.reader.most_output(size)
    try:
        tokens_in = llm.counter.call_bound(llm.reader.call_for(request, tuple(by_length[:size])))
    except InputError:  # it does not fit as a whole: no prompt is larger than the context
        tokens_in = llm.model.context_tokens
    if asked_twice:
        tokens_in, tokens_out = 2 * tokens_in + tokens_out + REASK_TOKENS, 2 * tokens_out
    dollars = bound(llm.price, tokens_in, tokens_out) if llm.price else 0
    return tokens_in, tokens_out, float(usd_of(dollars))


def _capped(usd: Span, cap: Decimal | None) -> Span:
    if cap is None:
        return usd
    most = float(cap)
    return Span(min(usd.low, most), min(usd.expected, most), min(usd.high, most))
