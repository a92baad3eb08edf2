"""Reads a ranking out of text: a chain, a list, or mentions in prose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from listwise.permutation.chains import Chain, chain_of, tally
from listwise.permutation.outcome import Form
from listwise.permutation.scan import Mark, Scanned, announced, scan

_RATING = re.compile(
    r"\b(?:score|relevance|relevancy|rating|rated)(?:\s(?:score|rating|level|is|of|as)){0,2}[\s:=(*-]{0,4}"
    r"(?P<rating>[0-9]++(?:\.[0-9]++)?)",
    re.IGNORECASE,
)
_RATED_AT_ONCE = re.compile(r"\s{0,2}[:=(|-][\s*]{0,3}(?P<rating>[0-9]++(?:\.[0-9]++)?)(?!\w)")
_MOST_WORDS_AROUND_A_NUMBER = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """A ranking that was found, and how sure its form makes us."""

    identifiers: tuple[int, ...]
    repairs: Counter[str]
    form: Form
    sure: bool = True
    """False for identifiers in prose, which a refusal mentions too."""


def read_text(text: str, n: int) -> Reading | None:
    """The ranking of ``n`` passages that the text states; None if it states none.

    Of what brackets and names mark, the most compact form wins that holds at least half of the identifiers named:
    chain, list, mentions. Numbers without marks come next.
    """
    scanned = scan(text)
    reading = _read_numbers(scanned, text, n)
    if reading is None:
        return None
    reading.repairs["list_numbers"] += scanned.ordinals
    reading.repairs["prose"] = min(scanned.words, 1)
    return reading


def join(readings: Sequence[Reading], n: int) -> Reading:
    """What several rankings of one answer say together.

    The last sure one that is at least half as long as the longest is meant. Those beside it that share no
    identifier with it are further groups of the same ranking ("now the remaining passages"), if together they name
    more than half of the passages.

    Args:
        readings: at least one, in the order written.
        n: the number of passages.
    """
    longest = max(len(reading.identifiers) for reading in readings)
    long = [i for i, reading in enumerate(readings) if 2 * len(reading.identifiers) >= longest]
    meant = max(long, key=lambda i: (readings[i].sure, i))
    group = _with_neighbours(readings, meant)
    identifiers = tuple(identifier for reading in group for identifier in reading.identifiers)
    if 2 * len(identifiers) <= n:
        group, identifiers = [readings[meant]], readings[meant].identifiers
    repairs = sum((reading.repairs for reading in group), Counter[str]())
    repairs["several"] += sum(reading.sure for i, reading in enumerate(readings) if i != meant)
    return Reading(identifiers, repairs, readings[meant].form, readings[meant].sure)


def _with_neighbours(readings: Sequence[Reading], meant: int) -> list[Reading]:
    """The reading meant and the sure ones around it; before it, up to the first that names a passage again."""
    before: list[Reading] = []
    named = set(readings[meant].identifiers)
    for reading in reversed(readings[:meant]):
        if reading.sure and not named.isdisjoint(reading.identifiers):
            break
        if reading.sure:
            named.update(reading.identifiers)
            before.append(reading)
    after: list[Reading] = []
    for reading in readings[meant + 1 :]:
        if reading.sure and named.isdisjoint(reading.identifiers):
            named.update(reading.identifiers)
            after.append(reading)
    return [*reversed(before), readings[meant], *after]


def _read_numbers(scanned: Scanned, text: str, n: int) -> Reading | None:
    end = len(text.rstrip())
    chains = [chain for run in scanned.runs if (chain := chain_of(run, text, n, end=end)) is not None]
    strong = [chain for chain in chains if chain.strong]
    bare = [chain for chain in chains if not chain.strong and len(chain.identifiers) > 1]
    return (
        _read_marked(strong, [chain for chain in bare if chain.linked], text, n)
        or _read_chains([chain for chain in bare if _believable(chain)], text, n)
        or _read_bare_list(chains, n)
        or _read_lone(chains, scanned, text)
    )


def _read_marked(strong: Sequence[Chain], bare: Sequence[Chain], text: str, n: int) -> Reading | None:
    marks = [mark for chain in strong for mark in chain.marks]
    named = len(tally((mark.value for mark in marks), n, Counter()))
    ranked = [chain for chain in strong if len(chain.identifiers) > 1]
    longest = max((len(chain.identifiers) for chain in ranked), default=1)
    chains = sorted(
        [*ranked, *(chain for chain in bare if len(chain.identifiers) > longest)], key=lambda c: c.marks[0].start
    )
    if chains:
        last = chains[-1]
        if any(2 * len(chain.identifiers) >= named for chain in chains):
            return _read_chains(chains, text, n)
        if last.linked and last.alone and last.marks[-1].start >= marks[-1].start:
            return _read_chains([last], text, n)
    leading = [mark for mark in marks if mark.leads]
    if 2 * len({mark.value for mark in leading if 1 <= mark.value <= n}) >= max(named, 3):
        return _read_list(leading, text, n, "list")
    return _read_list(marks, text, n, "mentions") if named > 1 else None


def _read_chains(chains: Sequence[Chain], text: str, n: int) -> Reading | None:
    return join([_chain_reading(chain, text) for chain in chains], n) if chains else None


def _chain_reading(chain: Chain, text: str) -> Reading:
    repairs = Counter(chain.repairs)
    identifiers = chain.identifiers
    if not chain.linked:
        identifiers = _by_rating(chain.marks, identifiers, text, repairs)
    return Reading(identifiers, repairs, "chain", sure=chain.linked or chain.alone)


def _read_list(marks: Sequence[Mark], text: str, n: int, form: Form) -> Reading:
    repairs: Counter[str] = Counter(lost_bracket=sum(mark.opens != mark.closes for mark in marks))
    identifiers = tally((mark.value for mark in marks), n, repairs)
    return Reading(_by_rating(marks, identifiers, text, repairs), repairs, form, sure=form == "list")


def _believable(chain: Chain) -> bool:
    """Whether bare numbers are a ranking: joined by ``>`` or on lines of their own, and mostly shown."""
    return (chain.linked or chain.alone) and 2 * chain.repairs["out_of_range"] <= len(chain.marks)


def _read_bare_list(chains: Iterable[Chain], n: int) -> Reading | None:
    """Lines that begin with a number: identifiers unless they merely count, and only if they name half of all."""
    marks = [chain.marks[0] for chain in chains if not chain.strong and chain.leads]
    repairs: Counter[str] = Counter(unbracketed=len(marks))
    identifiers = tally((mark.value for mark in marks), n, repairs)
    counts = identifiers == tuple(range(1, len(identifiers) + 1))
    few = len(identifiers) < 2 or 2 * len(identifiers) < n
    return None if counts or few else Reading(identifiers, repairs, "list")


def _read_lone(chains: Sequence[Chain], scanned: Scanned, text: str) -> Reading | None:
    """One identifier: it must stand alone, at the end of its line, or be the only number of a short answer."""
    lone = [chain for chain in chains if chain.ends_line and (chain.strong or _answers(chain, scanned, text))]
    if not lone or any(chain.identifiers != lone[0].identifiers for chain in lone) or len(lone[0].identifiers) > 1:
        return None
    return Reading(lone[0].identifiers, Counter(lone[0].repairs), "chain", sure=scanned.words == 0)


def _answers(chain: Chain, scanned: Scanned, text: str) -> bool:
    only = len(scanned.runs) == 1 and len(scanned.runs[0].marks) == 1
    short = scanned.words <= _MOST_WORDS_AROUND_A_NUMBER and announced(text, chain.marks[0])
    return only and (scanned.words == 0 or short)


def _by_rating(
    marks: Sequence[Mark], identifiers: tuple[int, ...], text: str, repairs: Counter[str]
) -> tuple[int, ...]:
    """Passages listed in the order shown, each with a rating, are ordered by their ratings, higher first."""
    ascending = all(one < other for one, other in pairwise(identifiers))
    if not ascending or len(identifiers) < 2 or repairs["repeated"] or repairs["out_of_range"]:
        return identifiers
    ends = [*(mark.start for mark in marks[1:]), len(text)]
    ratings = {mark.value: _rating(text[mark.end : end]) for mark, end in zip(marks, ends, strict=True)}
    known = [rating for rating in ratings.values() if rating is not None]
    if len(known) < max(2, len(identifiers) - 1):
        return identifiers
    repairs["rated"] = 1
    lowest = min(known) - 1
    return tuple(sorted(identifiers, key=lambda i: -lowest if (own := ratings[i]) is None else -own))


def _rating(entry: str) -> float | None:
    spelt_out = list(_RATING.finditer(entry))
    found = spelt_out[-1] if spelt_out else _RATED_AT_ONCE.match(entry)
    return None if found is None else float(found["rating"])
