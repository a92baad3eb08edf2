"""What is asked of a model and what it says: pure data, with nothing of any provider in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from listwise.pace import Pace
from listwise.types import Usage

Role = Literal["system", "user", "assistant"]
AnswerForm = Literal["text", "order"]
"""``text`` is free text; ``order`` asks the server to constrain the answer to an order of identifiers
1..``passages`` (JSON schema, guided decoding), in whatever form the provider offers."""

ServiceTier = Literal["default", "flex"]
"""``flex`` is OpenAI's: slower, turned down at times, and at the price of a batch. It does not determine the
answer, so it is a setting of the model and no part of a `Call`: what was bought at one tier is not bought again at
another."""


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an answer is to be drawn. None leaves a setting to the provider."""

    max_output_tokens: int
    """An upper bound for the answer, reasoning included."""
    temperature: float | None = 0.0
    """Left out by the adapter for models that refuse it."""
    reasoning_effort: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """Everything that determines an answer, and what it is about: the cache key is made from the former."""

    messages: tuple[Message, ...]
    sampling: Sampling
    form: AnswerForm = "text"
    passages: int = 0
    """Number of passages in the prompt."""
    sample: int = 0
    """Replicate number: the same prompt asked again on purpose has another one."""
    qid: str = field(default="", compare=False)
    """The query that it is asked for; not sent, and no part of the cache key."""
    docids: tuple[str, ...] = field(default=(), compare=False)
    """The passages shown, in the order shown; likewise."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A raw answer. ``text`` is what the model said, tool arguments and JSON as text."""

    text: str
    usage: Usage
    served_by: str
    """The model's name as the server gave it."""
    finish: Literal["stop", "length", "refusal", "other"] = "stop"
    pace: Pace | None = field(default=None, compare=False)
    """What the provider said about its rate limits; no part of the answer, and not kept with it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which model at which address; part of the cache key. Never holds a key."""

    provider: str
    model: str
    base_url: str
    interface: str = ""
    """Which of a provider's interfaces, if not its usual one."""

    @property
    def name(self) -> str:
        """``provider/model``, as on the command line."""
        return f"{self.provider}/{self.model}"
