"""Reads which passage an answer finds most relevant: by the log-probabilities of labels, else from its text.

In text, these say it, the first that does: the whole answer is a label; a conclusion (``the most relevant passage
is B``, ``"label": "B"``), the last one; a comparison (``Passage B is more relevant than``); the answer begins with
a label and a full stop, or has one alone on a line; or only one label is mentioned at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from listwise.calls import LABELS
from listwise.permutation.glyphs import plain
from listwise.permutation.likelihood import by_likelihood, label_of, likelihood
from listwise.permutation.outcome import Parsed
from listwise.permutation.parts import Said, clipped, spans, without_thinking
from listwise.permutation.refusals import refuses, why_unread

_NAMES = r"(?:passage|document|doc|candidate|option|text|label|choice)"
_MARKS = r"[\s*_\"'`\[(<{#:]"
_LABEL = (
    rf"(?P<before>(?:\b{_NAMES}{_MARKS}{{1,4}})?(?:label{_MARKS}{{1,4}})?{_MARKS}{{0,4}}+)"
    r"(?<![\w'-])(?P<label>[A-Za-z])(?![\w'])"
)
_WHOLE = re.compile(
    rf"\W*+(?:(?:the|most|more|best|relevant|final|correct|is|answer|output|{_NAMES})\b\W*+){{0,7}}"
    r"(?P<label>[A-Za-z])\W*+",
    re.IGNORECASE,
)
_CONCLUSION = re.compile(
    rf"""
    (?: (?: \b(?:most|more)\s+relevant (?:\s+(?:one|answer|{_NAMES}))? (?:\s+(?:to|for)\s[^.:\n]{{1,200}}?)?
          | \bbest (?:\s+(?:one|answer|match|{_NAMES}))?
          | \b(?:answer|output|label|choice|selection|verdict|conclusion|winner) )
        ["'*]{{0,3}} \s{{0,3}} (?: \b(?:is|would\s+be) | [:=] | -> ) \W{{0,3}} (?:\bthe\b\s)?
      | \b(?:choose|chose|pick|select|less\s+relevant\s+than)\s{{1,3}} )
    {_LABEL}
    """,
    re.VERBOSE | re.IGNORECASE,
)
_STATED = re.compile(
    rf""" "[\w\s]{{1,30}}"\s?:\s?"(?:{_NAMES}\s)?(?P<value>[A-Za-z])"
        | [:=] \W{{0,4}} (?:\b{_NAMES}\s{{1,3}})? (?P<last>[A-Z]) [\s.*"'\])}}]*+ \Z """,
    re.VERBOSE | re.IGNORECASE,
)
_COMPARISON = re.compile(
    rf"{_LABEL}[*_\"'`\])>}}]{{0,4}}\s+(?:is|provides|contains|gives|offers|appears|seems|answers|looks|would\s+be)\s+"
    r"(?:(?!not\b|less\b)\w+\s+){0,4}?(?:more|most|best|better)\b",
    re.IGNORECASE,
)
_BEGINNING = re.compile(
    rf"\W*+(?:1[.)]\s++)?{_LABEL}[*_\"'`\])}}]{{0,4}}(?=[ \t]*+(?:[.,;!>\n]|-\s|\Z|\()|\s++(?:because|since|as)\b)",
    re.IGNORECASE,
)
_MENTION = re.compile(_LABEL, re.IGNORECASE)
_OR = re.compile(r"\W{0,4}\s(?:or|and)\s", re.IGNORECASE)
_NOT = re.compile(r"\W{0,4}\s(?:(?:is|are|does|do|was)\s?(?:not|n't)|(?:lacks|fails))\b", re.IGNORECASE)
_LOWER = re.compile(r"\s+(?!(?:because|since|as|is|for|over|and|or|with)\b)[a-z]")
_OPENING = ("[", "(", "<", "{", '"', "'", "`", "*", "_")
_NAMED = re.compile(rf"\b{_NAMES}\b", re.IGNORECASE)

LONGEST_LINE = 60
"""Characters of a line that may be nothing but a label with what it is called."""


def parse_choice(answer: str, n: int, leading: Sequence[Mapping[str, float]] | None = None) -> Parsed:
    """Read which of ``n`` labelled passages an answer finds most relevant; never raises.

    With log-probabilities that settle it, or where the text names no passage, all passages are in order, and
    ``scores`` has how likely each label was; from text, the passage named comes first and is the only identifier.
    What a model thought aloud has no log-probabilities of an answer.

    Args:
        answer: the raw text of a model.
        n: how many passages were shown, under the first ``n`` labels.
        leading: what might have stood at the first places of the answer.
    """
    heard = plain(answer)[0]
    said = without_thinking(heard)
    found = likelihood(leading, n, label_of) if leading and said.text == heard else None
    if found is not None and found.settled:
        return by_likelihood(found)
    text = _read_text(said, n)
    return by_likelihood(found) if found is not None and text.failure in {"empty", "unreadable"} else text


def _read_text(said: Said, n: int) -> Parsed:
    if not said.text.strip():
        return Parsed.failed(n, "unfinished" if said.unfinished else "empty")
    text = clipped(said.text, n).replace("_", " ")
    marked = spans(text)
    for part in (*marked.complete[::-1], *marked.remainder):
        at = named(part, n)
        if at is not None:
            return Parsed(n, (at + 1,), form="label")
    return Parsed.failed(n, why_unread(text, unfinished=said.unfinished))


def named(text: str, n: int) -> int | None:
    """The position whose label a text names as the best; None where it names none, or several."""
    if (whole := _WHOLE.fullmatch(text)) is not None:
        return _position(whole["label"], n)
    if concluded := _conclusions(text, n):
        return concluded[-1]
    if refuses(text):
        return None
    begins = _BEGINNING.match(text)
    lines = (_WHOLE.fullmatch(line) for line in text.splitlines()[::-1] if len(line) <= LONGEST_LINE)
    said: list[int | None] = [
        *_compared(text, n),
        _believed(begins, n) if begins else None,
        *(_position(line["label"], n) for line in lines if line),
    ]
    if (best := next((at for at in said if at is not None), None)) is not None:
        return best
    mentioned = list(dict.fromkeys(_mentioned(text, n)))
    return mentioned[0] if len(mentioned) == 1 else None


def _conclusions(text: str, n: int) -> list[int]:
    found = [
        (match.end(), _believed(match, n))
        for match in _CONCLUSION.finditer(text)
        if not _OR.match(text, match.end())
    ]
    found += [(match.end(), _position(match["value"] or match["last"], n)) for match in _STATED.finditer(text)]
    return [at for _, at in sorted(found, key=lambda pair: pair[0]) if at is not None]


def _compared(text: str, n: int) -> Iterator[int | None]:
    return (_believed(match, n) for match in _COMPARISON.finditer(text))


def _mentioned(text: str, n: int) -> Iterator[int]:
    """Labels that are named or marked as such, or capitals, in the order of the text; none that words deny."""
    for match in _MENTION.finditer(text):
        at = _believed(match, n)
        if at is not None and (match["before"].strip() or match["label"].isupper()) and not _denied(match):
            yield at


def _denied(match: re.Match[str]) -> bool:
    return _NOT.match(match.string, match.end()) is not None


def _believed(match: re.Match[str], n: int) -> int | None:
    """The position of a label, unless it is a word: ``A passage``, ``I think``, ``passage a day``."""
    label, before = match["label"], match["before"]
    if not before.rstrip().endswith(_OPENING):
        named = _NAMED.search(before) is not None
        alone = _LOWER.match(match.string, match.end("label")) is None
        if not (named or alone or label not in "AI" if label.isupper() else named and alone):
            return None
    return _position(label, n)


def _position(label: str, n: int) -> int | None:
    at = LABELS.find(label.upper())
    return at if 0 <= at < n else None
