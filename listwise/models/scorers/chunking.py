"""How a passage that is longer than a scorer can read at once is cut, in tokens. Pure.

``room`` is what a model's longest input leaves to a passage, after the query and the special tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from listwise.models.base import LongPassages

OVERLAP = 4
"""One in so many tokens of a chunk is also in the next one."""
MAX_CHUNKS = 32
"""Chunks of one passage that are read at most; what lies behind them is cut."""
CHARS_A_TOKEN = 16
"""Characters that are tokenized for each token that may be read: what lies behind them would hardly be read."""


class Pieces(NamedTuple):
    """What is read of one passage."""

    ids: list[list[int]]
    """Token ids, one list for each time that the model reads some of it; at least one list."""
    cut: bool
    """Whether some part is not read."""


class Excerpt(NamedTuple):
    """The parts of a text that are worth tokenizing."""

    parts: tuple[str, ...]
    cut: bool


def overlap(room: int) -> int:
    """Tokens that two neighbouring chunks share."""
    return room // OVERLAP


def spans(length: int, room: int) -> list[slice]:
    """Chunks of at most ``room`` tokens that cover ``length`` tokens; each has `overlap` tokens of the one before.

    A length that fits, 0 included, is one chunk.
    """
    shared = overlap(room)
    starts = range(0, max(1, length - shared), room - shared)
    return [slice(start, min(start + room, length)) for start in starts]


def most_tokens(room: int, how: LongPassages) -> int:
    """Tokens of one passage that are read at most, those in two chunks counted once."""
    chunks = MAX_CHUNKS if how == "max" else 1
    return room + (chunks - 1) * (room - overlap(room))


def excerpt(text: str, room: int, how: LongPassages) -> Excerpt:
    """What of a text is tokenized, so that a text of any length costs a bounded time."""
    chars = most_tokens(room, how) * CHARS_A_TOKEN
    if how == "head_tail" and len(text) > 2 * chars:
        return Excerpt((text[:chars], text[-chars:]), cut=True)
    if how != "head_tail" and len(text) > chars:
        return Excerpt((text[:chars],), cut=True)
    return Excerpt((text,), cut=False)


def pieces(ids: list[int], room: int, how: LongPassages) -> Pieces:
    """Cut the token ids of one passage."""
    if len(ids) <= room:
        return Pieces([ids], cut=False)
    match how:
        case "first":
            return Pieces([ids[:room]], cut=True)
        case "head_tail":
            tail = room // 2
            return Pieces([ids[: room - tail] + ids[len(ids) - tail :]], cut=True)
        case "max":
            chunks = spans(len(ids), room)
            return Pieces([ids[chunk] for chunk in chunks[:MAX_CHUNKS]], cut=len(chunks) > MAX_CHUNKS)


def groups(sizes: Iterable[int], most: int) -> Iterator[range]:
    """Cut a row of sizes into runs that sum to at most ``most``, or hold a single one."""
    start = end = total = 0
    for end, size in enumerate(sizes, 1):
        if end - 1 > start and total + size > most:
            yield range(start, end - 1)
            start, total = end - 1, 0
        total += size
    if end > start:
        yield range(start, end)


def batches(lengths: Sequence[int], tokens: int) -> list[slice]:
    """Cut ascending lengths into runs that take at most ``tokens`` once padded, or hold a single text."""
    runs, start = [], 0
    for end, length in enumerate(lengths):
        if end > start and length * (end + 1 - start) > tokens:
            runs.append(slice(start, end))
            start = end
    return [*runs, slice(start, len(lengths))] if lengths else []
