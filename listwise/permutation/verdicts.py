"""Reads whether an answer finds a passage relevant: by the log-odds of yes against no, else from its text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from listwise.permutation.glyphs import plain
from listwise.permutation.likelihood import likelihood
from listwise.permutation.outcome import Parsed
from listwise.permutation.parts import clipped, spans, without_thinking
from listwise.permutation.refusals import refuses, why_unread

_WORDS = ("yes", "no")
_BEGINNING = re.compile(r"\W*+(?P<said>yes|no)\b(?!\s+(?:and|or)\s+(?:yes|no)\b)", re.IGNORECASE)
_CONCLUSION = re.compile(
    r"""
    (?: [:=] | \b(?:answer|verdict|judge?ment|response|output)\s+is\b | ^ )
    [\s"'*\[(]{0,6} (?P<said>yes|no|true|false)\b (?!\s+\w|\s*/|["'\s]{0,3}(?:and|or)\b)
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_UNDECIDED = re.compile(r"\b(?:whether|if)\s[^.\n]{0,80}", re.IGNORECASE)
_DENIED = re.compile(
    r"\b(?:irrelevant\b|no\s+relevan\w*|(?:not|\w{1,8}n't|can\s?not)\s+(?:\w+\s+){0,2}(?:relevant|answer)\w*)",
    re.IGNORECASE,
)
_AFFIRMED = re.compile(r"\b(?:is|are|seems|appears)\s+(?:\w+\s+){0,2}relevant\b|\banswers\s+the\b", re.IGNORECASE)


def parse_relevance(answer: str, leading: Sequence[Mapping[str, float]] | None = None) -> Parsed:
    """Read whether one passage is relevant; never raises.

    The score is the log-odds of yes against no where log-probabilities have either, a word that is not among the
    alternatives being less likely than all that are; else 1 for yes and -1 for no. In a refusal, they count only if
    they have half of the probability.

    Args:
        answer: the raw text of a model.
        leading: what might have stood at the first places of the answer.
    """
    text = plain(answer)[0]
    said = without_thinking(text)
    if leading and said.text == text:
        found = likelihood(leading, len(_WORDS), lambda token: _WORDS.index(token) if token in _WORDS else None)
        if found is not None and (found.settled or not refuses(text)):
            yes, no = found.filled
            return _graded(yes - no, "logprobs")
    if not said.text.strip():
        return Parsed.failed(1, "unfinished" if said.unfinished else "empty")
    text = clipped(said.text, 1)
    marked = spans(text)
    for part in (*marked.complete[::-1], *marked.remainder):
        verdict = affirmed(part)
        if verdict is not None:
            return _graded(1.0 if verdict else -1.0, "verdict")
    return Parsed.failed(1, why_unread(text, unfinished=said.unfinished))


def affirmed(text: str) -> bool | None:
    """Whether a text says yes; None where it says neither, or both.

    The first word counts, then what follows a colon or has a line to itself, the last one; then whether the text
    says in so many words that the passage is relevant or answers the query, or is not or does not.
    """
    begins = _BEGINNING.match(text)
    if begins is not None:
        return begins["said"].lower() == "yes"
    concluded = [match["said"].lower() in {"yes", "true"} for match in _CONCLUSION.finditer(text)]
    if concluded:
        return concluded[-1]
    if refuses(text):
        return None
    text, denials = _DENIED.subn(" ", _UNDECIDED.sub(" ", text))
    affirms = _AFFIRMED.search(text) is not None
    return affirms if affirms != (denials > 0) else None


def _graded(score: float, form: Literal["logprobs", "verdict"]) -> Parsed:
    return Parsed(1, (1,), form=form, scores=(score,))
