"""What is asked of a model and what it says: pure data, with nothing of any provider in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any, Literal

from listwise.pace import Pace
from listwise.types import Usage

Role = Literal["system", "user", "assistant"]
PromptForm = Literal["text", "order", "first", "choice", "relevance"]
"""What a prompt can ask for, see `AnswerForm`."""
AnswerForm = PromptForm | Literal["scores"]
"""What an answer is to look like:

``text``       an order of the passages in free text
``order``      an order of identifiers 1..``passages`` to which the server constrains the answer (JSON schema,
               guided decoding), in whatever form the provider offers
``first``      the beginning of an order of labels: the log-probabilities of the labels there are the order (FIRST,
               arXiv 2406.15657)
``choice``     the label of the most relevant passage (setwise, arXiv 2310.09497; pairwise, arXiv 2306.17563)
``relevance``  yes or no to one passage
``scores``     a JSON list of numbers, one a passage: what a rerank API answers. The first message is the query,
               each one after it a passage

The answers of ``first``, ``choice`` and ``relevance`` are weighed, see `Call.weighed`."""

LABELS = ascii_uppercase
"""What passages are called in prompts that ask for labels: a letter is one token, a number may be several."""
ALTERNATIVES = 20
"""Tokens whose log-probabilities are asked for at each place: the most that OpenAI and, by default, vLLM give."""
LEADING_TOKENS = 8
"""Tokens of an answer whose alternatives are kept. The one that counts is the first, or follows a bracket or a few
words."""

Alternatives = Mapping[str, float]
"""The likeliest tokens at one place of an answer, with their log-probabilities: finite, at most 0."""

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
    counts: dict[object, Any] = field(init=False, default_factory=dict, compare=False, repr=False)
    """What was counted of it, by who counted: a prompt is counted for each attempt, and once it is answered."""

    @property
    def weighed(self) -> bool:
        """Whether log-probabilities are asked for, of a model that gives them."""
        return self.form in {"first", "choice", "relevance"}


@dataclass(frozen=True, slots=True)
class Completion:
    """A raw answer. ``text`` is what the model said, tool arguments and JSON as text."""

    text: str
    usage: Usage
    served_by: str
    """The model's name as the server gave it."""
    finish: Literal["stop", "length", "refusal", "other"] = "stop"
    leading: tuple[Alternatives, ...] | None = None
    """For each of the first tokens of the answer, what might have stood there; None where it was not asked for or
    is not given."""
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
