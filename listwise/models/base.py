"""What the engine needs of a model: one rendered prompt in, one raw answer with its usage out.

An adapter translates, and does nothing else: no retries, no cache, no money, no logging of prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from listwise.calls import AnswerForm, Call, Completion, Identity, Message, Role, Sampling
from listwise.spend.tokens import Rung

__all__ = [
    "AnswerForm",
    "Call",
    "Completion",
    "CountingModel",
    "Identity",
    "LikelihoodModel",
    "Message",
    "Model",
    "Role",
    "Sampling",
    "Scorer",
]


class Model(Protocol):
    """One LLM at one address.

    ``complete`` raises only `listwise.errors.CallError`, always ``from`` the SDK's exception, and lets
    cancellation through.
    """

    @property
    def identity(self) -> Identity:
        """Which model, and where."""
        ...

    @property
    def context_tokens(self) -> int:
        """Tokens that prompt and answer share."""
        ...

    @property
    def reasons(self) -> bool:
        """Whether it spends output tokens on reasoning before it answers."""
        ...

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        """Ask once. ``timeout_s`` bounds the whole exchange."""
        ...

    async def aclose(self) -> None:
        """Close connections; the model is not used afterwards."""
        ...


@runtime_checkable
class CountingModel(Model, Protocol):
    """A model whose server counts a prompt's tokens, free of charge."""

    @property
    def counted(self) -> Rung:
        """``tokenizer`` where the count is exact and at hand, ``provider`` where a far endpoint states it."""
        ...

    async def count_tokens(self, call: Call, *, timeout_s: float) -> int:
        """Input tokens of the call, everything that a chat format adds included.

        Raises:
            CallError: the server cannot be asked.
        """
        ...


@runtime_checkable
class LikelihoodModel(Model, Protocol):
    """A model whose server may say how likely the tokens of an answer were, and those that it did not draw."""

    @property
    def gives_logprobs(self) -> bool:
        """Whether it does so for this model, as far as is known before it is asked."""
        ...


class Scorer(Protocol):
    """A local model that scores passages for a query. Blocking: the engine runs it in a thread."""

    @property
    def name(self) -> str:
        """How receipts call it."""
        ...

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """One relevance score a passage, in the order given; higher is better. Raw, not calibrated."""
        ...
