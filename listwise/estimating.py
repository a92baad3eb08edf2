"""What calls would take: a layer that answers every call with the order as shown and adds up what it would cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from listwise.cache import AnswerStore, cache_key
from listwise.calls import Call, Completion, ServiceTier
from listwise.errors import InputError
from listwise.forms import FORMS
from listwise.layers import Answer
from listwise.policy import Policy
from listwise.spend.learned import Learned
from listwise.spend.ledger import Sample
from listwise.spend.money import usd_of
from listwise.spend.prices import bound
from listwise.spend.tab import Tab
from listwise.tiers import LlmTier, ReadyModel
from listwise.types import Request, Usage

REASONING_SHARE = 0.25
"""Of the allowance for reasoning, what is expected to be used where no history says it."""
TOKENS_AN_IDENTIFIER = 2
"""Output tokens that an identifier takes at least."""
LEAST_SHARE = {"exact": 1.0, "provider": 1.0, "tokenizer": 1.0, "family factor": 0.8, "bytes": 0.7}
"""By how the prompt was counted: the share of the expected input tokens that it may turn out to be."""
REASK_TOKENS = 300
"""Tokens of the question after a bad answer, at most."""


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


class Estimator:
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
        most_in, most_out = llm.counter.count(call).bound, call.sampling.max_output_tokens
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
        estimate = self._llm.counter.count(call).estimate
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


def bounded(
    layer: Estimator,
    sizes: Sequence[int],
    tier: LlmTier,
    policy: Policy,
    request: Request,
    prior: Sequence[int],
) -> tuple[Span, Span, Span]:
    """What the calls of one query take, with high figures that hold whatever the model answers: as if every window
    (of these ``sizes``) showed the longest passages of ``prior``."""
    bounds = {size: _worst(tier, request, prior, size, policy.on_bad_answer == "reask") for size in set(sizes)}
    most_in = sum(bounds[size][0] for size in sizes)
    most_out = sum(bounds[size][1] for size in sizes)
    dollars = sum(bounds[size][2] for size in sizes)
    usd = capped(Span(layer.usd.low, layer.usd.expected, dollars), policy.budget_usd)
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
        tokens_in = llm.counter.count(llm.reader.call_for(request, tuple(by_length[:size]))).bound
    except InputError:  # it does not fit as a whole: no prompt is larger than the context
        tokens_in = llm.model.context_tokens
    if asked_twice:
        tokens_in, tokens_out = 2 * tokens_in + tokens_out + REASK_TOKENS, 2 * tokens_out
    dollars = bound(llm.price, tokens_in, tokens_out) if llm.price else 0
    return tokens_in, tokens_out, float(usd_of(dollars))


def capped(usd: Span, cap: Decimal | None) -> Span:
    """An amount of dollars under a cap."""
    if cap is None:
        return usd
    most = float(cap)
    return Span(min(usd.low, most), min(usd.expected, most), min(usd.high, most))
