"""How many tokens a prompt has: an upper bound for reserving, apart from it an estimate for fitting and planning.

Nothing here uses the network. Rungs, best first:

``exact``
    OpenAI's vocabularies (`listwise.spend.vocabularies`). Texts are counted exactly; what a chat adds (by OpenAI's
    cookbook four tokens a message, its role included, and three for the answer) is bounded.
``provider``, ``tokenizer``
    The server's own count; asked for by `listwise.layers.counted`, not here.
``family factor``
    Claude, whose vocabulary is not published: for each token of o200k what it becomes at most, wherever it stands
    (`listwise.spend.claude`). English comes to about 2 times the count, most other text to less.
``bytes``
    One token a byte, which no byte-level vocabulary exceeds, nor one with byte fallback; of a text's forms (as
    it is, and composed as some models read it) the longest. What the server's chat template writes around the
    messages is not known, so more is set aside for it.

**Why Claude has no one factor.** Anthropic documents that Opus 4.7 and later, Sonnet 5 and Fable 5 make about
30 % more tokens of a text than earlier models (platform.claude.com, "Token counting"), 1.0 to 1.35 times as
many (its migration guide to 4.7). Windows of English passages have 1.10 times o200k's tokens on earlier models
and 1.55 times on later ones. But German compounds have 4 times, Kannada 9 times, and o200k's long tokens (runs
of spaces and dashes, the alphabet) up to 34 times: a factor that holds for all would set aside 15 times too
much for English.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from listwise.spend import claude
from listwise.spend.search_units import most_search_units
from listwise.spend.vocabularies import count, vocabulary_of

if TYPE_CHECKING:
    from listwise.calls import Call, Message

Rung = Literal["exact", "provider", "tokenizer", "family factor", "bytes"]
"""How an upper bound was made."""

MESSAGE_OVERHEAD, PROMPT_OVERHEAD = 4, 16
"""Tokens that OpenAI's own chat format adds to each message, and to a prompt, at most. By its cookbook, 4 and 3."""
HARMONY_MESSAGE, HARMONY_PROMPT = 8, 96
"""The same for gpt-oss, whose format begins with instructions of its own. By its template, at most 6 and 65."""
CLAUDE_MESSAGE = 12
"""Tokens that Claude's adds to each message at most. A prompt of one message has 6, 7 or 11 more than its text."""
TEMPLATE_MESSAGE, TEMPLATE_PROMPT = 24, 1280
"""The same for a chat template that is not known. Many begin with a system prompt of their own: of 742 published
templates one in twenty writes 278 tokens and more, models for chat up to 1,173
(``python -m eval.benchmarks.chat_templates``)."""
SCHEMA_OVERHEAD = 32
"""Tokens a passage that an answer schema adds to the prompt at most."""
SCHEMA_BASE = 256
"""Tokens that it adds once at most: Anthropic puts instructions of its own before the prompt."""

PAIR_OVERHEAD = 128
"""Tokens that a reranker's template writes around a query and one passage at most: Qwen3-Reranker's has about 70,
those of cross-encoders 4."""

ESTIMATED_MESSAGE = 4
"""Tokens that OpenAI's format adds to a message, the role's own included."""
ESTIMATED_PROMPT = 3
"""And once, to begin the answer."""
ESTIMATED_SCHEMA = 40
"""Tokens of an answer schema, beside `ESTIMATED_IDENTIFIER` for each passage."""
ESTIMATED_IDENTIFIER = 2

COMMON_VOCABULARY = "o200k_base"
"""What texts are counted with where the model's own vocabulary is unknown."""


LEAST_EXACT, LEAST_GUESSED = 0.9, 1 / 3
"""What a true count has at least, as a share of ours: where the vocabulary is known, and where it is not."""


@dataclass(frozen=True, slots=True)
class Count:
    """The size of a call's prompt in tokens."""

    bound: int
    """Never too few, as far as ``rung`` goes: what is reserved."""
    estimate: int
    """About right: what is planned with."""
    rung: Rung
    search_units: int = 0
    """Never too few; only of calls for scores."""
    floor: int = 0
    """Never too many: a server that states less miscounts."""


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts for one model family, from the counts of ``vocabulary``; by bytes if that is None."""

    vocabulary: str | None
    most: str | None = None
    """The table of what each token of ``vocabulary`` becomes at most, where the model's own is not known."""
    ratio: float = 1.0
    """Tokens for each one of ``vocabulary``, usually."""
    message: int = MESSAGE_OVERHEAD
    """Tokens that the chat format adds to each message at most."""
    prompt: int = PROMPT_OVERHEAD
    """And once."""

    @property
    def rung(self) -> Rung:
        """How the upper bound is made, for the receipt."""
        if self.vocabulary is None:
            return "bytes"
        return "family factor" if self.most else "exact"

    def estimate(self, text: str) -> int:
        """Tokens of a text, about right for any model and exact where the rung is."""
        return round(count(text, self.vocabulary or COMMON_VOCABULARY) * self.ratio)

    def bound(self, text: str) -> int:
        """Tokens of a text, never too few."""
        if self.vocabulary is None:
            return _size(text)
        return claude.most_tokens(text, self.most) if self.most else count(text, self.vocabulary)

    def count(self, call: Call) -> Count:
        """Input tokens of a whole call; counted once, however often it is asked for."""
        known: Count | None = call.counts.get(self)
        if known is None:
            units = self._search_units(call) if call.form == "scores" else 0
            sizes = self._bound(call), self._estimate(call)
            known = call.counts[self] = Count(*sizes, self.rung, units, self._floor(call))
        return known

    def _bound(self, call: Call) -> int:
        if call.form == "scores":
            return self.prompt + PAIR_OVERHEAD * call.passages + _of_pairs(call, self.bound, least_queries=2)
        schema = SCHEMA_BASE + SCHEMA_OVERHEAD * call.passages if call.form == "order" else 0
        return self.messages_bound(call.messages) + schema

    def messages_bound(self, messages: Sequence[Message]) -> int:
        """Input tokens of a chat, never too few."""
        overhead = self.message * len(messages) + self.prompt
        return overhead + sum(self.bound(message.content) for message in messages)

    def _floor(self, call: Call) -> int:
        if call.form == "scores":  # a reranker cuts texts, and may say so nowhere
            return call.passages
        return sum(self.floor(message.content) for message in call.messages)

    def floor(self, text: str) -> int:
        """Tokens of a text, never too many."""
        return int((LEAST_EXACT if self.rung == "exact" else LEAST_GUESSED) * self.estimate(text))

    def _estimate(self, call: Call) -> int:
        if call.form == "scores":
            return _of_pairs(call, self.estimate)
        schema = ESTIMATED_SCHEMA + ESTIMATED_IDENTIFIER * call.passages if call.form == "order" else 0
        overhead = ESTIMATED_PROMPT + ESTIMATED_MESSAGE * len(call.messages) + schema
        return overhead + sum(self.estimate(message.content) for message in call.messages)

    def _search_units(self, call: Call) -> int:
        query, *documents = call.messages
        return most_search_units(self.bound(query.content), (self.bound(each.content) for each in documents))


EARLIER_CLAUDE = TokenCounter(claude.VOCABULARY, claude.EARLIER, ratio=1.12, message=CLAUDE_MESSAGE)
"""Claude 3 to Opus 4.6."""
LATER_CLAUDE = TokenCounter(claude.VOCABULARY, claude.LATER, ratio=1.55, message=CLAUDE_MESSAGE)
"""Opus 4.7 and later, and all of Claude 5."""
BY_BYTES = TokenCounter(None, message=TEMPLATE_MESSAGE, prompt=TEMPLATE_PROMPT)
"""A model of which nothing is known."""

_EARLIER = re.compile(
    r"claude-(?:instant|v?[123](?![\d])|(?:opus|sonnet|haiku)-4(?:[-.][0-6])?(?=$|[-@:](?:\d{6,}|latest|v\d)))"
)
_HARMONY = "gpt-oss"
"""What the names of models begin with that read OpenAI's harmony format."""


@cache
def counter_for(name: str) -> TokenCounter:
    """The counter for a model by its name, ``provider/name``; an unknown Claude counts as a later one."""
    provider, _, model = name.partition("/")
    if provider == "anthropic":
        return EARLIER_CLAUDE if _EARLIER.search(model.lower()) else LATER_CLAUDE
    vocabulary = vocabulary_of(model) if provider == "openai" else None
    if vocabulary is None:
        return BY_BYTES
    if model.startswith(_HARMONY):
        return TokenCounter(vocabulary, message=HARMONY_MESSAGE, prompt=HARMONY_PROMPT)
    return TokenCounter(vocabulary)


def _of_pairs(call: Call, size: Callable[[str], int], *, least_queries: int = 1) -> int:
    """Tokens of a call for scores: the query once with each passage, as Voyage and Jina bill it, but that often at
    least: listwise rerankers show it before the passages and after them."""
    query, *documents = call.messages
    shown = max(least_queries, len(documents))
    return shown * size(query.content) + sum(size(document.content) for document in documents)


def _size(text: str) -> int:
    """Bytes in UTF-8, where a lone surrogate has three, of the longest form in which a model may read a text.

    Qwen's tokenizers compose characters, SentencePiece's may fold them; a few characters grow by either.
    """
    if text.isascii():
        return len(text)
    forms = (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFKC", text))
    return max(len(form.encode("utf-8", "surrogatepass")) for form in forms)
