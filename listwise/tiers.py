"""Builds the tiers that a policy names: the local model, and the LLM with everything that stands around it."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

from listwise.asking import Asker
from listwise.cache import AnswerCache, default_directory
from listwise.calls import Sampling
from listwise.engine import Engine, Guard
from listwise.layers import Counting, Layer, TokenCounts, stack
from listwise.layers.counted import COUNT_TIMEOUT_S
from listwise.log import get_logger
from listwise.models.base import CountingModel, Model, Scorer
from listwise.policy import Policy
from listwise.prompting import Prompter, load_template
from listwise.reading import WindowReader
from listwise.spend.prices import Price, PriceBook, is_old, require_price
from listwise.spend.tokens import TokenCounter, counter_for
from listwise.strategies import make

_log = get_logger(__name__)

TOKENS_A_PASSAGE = 8
"""Output tokens that one identifier of an answer takes at most, with its separator."""
TOKENS_AROUND = 64
"""Output tokens for what a model says around its answer."""
REASONING_TOKENS = 8192
"""Output tokens for a model to reason with before it answers."""


def load_local(name: str) -> Scorer | None:
    """The local model of a policy; None for ``none``."""
    if name == "none":
        return None
    from listwise.models.local import load_scorer

    return load_scorer(name)


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
    def of(cls, policy: Policy, model: Model, store: AnswerCache | None, *, capped: bool) -> ReadyModel:
        """Put the layers around a model; no call is made.

        Raises:
            ConfigError: the template or a price is missing or does not fit.
        """
        name = model.identity.name
        template = load_template(policy.prompt or default_prompt(name))
        price = _price(policy, model, needed=policy.has_dollar_cap or capped)
        counter, counts = counter_for(name), _counts(policy, model, store)
        layer = stack(
            model,
            store=store,
            counting=Counting(counter, counts if policy.counting == "provider" else None),
            price=price,
            concurrency=policy.concurrency,
            timeout_s=policy.timeout_s,
            attempts=policy.attempts,
            rpm=policy.rpm,
            tpm=policy.tpm,
        )
        answer_tokens = _answer_tokens(policy, model)
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
    store: AnswerCache | None
    strategy: str
    rebuild: Callable[[], LlmTier]

    @property
    def first(self) -> ReadyModel:
        """The first choice."""
        return self.chain[0]

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
        depth = policy.llm_depth or policy.depth
        strategy = make(policy.strategy, window=policy.window, stride=policy.stride, depth=depth)
        choices = policy.choices
        models = [*own, *map(_model, choices[len(own) :])]
        store = None if policy.cache == "off" else _cache(policy)
        chain = tuple(
            ReadyModel.of(choice, model, store, capped=capped)
            for choice, model in zip(choices, models, strict=True)
        )
        return cls(
            chain=chain,
            engine=Engine([each.reader for each in chain], strategy, Guard(policy.guard, policy.window)),
            store=store,
            strategy=policy.strategy,
            rebuild=lambda: cls.of(policy, own, capped=capped),
        )

    def again(self) -> LlmTier:
        """The same tier with fresh connections."""
        return self.rebuild()

    async def aclose(self) -> None:
        """Close connections and the cache."""
        for each in self.chain:
            await each.model.aclose()
        if self.store is not None:
            self.store.close()


def default_prompt(model: str) -> str:
    """The template that a model was trained on, if it was trained to rank; RankGPT's otherwise."""
    name = model.lower()
    return "rankzephyr" if "rank_zephyr" in name or "rank_vicuna" in name else "rankgpt"


def _model(policy: Policy) -> Model:
    from listwise.models.registry import load_model

    assert policy.llm is not None
    return load_model(policy.llm, base_url=policy.base_url, api=policy.api, service_tier=policy.service_tier)


def _price(policy: Policy, model: Model, *, needed: bool) -> Price | None:
    """The price of a model; says so if it is old.

    Raises:
        Unpriced: it is needed, and nobody states one.
    """
    identity, book = model.identity, PriceBook.of(policy.prices, policy.price)
    price = book.find(identity.name, identity.base_url)
    if needed:
        price = require_price(book, identity.name, identity.base_url)
    if price is not None and is_old(price, date.today()):
        _log.warning("prices are old; see `listwise prices`", model=identity.name, as_of=str(price.as_of))
    return price


def _cache(policy: Policy) -> AnswerCache:
    return AnswerCache(Path(policy.cache or default_directory()), policy.cache_size)


def _counts(policy: Policy, model: Model, store: AnswerCache | None) -> TokenCounts | None:
    """The server's own counts: always where they are its tokenizer's, from a provider only if the policy asks."""
    if not isinstance(model, CountingModel):
        return None
    if policy.counting == "local" and model.counted != "tokenizer":
        return None
    return TokenCounts(model, store=store, timeout_s=min(policy.timeout_s, COUNT_TIMEOUT_S))


def _answer_tokens(policy: Policy, model: Model) -> Callable[[int], int]:
    """How many tokens the answer to a window of ``n`` passages may take."""
    around = TOKENS_AROUND + (REASONING_TOKENS if model.reasons else 0)
    return lambda n: policy.max_output_tokens or around + TOKENS_A_PASSAGE * n
