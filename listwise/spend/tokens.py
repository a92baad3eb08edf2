"""How many tokens a prompt has: an upper bound for reserving, apart from it an estimate for fitting and planning.

Nothing here uses the network. Rungs, best first:

``exact``
    OpenAI's vocabularies (`listwise.spend.vocabularies`). Texts are counted exactly; what a chat adds (by OpenAI's
    cookbook four tokens a message, its role included, and three for the answer) is bounded.
``provider``, ``tokenizer``
    The server's own count; asked for by `listwise.layers.counted`, not here.
``family factor``
    Claude, whose vocabulary is not published. Anthropic documents that Opus 4.7 and later, Sonnet 5 and Fable 5
    make about 30 % more tokens of a text than earlier models (platform.claude.com, "Token counting"), 1.0 to 1.35
    times as many (its migration guide to 4.7); others measured up to 1.47, for English prose. One offline counter
    is kept well: ``ctok`` (MIT, unofficial; vocabularies reconstructed from the endpoint's counts). It needs Python
    3.12 and 3 ms for 1,000 characters, so it is no dependency, but the bound was fitted against it, and
    ``python -m eval.benchmarks.bounds`` checks it where ctok is at hand. By ctok, windows of English passages have
    1.10 times o200k's tokens on earlier models and 1.55 times on later ones.
``bytes``
    One token a byte, which no byte-level vocabulary exceeds, nor one with byte fallback that rewrites nothing.

**Why a factor alone is no bound.** o200k has long tokens (runs of spaces and dashes, whole phrases of Chinese)
where Claude has none: text made of those has 5 times o200k's tokens, and runs of one character up to 16 times.
Bytes are no bound either: Claude marks words and capitals with tokens of their own, up to 1.06 a byte in rare
scripts, 2 where single letters of such scripts alternate with digits. So the bound is a sum: ``factor`` for each
token of o200k, ``per_byte`` for each byte that is no space, something for words in capitals or other scripts, and
repetitions by their bytes. A sum that holds for two texts holds for any mixture of them. It is measured, not
proved; the provider's own count is tighter.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

from listwise.spend.vocabularies import REMEMBERED_TEXTS, count, vocabulary_of

if TYPE_CHECKING:
    from listwise.calls import Call, Message

Rung = Literal["exact", "provider", "tokenizer", "family factor", "bytes"]
"""How an upper bound was made."""

MESSAGE_OVERHEAD = 4
"""Tokens that a chat format adds to each message at most: role, separators."""
PROMPT_OVERHEAD = 16
"""Tokens that a chat format adds to a prompt at most. OpenAI adds 3; Claude 7 to 11."""
SCHEMA_OVERHEAD = 32
"""Tokens a passage that an answer schema adds to the prompt at most."""
SCHEMA_BASE = 256
"""Tokens that it adds once at most: Anthropic puts instructions of its own before the prompt."""

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


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts for one model family, from the counts of ``vocabulary``; by bytes if that is None."""

    vocabulary: str | None
    factor: float = 1.0
    """Tokens for each one of ``vocabulary``, at most."""
    per_byte: float = 0.0
    """Tokens on top for each byte that is no space, at most."""
    ratio: float = 1.0
    """Tokens for each one of ``vocabulary``, usually."""

    @property
    def rung(self) -> Rung:
        """How the upper bound is made, for the receipt."""
        if self.vocabulary is None:
            return "bytes"
        return "exact" if self.factor == 1 and not self.per_byte else "family factor"

    def estimate(self, text: str) -> int:
        """Tokens of a text, about right for any model and exact where the rung is."""
        return round(count(text, self.vocabulary or COMMON_VOCABULARY) * self.ratio)

    def bound(self, text: str) -> int:
        """Tokens of a text, never too few."""
        if self.vocabulary is None:
            return _size(text)
        if self.rung == "exact":
            return count(text, self.vocabulary)
        marks, tokens, solid = _measured(text, self.vocabulary)
        return marks + math.ceil(self.factor * tokens + self.per_byte * solid)

    def count(self, call: Call) -> Count:
        """Both at once, with the rung."""
        return Count(self.call_bound(call), self.call_estimate(call), self.rung)

    def call_bound(self, call: Call) -> int:
        """Input tokens of a whole call, never too few."""
        schema = SCHEMA_BASE + SCHEMA_OVERHEAD * call.passages if call.form == "order" else 0
        return self.messages_bound(call.messages) + schema

    def messages_bound(self, messages: Sequence[Message]) -> int:
        """Input tokens of a chat, never too few."""
        overhead = MESSAGE_OVERHEAD * len(messages) + PROMPT_OVERHEAD
        return overhead + sum(self.bound(message.content) for message in messages)

    def call_floor(self, call: Call) -> int:
        """Input tokens of a whole call, never too many: a server that states less miscounts."""
        return sum(self.floor(message.content) for message in call.messages)

    def floor(self, text: str) -> int:
        """Tokens of a text, never too many."""
        return int((LEAST_EXACT if self.rung == "exact" else LEAST_GUESSED) * self.estimate(text))

    def call_estimate(self, call: Call) -> int:
        """Input tokens of a whole call, about right."""
        schema = ESTIMATED_SCHEMA + ESTIMATED_IDENTIFIER * call.passages if call.form == "order" else 0
        overhead = ESTIMATED_PROMPT + ESTIMATED_MESSAGE * len(call.messages) + schema
        return overhead + sum(self.estimate(message.content) for message in call.messages)


EARLIER_CLAUDE = TokenCounter(COMMON_VOCABULARY, factor=1.5, per_byte=0.36, ratio=1.12)
"""Claude 3 to Opus 4.6. Fitted to ctok's counts (its family v3): worst are o200k's long Chinese tokens."""
LATER_CLAUDE = TokenCounter(COMMON_VOCABULARY, factor=2.2, per_byte=0.28, ratio=1.55)
"""Opus 4.7 and later, and all of Claude 5 (ctok's family v4.7): worst are repeated syllables."""

_EARLIER = re.compile(
    r"claude-(?:instant|v?[123](?![\d])|(?:opus|sonnet|haiku)-4(?:[-.][0-6])?(?=$|[-@:](?:\d{6,}|latest|v\d)))"
)
_RUNS = re.compile(r"(.{1,6}?)\1{3,}|( \w{6,24})\2{3,}|\s{3,}", re.DOTALL)
"""Up to six characters or a word four times or more, or three of white space: o200k has long tokens for such."""
RUN_FACTOR, RUN_OVERHEAD = 2, 2
"""Tokens that a run has for each of its bytes at most, where it is more than one ASCII character; and once."""
_FOREIGN_WORD = re.compile(r"(?<![^\W\d_])[^\W\d_\x00-\x7f]")
"""Where a word begins with a letter that is not ASCII."""
_SHOUTED = re.compile(r"(?<=[A-Z])[A-Z]")
"""Capitals that follow a capital: later models have no entries for words in capitals."""
SHOUTED = 0.5
"""Tokens for each of those, on top."""
MARKS = 2
"""Tokens that Claude may put around such a word, on top: begin, end or capital; around other words they are part of
a vocabulary's entries."""


@cache
def counter_for(name: str) -> TokenCounter:
    """The counter for a model by its name, ``provider/name``; an unknown Claude counts as a later one."""
    provider, _, model = name.partition("/")
    if provider == "anthropic":
        return EARLIER_CLAUDE if _EARLIER.search(model.lower()) else LATER_CLAUDE
    return TokenCounter(vocabulary_of(model) if provider == "openai" else None)


@lru_cache(maxsize=REMEMBERED_TEXTS)
def _measured(text: str, vocabulary: str) -> tuple[int, int, int]:
    """The most tokens of a text's runs and marks; and of what is left its tokens, and bytes that are no spaces."""
    rest, runs = _without_runs(unicodedata.normalize("NFC", text))
    runs += math.ceil(SHOUTED * len(_SHOUTED.findall(rest)))
    marks = 0 if rest.isascii() else MARKS * len(_FOREIGN_WORD.findall(rest))
    return runs + marks, count(rest, vocabulary), _size(rest) - rest.count(" ")


def _without_runs(text: str) -> tuple[str, int]:
    """A text with its runs replaced by spaces, and the most tokens that those runs can have."""
    tokens = 0

    def drop(run: re.Match[str]) -> str:
        nonlocal tokens
        plain = run[0].isspace() or (run[1] is not None and len(run[1]) == 1 and run[1].isascii())
        tokens += _size(run[0]) * (1 if plain else RUN_FACTOR) + RUN_OVERHEAD
        return " "

    return _RUNS.sub(drop, text), tokens


def _size(text: str) -> int:
    """Bytes in UTF-8, where a lone surrogate has three."""
    return len(text.encode("utf-8", "surrogatepass"))
