"""Reads a ranking out of JSON and what resembles it: fenced, in tool arguments, in prose, cut off, badly quoted.

Not a JSON parser: a strict one rejects what models write, and a recursive one falls over deep nesting. One pass
over the tokens keeps a stack of open containers; a container says what it ranks when it closes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from listwise.permutation.chains import tally
from listwise.permutation.scan import NAMES, NOT_SHOWN, Mark
from listwise.permutation.text import Reading

_TOKEN = re.compile(
    r"""
      (?P<string> "(?P<double>(?:[^"\\]++|\\.)*+)(?:"|\\?\Z) | '(?P<single>[^'\n]{0,200})' )
    | (?P<number> -?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)? )
    | (?P<mark> [][{}:,] )
    | (?P<word> [^\W\d]\w*+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_OBJECT = re.compile(r"\{\s{0,99}[\"'\w]")
_IDENTIFIER = re.compile(rf"[\s\[(#]*(?:{NAMES}|[dp])?[\s:#_-]{{0,3}}(-?[0-9]+)[\s\])]*", re.IGNORECASE)
_LONGEST_IDENTIFIER = 40
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}
_NESTED_TEXTS = 3

_ORDER_KEY = re.compile(r"order|rank|permut|sort|result|answer|output|top|relevant|best|final", re.IGNORECASE)
_OTHER_KEY = re.compile(
    r"reason|expla|think|thought|ration|analy|justif|comment|evid|query|note|scor|rating|confid|text|title|irrelevant",
    re.IGNORECASE,
)
_ID_KEY = re.compile(rf"{NAMES}(?:[_ ]?(?:ids?|index|number|identifier))?|index|number|num|pid", re.IGNORECASE)
_SCORE_KEY = re.compile(r"(?:relevance|relevancy)?[_ ]?(?:score|rating)|relevance|relevancy", re.IGNORECASE)
_RANK_KEY = re.compile(r"rank|position|place", re.IGNORECASE)


class _Entry(NamedTuple):
    """One passage as an object describes it."""

    identifier: int
    score: float | None
    rank: float | None


@dataclass(slots=True)
class _Container:
    """An array or object that has been opened."""

    closes_with: str
    key: str | None
    """The key of the surrounding object under which it stands, or stands an array that holds it."""
    entries: list[_Entry] = field(default_factory=list)
    pairs: list[tuple[str, str | float]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    pending: str | None = None
    """In an object: the key or value read last."""
    at_value: bool = False
    nested: bool = False
    """Some array stood within it, so that it is not passed on again: keeps deep nesting linear."""


class _Ranked(NamedTuple):
    """A value that may be the ranking."""

    priority: int
    reading: Reading


def read_json(text: str, n: int, read_text: Callable[[str, int], Reading | None], depth: int = 0) -> Reading | None:
    """The ranking that a JSON object or array of objects in ``text`` states; None if there is none.

    Arrays of identifiers, of strings with identifiers and of objects with an id are read; so are strings with a
    ranking in them, by ``read_text``, and strings that hold JSON, as tool arguments do. A key that speaks of an
    order or ranking counts more than another one, one that speaks of reasons or scores counts not at all.
    Plain arrays (``[3, 1, 2]``) are left to ``read_text``.
    """
    begin = _OBJECT.search(text)
    if begin is None:
        return None
    ranked: list[_Ranked] = []
    for container in _containers(
        text, text.find("[", 0, begin.start()) if _opens_array(text, begin) else begin.start()
    ):
        ranked.extend(_rankings(container, n, read_text, depth))
    best = max(((item.priority, len(item.reading.identifiers)) for item in ranked), default=None)
    if best is None:
        return None
    return [item.reading for item in ranked if (item.priority, len(item.reading.identifiers)) == best][-1]
