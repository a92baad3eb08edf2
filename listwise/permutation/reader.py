"""The way through an answer, from the raw string to what it says."""

from __future__ import annotations

import re
from collections import Counter
from types import MappingProxyType

from listwise.permutation.chains import tally
from listwise.permutation.glyphs import plain
from listwise.permutation.letters import MOST_LETTERS, numbered
from listwise.permutation.outcome import Parsed
from listwise.permutation.parts import clipped, spans, without_acknowledgements, without_thinking
from listwise.permutation.refusals import refuses, why_unread
from listwise.permutation.structured import read_any
from listwise.permutation.text import Reading, join

_NUMBER = re.compile(r"[0-9]+")
_AS_ASKED = re.compile(r"\s*+\[[0-9]{1,9}\](?:\s*+>\s*+\[[0-9]{1,9}\])*+\s*+")


def parse(answer: str, n: int) -> Parsed:
    """Read what an answer says about the order of ``n`` passages; never raises, whatever the answer.

    Takes time linear in the length of the answer. The package's docstring says when an answer is a ranking; where
    it is none, ``failure`` of what is returned says why.

    Args:
        answer: the raw text of a model, with all that surrounds its ranking.
        n: how many passages were shown, under the identifiers ``1 .. n``.
    """
    if _AS_ASKED.fullmatch(answer) and (asked := _read_as_asked(answer, n)).identifiers:
        return asked
    text, glyphs = plain(answer)
    said = without_thinking(text)
    if not said.text.strip():
        return Parsed.failed(n, "unfinished" if said.unfinished else "empty")
    part = clipped(said.text, n)
    whole = without_acknowledgements(part)
    reading = _read(whole, n) or _read_letters(whole, n)
    if reading is None or (not reading.sure and refuses(whole)):
        return Parsed.failed(n, why_unread(whole, unfinished=said.unfinished))
    missing = n - len(reading.identifiers)
    repairs = reading.repairs + Counter(missing=missing, glyphs=glyphs, clipped=len(part) < len(said.text))
    return Parsed(n, reading.identifiers, MappingProxyType(dict(+repairs)), form=reading.form)


def _read_as_asked(answer: str, n: int) -> Parsed:
    """The short way for what most models answer most of the time; it reads what the long way would read."""
    repairs: Counter[str] = Counter()
    identifiers = tally(map(int, _NUMBER.findall(answer)), n, repairs)
    repairs["missing"] = n - len(identifiers)
    return Parsed(n, identifiers, MappingProxyType(dict(+repairs)), form="chain")


def _read(text: str, n: int) -> Reading | None:
    """From the marked spans if they rank anything, else from where an unmarked ranking is likely."""
    marked = spans(text)
    ranked = [reading for part in marked.complete if (reading := read_any(part, n)) is not None]
    if ranked:
        return join(ranked, n)
    return next((reading for part in marked.remainder if (reading := read_any(part, n)) is not None), None)


def _read_letters(text: str, n: int) -> Reading | None:
    reading = _read(numbered(text), n) if n <= MOST_LETTERS else None
    if reading is None:
        return None
    repairs = Counter({**reading.repairs, "unbracketed": 0, "list_numbers": 0, "letters": len(reading.identifiers)})
    return Reading(reading.identifiers, repairs, "letters", reading.sure)
