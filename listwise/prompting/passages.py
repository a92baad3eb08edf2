"""One passage, neutralised once, and its shorter forms.

A passage can be cut to any *limit*: words where the template keeps the head, tokens where it keeps head and tail.
Text without spaces can be cut, too: a passage keeps no more than `WIDEST_CHARS` characters for each word of the
template's limit, however long its words; and to shorten it further, a run of more than `WORD_CHARS` characters
counts as several words.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from listwise.prompting.neutralise import neutralise, reread
from listwise.prompting.template import ContentRules

Clean = Callable[[str], str]
"""Makes a text harmless."""
Count = Callable[[str], int]
"""Tokens of a text: never more than its bytes of UTF-8, nor those of two texts together more than of each alone."""

WORD_CHARS = 16
WIDEST_CHARS = 32
GAP = " … "
"""Stands for what was cut out between head and tail."""
_WORD = re.compile(rf"\S{{1,{WORD_CHARS}}}")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage as a prompt shows it."""

    text: str
    size: int
    """Bytes of UTF-8."""
    cut: bool
    """Whether anything of the passage is missing."""

    @classmethod
    def of(cls, text: str, cut: bool) -> Excerpt:
        """Measure a text."""
        return cls(text, len(text) if text.isascii() else len(text.encode()), cut)


class Passage(ABC):
    """A passage made ready for one template and one way to count; every form of it is made and counted once."""

    def __init__(self, chars: int, limit: int, count: Count) -> None:
        self.chars = chars
        """Characters of the passage as it was given."""
        self._limit = limit
        self._count = count
        self._shown: dict[int, Excerpt] = {}
        self._tokens: dict[int, int] = {}

    @property
    @abstractmethod
    def length(self) -> int:
        """The smallest limit at which the passage is shown as whole as the template allows."""

    @abstractmethod
    def _cut(self, limit: int) -> Excerpt:
        """The passage cut to a limit below its length, or to the template's own."""

    def at(self, limit: int) -> Excerpt:
        """The passage, cut to a limit."""
        limit = self._effective(limit)
        if limit not in self._shown:
            self._shown[limit] = self._cut(limit)
        return self._shown[limit]

    def tokens(self, limit: int) -> int:
        """Tokens of the passage, cut to a limit."""
        limit = self._effective(limit)
        if limit not in self._tokens:
            self._tokens[limit] = self._count(self.at(limit).text)
        return self._tokens[limit]

    def _effective(self, limit: int) -> int:
        """One limit for all that come to the same: the length is not asked for where the template's limit holds."""
        return self._limit if limit >= self._limit or limit >= self.length else limit


def prepare(text: str, rules: ContentRules, count: Count, *, labels: bool = False) -> Passage:
    """Neutralise a passage (its ``labels``, too) and cut it to the template's own limit; linear in its length."""
    chars = len(text)
    text = reread(text)
    if rules.strip_prefix:
        text = text.lstrip().removeprefix(rules.strip_prefix)
    form = Head if rules.keep == "head" else HeadTail
    return form(text, chars, rules, count, partial(neutralise, style=rules.neutralise, labels=labels))


class Head(Passage):
    """The first words of a passage; a limit is in words."""

    def __init__(self, text: str, chars: int, rules: ContentRules, count: Count, clean: Clean) -> None:
        super().__init__(chars, rules.words, count)
        words = text.split(None, rules.words)
        first = " ".join(words[: rules.words])
        widest = rules.words * WIDEST_CHARS
        self._whole = Excerpt.of(clean(first[:widest]), cut=len(words) > rules.words or len(first) > widest)

    @cached_property
    def _ends(self) -> list[int]:
        return [word.end() for word in _WORD.finditer(self._whole.text)]

    @property
    def length(self) -> int:
        """Words that there are."""
        return min(len(self._ends), self._limit)

    def _cut(self, limit: int) -> Excerpt:
        if limit == self._limit:
            return self._whole
        return Excerpt.of(self._whole.text[: self._ends[limit - 1]], cut=True)


class HeadTail(Passage):
    """The first and last tokens of a passage, in the template's proportion; a limit is in tokens."""

    def __init__(self, text: str, chars: int, rules: ContentRules, count: Count, clean: Clean) -> None:
        super().__init__(chars, rules.limit, count)
        self._head_share = rules.head_tokens / rules.limit
        self._head, self._tail = _both_ends(text, rules, clean)

    @cached_property
    def _whole_tokens(self) -> int:
        return self._count(self._head)

    @property
    def length(self) -> int:
        """Tokens that there are, as far as a limit can reach them."""
        return self._limit if self._tail else min(self._limit, self._whole_tokens)

    def _cut(self, limit: int) -> Excerpt:
        if not self._tail:
            whole = Excerpt.of(self._head, cut=False)
            if whole.size <= limit or self._whole_tokens <= limit:
                return whole
        first = max(1, round(limit * self._head_share))
        last = limit - first - self._count(GAP)
        head = _longest(self._head, first, self._count)
        tail = _longest_end(self._tail or self._head, last, self._count)
        return Excerpt.of(f"{head}{GAP}{tail}" if head and tail else head or tail, cut=True)


def _both_ends(text: str, rules: ContentRules, clean: Clean) -> tuple[str, str]:
    """All of a text and nothing; of a long one its first and last words, as many as there are tokens to keep."""
    words = text.split(None, rules.limit)
    head = " ".join(words[: rules.limit])
    widest = rules.limit * WIDEST_CHARS
    if len(words) <= rules.limit and len(head) <= widest:
        return clean(head), ""
    tail = " ".join(text.rsplit(None, rules.tail_tokens)[-rules.tail_tokens :])
    return clean(head[:widest]), clean(tail[-rules.tail_tokens * WIDEST_CHARS :])


def _longest(text: str, tokens: int, count: Count) -> str:
    """The longest beginning, by words, of at most so many tokens."""
    ends = [word.end() for word in _WORD.finditer(text)]
    return text[: _reach(ends, tokens, lambda end: count(text[:end]))]


def _longest_end(text: str, tokens: int, count: Count) -> str:
    """The longest end, by words, of at most so many tokens."""
    size = len(text)
    starts = [size - word.start() for word in _WORD.finditer(text)][::-1]
    reach = _reach(starts, tokens, lambda length: count(text[size - length :]))
    return text[size - reach :]


def _reach(lengths: Sequence[int], tokens: int, count: Callable[[int], int]) -> int:
    """The greatest of the rising lengths that has at most so many tokens, 0 if none has."""
    fitting = bisect_right(lengths, tokens, key=count)
    return lengths[fitting - 1] if fitting else 0
