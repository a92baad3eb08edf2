"""Builds the tiers that a policy names: the local model, and the LLM with everything that stands around it."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

from listwise.asking import Asker
from listwise.cache import AnswerCache, default_directory
from listwise.calls import PromptForm, Sampling
from listwise.engine import Engine, Guard
from listwise.forms import FORMS
from listwise.layers import Counting, Layer, TokenCounts
from listwise.layers.counted import COUNT_TIMEOUT_S
from listwise.models.base import CountingModel, Model
from listwise.policy import NOTHING_TO_SHUFFLE, Policy
from listwise.prompt_choice import Asked, template_for
from listwise.prompting import Prompter
from listwise.reading import WindowReader
from listwise.routing.offers import FIRST_CHOICE, Option
from listwise.spend.prices import Price
from listwise.spend.tokens import TokenCounter, counter_for
from listwise.strategies import make, question_of
from listwise.strategies.base import ORDERS
from listwise.strategies.registry import Measures
from listwise.wrapping import price_of, wrapped

REASONING_TOKENS = 8192
"""Output tokens for a model to reason with before it answers."""
LEAST_OF_RESPONSES = 16
"""Output tokens that OpenAI's Responses may be bounded to at least."""


class ReaderOver(Protocol):
    """Makes a reader with a model's prompts and settings that asks another layer."""

    def __call__(self, layer: Layer, *, counted: bool = True) -> WindowReader:
        """``counted``: whether the server may be asked to count prompts that fit only by an estimate."""
        ...


@dataclass(frozen=True, slots=True)
class ReadyModel:
    """One LLM of the chain with its price and everything that stands around it, ready to read windows."""

    model: Model
    reader: WindowReader
    reader_over: ReaderOver
    counter: TokenCounter
    price: Price | None

    @property
    def name(self) -> str:
        """``provider/name``, as in receipts."""
        return self.model.identity.name

    @classmethod
    def of(
        cls, policy: Policy, asked: Asked, model: Model, store: AnswerCache | None, *, capped: bool
    ) -> ReadyModel:
        """Put the layers around a model that is asked so; no call is made.

        Raises:
            ConfigError: the template or a price is missing or does not fit.
        """
        name = model.identity.name
        template = template_for(asked, model, policy.prompt)
        price = price_of(policy, model.identity, capped=capped)
        counter, counts = counter_for(name), _counts(policy, model, store)
        counting = Counting(counter, counts if policy.counting == "provider" else None)
        layer = wrapped(policy, model, store, counting, price, rpm=policy.rpm, tpm=policy.tpm)
        answer_tokens = _answer_tokens(policy, model, template.form)
        prompter = Prompter(
            template,
            counter=counter,
            context_tokens=model.context_tokens,
            answer_tokens=answer_tokens,
            checked=counts is not None,
        )

        def reader_over(layer: Layer, *, counted: bool = True) -> WindowReader:
            return WindowReader(
                name,
                Asker(layer, policy.on_bad_answer),
                prompter,
                lambda n: Sampling(answer_tokens(n), policy.temperature, policy.reasoning_effort, policy.seed),
                counts.count if counts and counted else None,
            )

        return cls(model, reader_over(layer), reader_over, counter, price)


@dataclass(frozen=True, slots=True)
class LlmTier:
    """The LLMs of a policy, first choice first, ready to rank together."""

    chain: tuple[ReadyModel, ...]
    engine: Engine
    guard: Guard
    store: AnswerCache | None
    strategy: str
    rebuild: Callable[[], LlmTier]
    playing: Callable[[str], LlmTier]
    """The same models with what another strategy asks them, to plan with.

    Raises:
        ConfigError: the policy's template, or a model, does not answer what that one asks.
    """

    measures: Measures
    """What the strategy is made to measure by."""
    taking: Callable[[Option], LlmTier]
    """The same as an option of the router has it: with the LLM that it names in the first place, and its votes; one
    that has one vote leaves it to the policy how many are held. How deep it reads is for the caller."""

    @property
    def first(self) -> ReadyModel:
        """The first choice."""
        return self.chain[0]

    def offers(self, option: Option) -> bool:
        """Whether an option of the router can be carried out."""
        known = option.tier == FIRST_CHOICE or any(option.tier == each.name for each in self.chain)
        return known and (option.votes == 1 or self.strategy not in NOTHING_TO_SHUFFLE)

    def priced(self, asked: Container[str]) -> bool:
        """Whether the models that were asked all have a price, so that dollars mean anything."""
        return all(each.price is not None for each in self.chain if each.name in asked)

    @classmethod
    def of(cls, policy: Policy, own: Sequence[Model] = (), *, capped: bool = False) -> LlmTier:
        """Build the tier; no call is made.

        Args:
            policy: names the models and their settings.
            own: models to use instead of the first ones that the policy names.
            capped: whether a dollar cap holds that is not the policy's own.

        Raises:
            ConfigError: a model, a template or a price is missing or does not fit.
        """
        models = [*own, *map(_model, policy.choices[len(own) :])]
        cached = policy.cache != "off" and not (policy.simulated and policy.cache is None)
        store = _cache(policy) if cached else None

        def playing(name: str) -> LlmTier:
            strategy = make(name, **policy.measures)
            question = question_of(name)
            asked = Asked.by(name, question, strategy, policy.measures["depth"])
            chain = tuple(
                ReadyModel.of(choice, asked, model, store, capped=capped)
                for choice, model in zip(policy.choices, models, strict=True)
            )
            guard = Guard(policy.guard if question in ORDERS else "off", policy.window, policy.top)

            def rebuild() -> LlmTier:
                return cls.of(policy, own, capped=capped)

            @cache
            def voting(at: int, votes: int) -> LlmTier:
                measures = policy.measures
                if votes != 1:
                    measures["ballot"] = replace(measures["ballot"], votes=votes)
                engine = Engine([each.reader for each in chain[at:]], make(name, **measures), guard)
                return cls(chain[at:], engine, guard, store, name, rebuild, playing, measures, taking)

            def taking(option: Option) -> LlmTier:
                return voting(
                    next((at for at, each in enumerate(chain) if each.name == option.tier), 0), option.votes
                )

            return voting(0, 1)

        return playing(policy.strategy)

    def again(self) -> LlmTier:
        """The same tier with fresh connections."""
        return self.rebuild()

    async def aclose(self) -> None:
        """Close connections and the cache."""
        for each in self.chain:
            await each.model.aclose()
        if self.store is not None:
            self.store.close()


def _model(policy: Policy) -> Model:
    from listwise.models.registry import load_model

    assert policy.llm is not None
    return load_model(policy.llm, base_url=policy.base_url, api=policy.api, service_tier=policy.service_tier)


def _cache(policy: Policy) -> AnswerCache:
    return AnswerCache(Path(policy.cache or default_directory()), policy.cache_size)


def _counts(policy: Policy, model: Model, store: AnswerCache | None) -> TokenCounts | None:
    """The server's own counts: always where they are its tokenizer's, from a provider only if the policy asks."""
    if not isinstance(model, CountingModel):
        return None
    if policy.counting == "local" and model.counted != "tokenizer":
        return None
    return TokenCounts(model, store=store, timeout_s=min(policy.timeout_s, COUNT_TIMEOUT_S))


def _answer_tokens(policy: Policy, model: Model, form: PromptForm) -> Callable[[int], int]:
    """How many tokens the answer to a window of ``n`` passages may take."""
    thoughts = REASONING_TOKENS if model.reasons else 0
    least = LEAST_OF_RESPONSES if model.identity.interface == "responses" else 1
    return lambda n: policy.max_output_tokens or max(least, thoughts + FORMS[form].tokens(n))
