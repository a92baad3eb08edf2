"""Which part of an answer is the answer: thinking is dropped, marked spans are found, length is bounded."""

from __future__ import annotations

import re
from typing import NamedTuple

_THINKING = re.compile(
    r"<(?P<close>/?)(?:think|thinking|thought|thoughts|reasoning|scratchpad)>|\[(?P<end>/?)think\]", re.IGNORECASE
)
_BOUND = re.compile(
    r"\[\s{0,4}(?:(?P<start>start)|end)\s{0,4}\]|<(?:/(?:answer|ranking|output)|(?P<open>answer|ranking|output))>",
    re.IGNORECASE,
)


_ACKNOWLEDGED = re.compile(r"\breceived passage \[[0-9]{1,9}\]\.?", re.IGNORECASE)

_LONGEST = 64_000
_LONGEST_PER_PASSAGE = 32
_WORD = 64


class Said(NamedTuple):
    """An answer without its thinking."""

    text: str
    unfinished: bool
    """The thinking never ended, so that what should follow it is missing."""


class Spans(NamedTuple):
    """Where an answer says that its ranking begins and ends."""

    complete: list[str]
    """What stands between ``[Start]`` and ``[End]`` (or tags such as ``<answer>``), in the order written."""
    remainder: list[str]
    """Where else to look, the most likely first: after a start without an end, before an end without a start,
    the whole."""


def without_thinking(text: str) -> Said:
    """Drop what stands in ``<think>`` tags and their like, and all before an end whose start was in the prompt.

    A start without an end drops all that follows it: where thinking was cut off, no answer was given.
    """
    kept: list[str] = []
    resume = 0
    thinking = False
    for tag in _THINKING.finditer(text):
        if tag["close"] or tag["end"]:
            if not thinking:
                kept.clear()
            thinking, resume = False, tag.end()
        elif not thinking:
            kept.append(text[resume : tag.start()])
            thinking = True
    if not thinking:
        kept.append(text[resume:])
    return Said("\n".join(kept) if len(kept) > 1 else kept[0], thinking)


def without_acknowledgements(text: str) -> str:
    """Drop ``Received passage [8].``, which a small model learns from RankGPT's prompt to say: it ranks nothing."""
    return _ACKNOWLEDGED.sub(" ", text)


def clipped(text: str, n: int) -> str:
    """The beginning and the end of an answer longer than 64,000 characters (or 32 for each passage).

    Much more than any ranking takes, so that no answer takes long to read. Nothing is put between the halves: a
    loop that runs to the token limit stays one run, in which the first mention of a passage counts.
    """
    limit = max(_LONGEST, _LONGEST_PER_PASSAGE * n)
    if len(text) <= limit:
        return text
    head, tail = limit // 2, len(text) - limit // 2
    while head > limit // 2 - _WORD and not text[head].isspace():
        head -= 1
    while tail < len(text) - limit // 2 + _WORD and not text[tail].isspace():
        tail += 1
    return f"{text[:head]}\n{text[tail:]}"


def spans(text: str) -> Spans:
    """Find the marked spans; a start within a span begins it anew, an end outside of one is a lost start."""
    complete: list[str] = []
    since: int | None = None
    lost_start: int | None = None
    for bound in _BOUND.finditer(text):
        if bound["start"] or bound["open"]:
            since = bound.end()
        elif since is not None:
            complete.append(text[since : bound.start()])
            since = None
        elif lost_start is None and not complete:
            lost_start = bound.start()
    remainder = [] if since is None else [text[since:]]
    if lost_start is not None:
        remainder.append(text[:lost_start])
    return Spans(complete, [*remainder, text])
