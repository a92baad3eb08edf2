"""Reads a ranking out of JSON and what resembles it: fenced, in tool arguments, in prose, cut off, badly quoted.

Not a JSON parser: a strict one rejects what models write, and a recursive one falls over deep nesting. One pass
over the tokens keeps a stack of open containers; a container says what it ranks when it closes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from listwise.permutation.chains import tally
from listwise.permutation.scan import NAMES, NOT_SHOWN
from listwise.permutation.text import Reading, read_text

_BEGIN = re.compile(r"(?:\[\s{0,99})?\{\s{0,99}[\"']?[\w\[][\w \[\]-]{0,60}[\"']?\s{0,9}:")
_TOKEN = re.compile(
    r"""
      (?P<string> "(?P<double>(?:[^"\\]++|\\.)*+)"? | '(?P<single>[^'\n]{0,200})' )
    | (?P<number> -?[0-9]++(?:\.[0-9]++)? )
    | (?P<mark> [][{}:] )
    | (?P<word> [^\W\d]\w*+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSES = {"[": "]", "{": "}"}
_DEEPEST = 64
"""Deeper containers are skipped: nobody ranks there."""
_TEXTS_WITHIN_TEXTS = 2
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": " ", "f": " "}

_IDENTIFIER = re.compile(
    rf"[\s\[(#]{{0,4}}(?:(?:{NAMES}|[dp])[\s:#_-]{{0,3}})?(-?[0-9]{{1,9}})[\s\])]{{0,4}}", re.I
)
_LEADING_IDENTIFIER = re.compile(r"\s{0,4}\[\s{0,4}(-?[0-9]{1,9})\s{0,4}\]")
_PLACE = re.compile(r"(?:rank|place|position)?[\s_#]{0,2}([0-9]{1,9})", re.I)
_ID_KEY = re.compile(rf"{NAMES}(?:[_ ]?(?:ids?|index|number|identifier))?|index|number|num|pid", re.I)
_SCORE_KEY = re.compile(r"(?:relevance|relevancy)?[_ ]?(?:score|rating)|relevance|relevancy", re.I)
_RANK_KEY = re.compile(r"rank|position|place", re.I)
_ORDER_KEY = re.compile(
    r"order|rank|permut|sort|result|answer|output|top|best|final|(?<!ir)(?<!not_)relevant", re.I
)
_OTHER_KEY = re.compile(
    r"reason|expla|think|thought|rational|analy|justif|comment|evid|scor|rating|confid|discard|exclu|irrelevant"
    r"|\A(?:query|text|title|content|n|num_passages)\Z",
    re.I,
)

_Scalar = str | float | None


class _Entry(NamedTuple):
    """One passage as an object describes it."""

    identifier: int
    score: float | None
    rank: float | None


@dataclass(slots=True)
class _Container:
    """An array or object that has been opened."""

    closes: str
    key: str | None
    """Where it stands: a key of the object around it, or of the one around the array around it."""
    values: list[_Scalar] = field(default_factory=list)
    """Of an array: its own scalars and those of arrays within it."""
    pairs: list[tuple[str, _Scalar]] = field(default_factory=list)
    """Of an object: its keys with scalar values."""
    entries: list[_Entry] = field(default_factory=list)
    nests: bool = False
    """Arrays stand within it. Its values are then not passed on again, which keeps deep nesting linear."""
    said: _Scalar = None
    at_value: str | None = None
    """Of an object: the key whose value comes next."""
    cut_off: bool = False
    """The text ends within its last number."""


class _Ranked(NamedTuple):
    """A value that may be the ranking; ``priority`` tells how plainly its key says so."""

    priority: int
    reading: Reading


def read_any(text: str, n: int, *, depth: int = 0) -> Reading | None:
    """The ranking that an object or an array of objects in ``text`` states, else what the text around it states.

    Read are arrays of identifiers, of strings that hold one and of objects with an id; strings with a ranking in
    them or with JSON, as tool arguments have; objects that map places to identifiers or identifiers to scores. A
    key that speaks of an order counts more than another one, a key that speaks of reasons or scores not at all.
    Arrays without an object (``[3, 1, 2]``) are text.
    """
    begin = _BEGIN.search(text)
    if begin is None or depth > _TEXTS_WITHIN_TEXTS:
        return read_text(text, n)
    ranked = [
        item
        for container in _containers(text, begin.start(), n)
        for item in _rankings(container, n, depth)
        if item.priority >= 0 and item.reading.identifiers
    ]
    if ranked:
        return max(reversed(ranked), key=_weight).reading
    return read_text(f"{text[: begin.start()]}\n{text[text.rfind('}') + 1 or len(text) :]}", n)


def _weight(item: _Ranked) -> tuple[int, int]:
    return item.priority, len(item.reading.identifiers)


def _containers(text: str, begin: int, n: int) -> Iterator[_Container]:
    """Every container that closes, innermost first; what is cut off closes at the end of the text."""
    stack: list[_Container] = []
    skipped = 0
    end = len(text.rstrip())
    for token in _TOKEN.finditer(text, begin):
        kind, said = token.lastgroup, token.group()
        if kind != "mark":
            if stack and not skipped:
                cut_off = token.end() == end and _may_grow(said, n)
                _take(stack[-1], None if cut_off else _scalar(token), cut_off=cut_off)
        elif said in _CLOSES:
            if len(stack) == _DEEPEST:
                skipped += 1
            else:
                stack.append(_Container(_CLOSES[said], _key_within(stack)))
        elif skipped:
            skipped -= said != ":"
        elif said == ":":
            if stack and isinstance(stack[-1].said, str):
                stack[-1].at_value, stack[-1].said = stack[-1].said, None
        elif any(container.closes == said for container in stack):
            yield from _closed(stack, said)
    yield from _closed(stack, None)


def _closed(stack: list[_Container], mark: str | None) -> Iterator[_Container]:
    """Close down to the container that ``mark`` closes, or all."""
    while stack:
        container = stack.pop()
        yield _passed_on(container, stack)
        if container.closes == mark:
            break


def _may_grow(digits: str, n: int) -> bool:
    """Whether digits at the very end may have lost others that would still name a passage."""
    return digits.isdigit() and len(digits) < 9 and 1 <= 10 * int(digits) <= n


def _scalar(token: re.Match[str]) -> _Scalar:
    kind, said = token.lastgroup, token.group()
    if kind == "number":
        return float(said) if len(said) < 19 else float(NOT_SHOWN)
    if kind == "word":
        return None if said in ("null", "None", "true", "false", "True", "False") else said
    return _ESCAPE.sub(_unescaped, token["double"] if token["single"] is None else token["single"])


def _unescaped(escape: re.Match[str]) -> str:
    code, char = escape.groups()
    return chr(int(code, 16)) if code else _CONTROL.get(char, char)


def _take(container: _Container, scalar: _Scalar, *, cut_off: bool) -> None:
    container.cut_off = cut_off
    if container.closes == "]":
        container.values.append(scalar)
    elif container.at_value is None:
        container.said = scalar if not isinstance(scalar, float) else f"{scalar:.0f}"
    else:
        container.pairs.append((container.at_value, scalar))
        container.at_value = None


def _key_within(stack: list[_Container]) -> str | None:
    """The key under which a container opens."""
    if not stack:
        return None
    outer = stack[-1]
    if outer.closes == "]":
        return outer.key
    key, outer.at_value = outer.at_value, None
    return key


def _passed_on(container: _Container, stack: list[_Container]) -> _Container:
    """Tell the container around it what it needs to know of this one."""
    if stack and container.closes == "}":
        if (entry := _entry(container)) is not None:
            stack[-1].entries.append(entry)
    elif stack:
        if stack[-1].closes == "]" and not container.nests:
            stack[-1].values.extend(container.values)
        stack[-1].nests = True
    return container


def _entry(container: _Container) -> _Entry | None:
    identifier: int | None = None
    score: float | None = None
    rank: float | None = None
    for key, value in container.pairs:
        if identifier is None and _ID_KEY.fullmatch(key):
            identifier = _identifier(value)
        elif isinstance(value, float):
            score = value if _SCORE_KEY.fullmatch(key) else score
            rank = value if _RANK_KEY.fullmatch(key) else rank
    return None if identifier is None else _Entry(identifier, score, rank)


def _identifier(value: _Scalar) -> int | None:
    """The identifier that a scalar is or holds; None for something else."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    found = value and (_IDENTIFIER.fullmatch(value) or _LEADING_IDENTIFIER.match(value))
    return int(found[1]) if found else None


def _rankings(container: _Container, n: int, depth: int) -> Iterator[_Ranked]:
    """All that this container ranks, however implausible."""
    priority = _priority(container.key)
    if container.entries:
        yield _Ranked(priority, _of_entries(container.entries, n))
    if container.closes == "]":
        numbers = [number for value in container.values if (number := _identifier(value)) is not None]
        yield _Ranked(priority, _reading(numbers, n, cut_off=int(container.cut_off)))
        return
    if container.pairs:
        yield _Ranked(priority, _of_map(container.pairs, n))
    if (entry := _entry(container)) is not None:
        yield _Ranked(0, _reading([entry.identifier], n))
    for key, value in container.pairs:
        yield from _in_pair(key, value, n, depth)


def _in_pair(key: str, value: _Scalar, n: int, depth: int) -> Iterator[_Ranked]:
    priority = _priority(key)
    if isinstance(value, str) and priority >= 0:
        reading = read_any(value, n, depth=depth + 1)
        if reading is not None and (reading.sure or priority > 1):
            yield _Ranked(priority, reading)
    elif isinstance(value, float) and priority > 1:
        yield _Ranked(0, _reading([_identifier(value) or NOT_SHOWN], n))


def _priority(key: str | None) -> int:
    if key is None:
        return 1
    if _OTHER_KEY.search(key):
        return -1
    return 2 if _ORDER_KEY.search(key) else 1


def _reading(numbers: list[int], n: int, **repairs: int) -> Reading:
    counted = Counter(repairs)
    return Reading(tally(numbers, n, counted), counted, "json")


def _of_entries(entries: list[_Entry], n: int) -> Reading:
    """By rank where all have one, by score where they are listed as shown, else as written."""
    written = [entry.identifier for entry in entries]
    ranks = [entry.rank for entry in entries if entry.rank is not None]
    scores = [entry.score for entry in entries if entry.score is not None]
    if len(set(ranks)) == len(entries):
        numbers = [number for _, number in sorted(zip(ranks, written, strict=True))]
    elif len(scores) == len(entries) and written == sorted(written):
        numbers = [number for _, number in sorted(zip(scores, written, strict=True), key=lambda pair: -pair[0])]
    else:
        numbers = written
    return _reading(numbers, n, rated=int(numbers != written))


def _of_map(pairs: list[tuple[str, _Scalar]], n: int) -> Reading:
    """``{"1": 4, "2": 14}`` gives each place a passage, ``{"4": 0.9, "[14]": 0.7}`` each passage a score."""
    places = [int(place[1]) for key, _ in pairs if (place := _PLACE.fullmatch(key))]
    shown = [number for _, value in pairs if (number := _identifier(value)) is not None and 1 <= number <= n]
    if places == list(range(1, len(pairs) + 1)) and len(set(shown)) == len(pairs):
        return _reading(shown, n)
    scored = [
        (value, number)
        for key, value in pairs
        if isinstance(value, float) and (number := _identifier(key)) is not None
    ]
    if len(scored) < len(pairs):
        return _reading([], n)
    return _reading([number for _, number in sorted(scored, key=lambda pair: -pair[0])], n, rated=1)
