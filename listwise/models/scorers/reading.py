"""Turns texts into token ids, and puts around them what a model wants: special tokens and kinds of segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from tokenizers import Encoding, Tokenizer

from listwise.errors import ConfigError
from listwise.models.base import LongPassages
from listwise.models.scorers import chunking

CHARS_AT_ONCE = 1 << 18
"""Characters that are tokenized at once: what bounds the memory, whatever the number and length of passages."""
PROBES = ("a", "1", ".")
"""Texts that show where a tokenizer puts its special tokens."""


class Input(NamedTuple):
    """One text, or a pair of texts, as a model reads it."""

    ids: list[int]
    kinds: list[int]
    """Which of two segments each token belongs to, 0 or 1; the same length as ``ids``."""


class Group(NamedTuple):
    """Some neighbouring passages, cut into pieces."""

    places: list[int]
    """Whose piece each one is, a position in the list of passages."""
    pieces: list[list[int]]
    cut: int
    chunked: int


class _Part(NamedTuple):
    """The special tokens before one text, and the kind of segment that the text is."""

    before: Input
    kind: int


class Template(NamedTuple):
    """What a tokenizer puts around one text or two."""

    parts: tuple[_Part, ...]
    after: Input

    @property
    def tokens(self) -> int:
        """How many special tokens there are."""
        return sum(len(part.before.ids) for part in self.parts) + len(self.after.ids)

    def around(self, *texts: Sequence[int]) -> Input:
        """The texts' ids with everything that belongs around them."""
        ids: list[int] = []
        kinds: list[int] = []
        for part, text in zip(self.parts, texts, strict=True):
            ids += [*part.before.ids, *text]
            kinds += [*part.before.kinds, *[part.kind] * len(text)]
        return Input(ids + self.after.ids, kinds + self.after.kinds)


class Reader:
    """A tokenizer, and the longest input of its model. Safe to share between threads.

    Args:
        tokenizer: taken over; its own padding and truncation are switched off.
        max_tokens: of one input, special tokens included.

    Raises:
        ConfigError: the input has no room for a text, or the tokenizer knows no token.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        probe = next((text for text in PROBES if len(self._encode([text])[0])), None)
        if probe is None:
            raise ConfigError("the tokenizer knows no token, not even an unknown one")
        self.single = _template(tokenizer.encode(probe), 1)
        self.pair = _template(tokenizer.encode(probe, probe), 2)
        if max_tokens <= self.single.tokens or max_tokens - self.pair.tokens < 2:
            raise ConfigError(f"inputs of {max_tokens} tokens have no room for a query and a passage")

    @classmethod
    def of(cls, path: Path, max_tokens: int) -> Self:
        """Read a ``tokenizer.json``.

        Raises:
            ConfigError: the file is missing, no tokenizer, or as above.
        """
        try:
            return cls(Tokenizer.from_file(str(path)), max_tokens)
        except ConfigError:
            raise
        except Exception as exc:  # tokenizers raises nothing more precise
            raise ConfigError(f"{path} is no tokenizer: {exc}") from exc

    @property
    def vocabulary(self) -> int:
        """How many terms there are."""
        return self._tokenizer.get_vocab_size()

    def token(self, text: str) -> int | None:
        """The id of a token, as the vocabulary spells it."""
        return self._tokenizer.token_to_id(text)

    def ids(self, text: str, most: int | None = None) -> list[int]:
        """The first ``most`` token ids of a text, of any length, without special tokens."""
        most = self.max_tokens if most is None else most
        return self._encode([text[: most * chunking.CHARS_A_TOKEN]])[0].ids[:most]

    def pair_query(self, query: str) -> list[int]:
        """The token ids of a query that shares an input with a passage: at most half of what fits."""
        return self.ids(query, (self.max_tokens - self.pair.tokens) // 2)

    def groups(self, passages: Sequence[str], room: int, how: LongPassages) -> Iterator[Group]:
        """Cut passages of any length and number into pieces of at most ``room`` tokens."""
        for places in chunking.groups(map(len, passages), CHARS_AT_ONCE):
            excerpts = [chunking.excerpt(passages[place], room, how) for place in places]
            encoded = iter(self._encode([part for one in excerpts for part in one.parts]))
            group = Group([], [], 0, 0)
            for place, one in zip(places, excerpts, strict=True):
                ids = [token for _ in one.parts for token in next(encoded).ids]
                found = chunking.pieces(ids, room, how)
                group.places.extend([place] * len(found.ids))
                group.pieces.extend(found.ids)
                group = group._replace(
                    cut=group.cut + (one.cut or found.cut), chunked=group.chunked + (len(found.ids) > 1)
                )
            yield group

    def _encode(self, texts: list[str]) -> list[Encoding]:
        return self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)


def _template(shown: Encoding, texts: int) -> Template:
    """Read off an encoding of ``texts`` texts what is not theirs."""
    parts: list[_Part] = []
    ids: list[int] = []
    kinds: list[int] = []
    for token, kind, owner in zip(shown.ids, shown.type_ids, shown.sequence_ids, strict=True):
        if owner is None:
            ids.append(token)
            kinds.append(kind)
        elif owner == len(parts):
            parts.append(_Part(Input(ids, kinds), kind))
            ids, kinds = [], []
    if len(parts) != texts:
        raise ConfigError(f"the tokenizer does not keep {texts} texts apart")
    return Template(tuple(parts), Input(ids, kinds))
