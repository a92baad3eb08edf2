"""What the engine needs of a model: one rendered prompt in, one raw answer with its usage out.

An adapter translates, and does nothing else: no retries, no cache, no money, no logging of prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from listwise.calls import AnswerForm, Call, Completion, Identity, Message, Role, Sampling
from listwise.spend.tokens import Rung

__all__ = [
    "AnswerForm",
    "Call",
    "ChunkingScorer",
    "Completion",
    "CountingModel",
    "Identity",
    "LikelihoodModel",
    "LongPassages",
    "Message",
    "Model",
    "Role",
    "Sampling",
    "ScoredPassages",
    "Scorer",
]

LongPassages = Literal["first", "max", "head_tail"]
"""How a scorer reads a passage that is longer than it can read at once:

``first``      its beginning, and nothing else
``max``        in chunks that overlap; the best chunk's score counts (MaxP, arXiv 1905.09217)
``head_tail``  its beginning and its end, as one text (arXiv 1905.05583)"""


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


@dataclass(frozen=True, slots=True)
class ScoredPassages:
    """What a scorer makes of the passages of one query, and how much of them it read."""

    scores: Sequence[float]
    """One a passage, in the order given; higher is better."""
    cut: int = 0
    """Passages of which some part was not read."""
    chunked: int = 0
    """Passages that were read in several chunks."""


@runtime_checkable
class ChunkingScorer(Scorer, Protocol):
    """A local model that says how it read long passages."""

    def read(self, query: str, passages: Sequence[str]) -> ScoredPassages:
        """As ``score``, with an account of what was cut or chunked."""
        ...
