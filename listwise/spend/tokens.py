"""How many tokens a prompt has: an upper bound for reserving, an estimate for fitting and planning.

Nothing here uses the network: tiktoken, which would download its vocabularies, only says which one a model uses,
and ``bpe-openai`` brings them along. Rungs, best first: the exact vocabulary (OpenAI's), a factor on it for a
model family that is known to cut text finer, and one token a byte, which no byte-level vocabulary exceeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from listwise.calls import Call, Message

Rung = Literal["exact", "family factor", "bytes"]

MESSAGE_OVERHEAD = 4
"""Tokens that a chat format adds to each message at most: role, separators."""
PROMPT_OVERHEAD = 16
"""Tokens that a chat format adds to a prompt at most."""
SCHEMA_OVERHEAD = 32
"""Tokens a passage that an answer schema adds to the prompt at most, with the same again once."""
LONGEST_TEXT = 500_000
"""Characters that are counted at a time."""
CLAUDE_FACTOR = 1.55
"""Claude's tokens for one of o200k's, at most; 1.2 to 1.55 have been measured."""


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts for one model family: ``factor`` tokens for each one of ``vocabulary``, or bytes if that is None."""

    vocabulary: str | None
    factor: float = 1.0

    @property
    def rung(self) -> Rung:
        """How the upper bound is made, for the receipt."""
        return "bytes" if self.vocabulary is None else "exact" if self.factor == 1 else "family factor"

    def estimate(self, text: str) -> int:
        """Tokens of a text, about right for any model and exact where the rung is."""
        return round(_count(text, self.vocabulary or "o200k_base") * max(1.0, (1 + self.factor) / 2))

    def bound(self, text: str) -> int:
        """Tokens of a text, never too few."""
        if self.vocabulary is None:
            return len(text.encode("utf-8", "replace"))
        return -int(-_count(text, self.vocabulary) * self.factor // 1)

    def call_bound(self, call: Call) -> int:
        """Input tokens of a whole call, never too few."""
        return self.messages_bound(call.messages) + (
            SCHEMA_OVERHEAD * (call.passages + 1) if call.form == "order" else 0
        )

    def messages_bound(self, messages: Sequence[Message]) -> int:
        """Input tokens of a chat, never too few."""
        overhead = MESSAGE_OVERHEAD * len(messages) + PROMPT_OVERHEAD
        return overhead + sum(self.bound(message.content) for message in messages)


def counter_for(name: str) -> TokenCounter:
    """The counter for a model by its name, ``provider/name``."""
    provider, _, model = name.partition("/")
    if provider == "anthropic":
        return TokenCounter("o200k_base", CLAUDE_FACTOR)
    if provider == "openai":
        import tiktoken

        try:
            return TokenCounter(tiktoken.encoding_name_for_model(model))
        except KeyError:
            pass
    return TokenCounter(None)


def _count(text: str, vocabulary: str) -> int:
    """Tokens of a text; one longer than the encoder takes is cut, which costs at most a few tokens a cut."""
    encoding = _encoding(vocabulary)
    parts = range(0, len(text), LONGEST_TEXT)
    return sum(len(encoding.encode_ordinary(text[at : at + LONGEST_TEXT])) for at in parts)


@cache
def _encoding(vocabulary: str) -> Any:
    import bpe_openai

    return bpe_openai.get_encoding(vocabulary)
