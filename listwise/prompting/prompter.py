"""From a template and a request to prompts that fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import NamedTuple, Protocol

from listwise.calls import Message, PromptForm
from listwise.errors import ConfigError, InputError
from listwise.prompting.fitting import Overhead, limit_for
from listwise.prompting.neutralise import neutralise
from listwise.prompting.orders import without_orders
from listwise.prompting.passages import Count, Passage, prepare
from listwise.prompting.template import ContentRules, Template
from listwise.types import Candidate, Request

DEFAULT_OVERHEAD = Overhead()
INEXACT_FACTOR = 1.25
"""Room for the difference between an estimate and a vocabulary that is not known."""


class TokenEstimate(Protocol):
    """How a model's tokens are counted; `listwise.spend.tokens.TokenCounter` is one."""

    @property
    def rung(self) -> str:
        """``exact``, or how the count is made."""
        ...

    def estimate(self, text: str) -> int:
        """Tokens of a text, about right."""
        ...

    def bound(self, text: str) -> int:
        """Tokens of a text, never too few."""
        ...


class Cut(NamedTuple):
    """A passage of which a prompt shows only a part."""

    position: int
    """In the window, from 0."""
    shown_chars: int
    chars: int
    """Of the passage as it was given."""


@dataclass(frozen=True, slots=True)
class WindowPrompt:
    """The prompt of one window."""

    messages: tuple[Message, ...]
    form: PromptForm
    cuts: tuple[Cut, ...]
    """What was cut, to the template's own limit or to fit the context."""
    limit: int
    """What each passage could have at most: words, or tokens where the template keeps head and tail."""
    certain: bool = True
    """Whether it fits for certain: by its bytes, or by an exact count. If not, it fits by an estimate."""

    @property
    def truncated(self) -> int:
        """How many passages were cut."""
        return len(self.cuts)

    @property
    def sha256(self) -> str:
        """The hash of the messages, see `prompt_sha256`."""
        return prompt_sha256(self.messages)


def prompt_sha256(messages: Sequence[Message]) -> str:
    """SHA-256 (hex) of messages as canonical JSON: ``[[role, content], ...]`` in ASCII without spaces."""
    turns = [[message.role, message.content] for message in messages]
    return hashlib.sha256(json.dumps(turns, separators=(",", ":"), ensure_ascii=True).encode("ascii")).hexdigest()


def rough_count(text: str) -> int:
    """A token every four bytes: for looking at prompts where no model is at hand."""
    return -(-len(text.encode("utf-8", "replace")) // 4)


def render(
    template: Template, query: str, passages: Sequence[str | Candidate], *, count: Count = rough_count
) -> tuple[Message, ...]:
    """The prompt for passages in the order given, cut to the template's own limit, whatever the context.

    ``count`` matters only where the template keeps so many tokens of head and tail.
    """
    return RequestPrompts(template, query, passages, count=count).window(range(len(passages))).messages


def fit(
    template: Template,
    query: str,
    passages: Sequence[str | Candidate],
    *,
    count: Count,
    context_tokens: int,
    max_output_tokens: int,
    overhead: Overhead = DEFAULT_OVERHEAD,
) -> WindowPrompt:
    """The prompt for passages in the order given, cut further where prompt and answer would not fit the context.

    Raises:
        InputError: they would not fit with the shortest passages that the template allows.
    """
    space = Space(context_tokens, lambda _: max_output_tokens, overhead)
    return RequestPrompts(template, query, passages, count=count, space=space).window(range(len(passages)))


@dataclass(slots=True)
class Space:
    """A model's context, which may prove smaller than thought, and what of it is spoken for."""

    context_tokens: int
    """Tokens that prompt and answer share."""
    answer_tokens: Callable[[int], int]
    """Tokens to leave for the answer to so many passages."""
    overhead: Overhead = DEFAULT_OVERHEAD

    exact: bool = True
    """Whether texts are counted exactly."""

    def left(self, messages: int, passages: int, form: PromptForm) -> int:
        """Tokens left for the text of a prompt; can be negative."""
        taken = self.answer_tokens(passages) + self.overhead.of(messages, passages, form)
        return self.context_tokens - taken


class RequestPrompts:
    """The prompts of one query. A passage is prepared once, for all windows that show it."""

    def __init__(
        self,
        template: Template,
        query: str,
        passages: Sequence[str | Candidate],
        *,
        count: Count,
        space: Space | None = None,
        qid: str | None = None,
    ) -> None:
        """Without ``space``, prompts are as long as the template lets them be."""
        self._template = template
        self._query = neutralise(query, template.rules.neutralise, labels=template.labelled)
        self._given = passages
        self._count = count
        self._space = space
        self._qid = qid
        self._passages: dict[int, Passage] = {}
        self._frames: dict[int, int] = {}

    def window(self, window: Sequence[int], scale: float = 1.0, *, wary: bool = False) -> WindowPrompt:
        """The prompt that shows the passages at these positions, in this order.

        ``scale`` is how many real tokens there are to a counted one, where prompts have proved longer than counted.
        ``wary`` withholds what might be an order to the model.

        Raises:
            InputError: no prompt for them fits the context.
        """
        passages = [self._passage(position) for position in window]
        prompt = self._prompt(passages, self._template.rules.limit, wary=wary)
        if self._space is None:
            return prompt
        left = floor(self._space.left(len(prompt.messages), len(passages), self._template.form) / scale)
        if sum(_bytes(message.content) for message in prompt.messages) <= left:
            return prompt
        return self._prompt(passages, self._limit(passages, left), wary=wary, certain=self._space.exact)

    def _prompt(self, passages: Sequence[Passage], limit: int, *, wary: bool, certain: bool = True) -> WindowPrompt:
        excerpts = [passage.at(limit) for passage in passages]
        cuts = tuple(
            Cut(at, len(excerpt.text), passages[at].chars) for at, excerpt in enumerate(excerpts) if excerpt.cut
        )
        texts = [without_orders(excerpt.text) if wary else excerpt.text for excerpt in excerpts]
        messages = self._template.fill(self._query, texts)
        return WindowPrompt(messages, self._template.form, cuts, limit, certain)

    def _passage(self, position: int) -> Passage:
        if position not in self._passages:
            text = _content(self._given[position], self._template.rules)
            self._passages[position] = prepare(
                text, self._template.rules, self._count, labels=self._template.labelled
            )
        return self._passages[position]

    def _limit(self, passages: Sequence[Passage], left: int) -> int:
        """The template's own limit, or a smaller one that makes the prompt fit ``left`` tokens by their count."""
        rules = self._template.rules
        limit = limit_for(passages, rules.limit, rules.floor, left - self._frame(len(passages)), rules.shrink)
        if limit is None:
            raise InputError(self._too_long(len(passages)), qid=self._qid)
        return limit

    def _frame(self, passages: int) -> int:
        """Tokens of a prompt without its passages: the same for all windows of one size."""
        if passages not in self._frames:
            empty = self._template.fill(self._query, [""] * passages)
            self._frames[passages] = sum(self._count(message.content) for message in empty)
        return self._frames[passages]

    def _too_long(self, passages: int) -> str:
        assert self._space is not None
        rules = self._template.rules
        unit = "words" if rules.keep == "head" else "tokens"
        return (
            f"a prompt with {passages} passages does not fit the model's context of {self._space.context_tokens} "
            f"tokens, of which {self._space.answer_tokens(passages)} are kept for the answer, not even with "
            f"passages cut to {rules.floor} {unit}; use a smaller window, a shorter query, or a model with a "
            "larger context"
        )


class Prompter:
    """Makes the prompts of requests for one template and one model."""

    def __init__(
        self,
        template: Template,
        *,
        counter: TokenEstimate,
        context_tokens: int,
        answer_tokens: Callable[[int], int] = lambda passages: 64 + 8 * passages,
        overhead: Overhead = DEFAULT_OVERHEAD,
        checked: bool = False,
    ) -> None:
        """``answer_tokens`` says how many tokens to leave for the answer to a window of so many passages.

        Where prompts are ``checked`` against the model's own count, an inexact counter needs no room to spare.

        Raises:
            ConfigError: no prompt with two passages (one, where the template asks about one), however short, fits
                the context.
        """
        self.template = template
        self._count = counter.estimate if checked else careful(counter)
        self._space = Space(context_tokens, answer_tokens, overhead, counter.rung == "exact")
        shown = range(template.fewest)
        try:
            RequestPrompts(template, "", ["" for _ in shown], count=self._count, space=self._space).window(shown)
        except InputError as error:
            raise ConfigError(f"template {template.name}: {error.message}") from error

    def for_request(self, request: Request) -> RequestPrompts:
        """What makes the prompts of a request."""
        query = request.query
        return RequestPrompts(
            self.template, query.text, request.candidates, count=self._count, space=self._space, qid=query.qid
        )

    def counted(self, messages: Sequence[Message]) -> int:
        """Tokens of a prompt as they are counted for fitting."""
        return sum(self._count(message.content) for message in messages)

    def learn_context(self, tokens: int) -> bool:
        """The model's context proved to be no larger than this; whether that is news."""
        known, self._space.context_tokens = self._space.context_tokens, min(tokens, self._space.context_tokens)
        return tokens < known

    def overrun(self, input_tokens: int, passages: int) -> float:
        """How many times too long a prompt of so many tokens is; at most 1 where it fits."""
        return input_tokens / max(1, self._space.context_tokens - self._space.answer_tokens(passages))


def careful(counter: TokenEstimate) -> Count:
    """How to count for fitting: exactly where the vocabulary is known, else with room to spare."""
    if counter.rung == "exact":
        return counter.estimate
    return lambda text: min(counter.bound(text), ceil(counter.estimate(text) * INEXACT_FACTOR))


def _content(passage: str | Candidate, rules: ContentRules) -> str:
    """What of a passage the template shows."""
    if isinstance(passage, str):
        return passage
    if rules.keys == ("title", "text"):
        return passage.content
    parts = [getattr(passage, key) for key in rules.keys]
    return " ".join(part for part in parts if part)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
