"""Which numbers of a run are identifiers, and which are the list's own or stand for something else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from listwise.permutation.scan import Mark, Run, announced

_LIST_NUMBER = re.compile(r"[ \t*]*[.):-][ \t*]*")
_BARE_LIST_NUMBER = re.compile(r"[.)][ \t]+")
_JOINS = re.compile(r"[>,;]|\b(?:and|then)\b", re.IGNORECASE)


class Chain(NamedTuple):
    """Identifiers in a row, as far as they can be told from other numbers."""

    marks: Sequence[Mark]
    identifiers: tuple[int, ...]
    """Those shown, each once, in order."""
    repairs: Counter[str]
    strong: bool
    """Brackets or names say that these are identifiers."""
    linked: bool
    """Joined by ``>``."""
    leads: bool
    """Begins its line."""
    ends_line: bool
    alone: bool
    """On lines of its own, but for words that announce it."""


def chain_of(run: Run, text: str, n: int, *, end: int) -> Chain | None:
    """Read a run; None where it holds no identifier. ``end`` is where the text ends, trailing space aside."""
    gaps = [text[one.end : other.start] for one, other in pairwise(run.marks)]
    strong = any(not mark.bare for mark in run.marks)
    marks, repairs = _bracketed(run, gaps) if strong else _bare(run.marks, gaps)
    if marks and marks[-1].end == end and _may_be_cut(marks[-1], text, n):
        marks = marks[:-1]
        repairs["cut_off"] = 1
    identifiers = tally((mark.value for mark in marks), n, repairs)
    if not identifiers:
        return None
    linked = any(">" in gap for gap in gaps)
    repairs["tied"] = sum("=" in gap and ">" not in gap for gap in gaps) if linked else 0
    leads = run.marks[0].leads
    alone = run.ends_line and (leads or announced(text, marks[0])) and not _is_range(marks, text)
    return Chain(marks, identifiers, repairs, strong, linked, leads, run.ends_line, alone)


def tally(numbers: Iterable[int], n: int, repairs: Counter[str]) -> tuple[int, ...]:
    """The identifiers of passages shown, each once, in order; counts the others in ``repairs``."""
    seen: dict[int, None] = {}
    for number in numbers:
        if not 1 <= number <= n:
            repairs["out_of_range"] += 1
        elif number in seen:
            repairs["repeated"] += 1
        else:
            seen[number] = None
    return tuple(seen)


def _bracketed(run: Run, gaps: Sequence[str]) -> tuple[list[Mark], Counter[str]]:
    """Brackets first: a number without one counts only inside a bracket, or where it is joined to others."""
    kept: list[Mark] = []
    repairs: Counter[str] = Counter()
    inside = False
    for before, mark, after in zip([None, *gaps], run.marks, [*gaps, None], strict=True):
        inside = inside and before is not None and not mark.opens and "]" not in before
        if not mark.bare or inside or _is_joined(before, mark, after, ends_line=run.ends_line):
            kept.append(mark)
            repairs["unbracketed" if mark.named else "lost_bracket"] += not (mark.opens or inside)
        else:
            repairs["list_numbers"] += after is not None and _LIST_NUMBER.fullmatch(after) is not None
        inside = (mark.opens or inside) and not mark.closes
    repairs["lost_bracket"] += _never_closed(run.marks)
    return kept, repairs


def _is_joined(before: str | None, mark: Mark, after: str | None, *, ends_line: bool) -> bool:
    """Whether ``>``, commas or the ends of its line stand on both sides of a number; None is an end of its run."""
    starts = mark.leads or (">" in (after or "") if before is None else _JOINS.search(before) is not None)
    may_end = mark.leads or ">" in (before or "")
    if after is None:
        return starts and (ends_line or may_end)
    return starts and (_JOINS.search(after) is not None or (may_end and "\n" in after))


def _never_closed(marks: Sequence[Mark]) -> int:
    return sum(one.opens and not one.closes and other.opens for one, other in pairwise(marks))


def _bare(marks: Sequence[Mark], gaps: Sequence[str]) -> tuple[list[Mark], Counter[str]]:
    """No brackets at all: all numbers count, but those that number the lines 1, 2, 3."""
    numbers = [mark for mark, gap in zip(marks, gaps, strict=False) if _BARE_LIST_NUMBER.fullmatch(gap)]
    if marks[-1].leads and marks[-1].value == len(numbers) + 1 > 1:
        numbers.append(marks[-1])
    counted = [mark.value for mark in numbers] == list(range(1, len(numbers) + 1))
    if not counted or 2 * len(numbers) > len(marks) + 1:
        numbers = []
    starts = {mark.start for mark in numbers}
    kept = [mark for mark in marks if mark.start not in starts]
    return kept, Counter(unbracketed=len(kept), list_numbers=len(numbers))


def _may_be_cut(mark: Mark, text: str, n: int) -> bool:
    """Whether the last number of a text stands in an open bracket and a longer identifier begins with it."""
    open_bracket = mark.opens or text.rfind("[", 0, mark.start) > text.rfind("]", 0, mark.start)
    return open_bracket and not mark.closes and 1 <= 10 * mark.value <= n


def _is_range(marks: Sequence[Mark], text: str) -> bool:
    return len(marks) == 2 and text[marks[0].end : marks[1].start].strip() == "-"
