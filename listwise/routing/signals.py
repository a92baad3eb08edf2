"""What can be read off a query and its scores before any money is spent: pure, each a number with a meaning.

A score is taken in standard deviations of its query's scores, so that models with different scales compare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import erfc, exp, fsum, isfinite, log, log2, sqrt

from listwise.fusion import moderate

BOUNDARY = 10
"""The rank whose surroundings matter: measures look at the top 10."""
BAND = 5
"""Ranks on each side of the boundary that are compared."""
NEAR = 0.25
"""Standard deviations from the score of rank 10 within which a candidate might as well stand on its other side."""
NOISE = 0.5
"""Standard deviation of the error that a score is taken to have, in those of the query's scores."""
CHARS_A_TOKEN = 4

Signals = Mapping[str, float]
"""Numbers by the names of `MEANINGS`; what cannot be said of a query is left out."""

MEANINGS: Mapping[str, str] = {
    "gap_1": "how far the best score is above the second",
    "gap_5": "how far the 5th score is above the 6th",
    "gap_10": "how far the 10th score is above the 11th",
    "margin": "how far ranks 6 to 10 are above ranks 11 to 15, in the mean",
    "near": "how many candidates are within a quarter of a standard deviation of rank 10",
    "swaps": "how many candidates would change sides at rank 10 if scores erred by half a standard deviation",
    "entropy": "how evenly the scores spread over the candidates: 0 for one that stands out, 1 for no difference",
    "top_spread": "how much the scores of the top 10 differ among one another (in the way of NQC)",
    "top_height": "how far the top 10 are above the mean of all, by the square root of the query's words (WIG)",
    "skew": "how long the tail of good scores is",
    "likely": "how many relevant candidates the calibrated scores promise",
    "likely_top": "how probable it is that a candidate of the top 10 is relevant, in the mean",
    "likely_first": "how probable it is that the best candidate is relevant",
    "headroom": "how much nDCG@10 a perfect order would gain, if the calibrated scores are right",
    "first_stage": "how much the top of the local order and of the first stage's have in common",
    "second_scorer": "how much the top of the local order and of the scorer's before it have in common",
    "words": "how many words the query has",
    "rarity": "how rare the query's words are among the candidates, in the mean (inverse document frequency)",
    "covered": "which share of the query's words a passage of the top 10 has, in the mean",
    "tokens": "about how many tokens the top 20 have",
    "candidates": "how many candidates there are",
}
"""What each signal says, in plain words. NQC: Shtok et al., TOIS 2012; WIG: Zhou and Croft, SIGIR 2007."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What signals are read from."""

    query: str
    passages: Sequence[str]
    """In the local order, best first."""
    scores: Sequence[float]
    """By which they are ordered: at most as many, best first; the first stage's where nothing was scored."""
    probabilities: Sequence[float] = ()
    """Of relevance, likewise; empty where the scorer is not calibrated. One that is none, and none is believed."""
    first_stage: Sequence[int] = ()
    """The rank that the first stage gave each of ``passages``, from 0; empty where its order is the local one."""
    second: Sequence[int] = ()
    """Likewise, of the scorer before the last one."""


def signals_of(seen: Seen) -> Signals:
    """All signals that can be told; empty where there are no scores, or some that are no numbers."""
    ranked = _ranked(seen.scores)
    if ranked is None:
        return {}
    told = {**_gaps(ranked), **_spreads(ranked, _words(seen.query)), "margin": _margin(ranked, BOUNDARY, BAND)}
    if seen.probabilities and all(0 <= each <= 1 for each in seen.probabilities):
        told |= _promises(seen.probabilities)
    for name, places in (("first_stage", seen.first_stage), ("second_scorer", seen.second)):
        if places:
            told[name] = overlap(places)
    told |= _text(seen)
    return told


def margin(scores: Sequence[float], boundary: int = BOUNDARY, band: int = BAND) -> float | None:
    """How clearly the top ``boundary`` stands apart from what comes after it.

    The mean score of the ``band`` ranks above the boundary less that of the ``band`` ranks below it, in standard
    deviations of the query's scores, so that models with different scales compare. 0 means no difference at all.
    With fewer than twice ``boundary`` candidates the boundary moves to the middle of the list.

    Args:
        scores: of the candidates, in any order; higher is better.

    Returns:
        A number of standard deviations, at least 0; None for fewer than two scores, or one that is not finite.
    """
    ranked = _ranked(scores)
    return None if ranked is None else _margin(ranked, boundary, band)


def overlap(places: Sequence[int], top: int = BOUNDARY) -> float:
    """How much the tops of two orders have in common: the mean, over the depths 1 to ``top``, of the share of one
    order's first that are among the other's (average overlap, Fagin et al., 2003).

    Args:
        places: the rank in the other order, from 0, of each candidate of the one order, of which there is one at
            least.
    """
    depths = range(1, min(top, len(places)) + 1)
    return _mean([sum(place < depth for place in places[:depth]) / depth for depth in depths])


def _ranked(scores: Sequence[float]) -> list[float] | None:
    """In standard deviations from their mean, best first; None where that cannot be."""
    if len(scores) < 2 or not all(map(isfinite, scores)):
        return None
    ranked = sorted(moderate(scores), reverse=True)
    mean, spread = _mean(ranked), _spread(ranked)
    return [(score - mean) / spread if spread else 0.0 for score in ranked]


def _margin(ranked: Sequence[float], boundary: int, band: int) -> float:
    edge = min(boundary, len(ranked) // 2)
    return _mean(ranked[max(0, edge - band) : edge]) - _mean(ranked[edge : edge + band])


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def _spread(values: Sequence[float]) -> float:
    """Standard deviation; 0, not the trace of a rounding error, where all are the same."""
    if values[0] == values[-1]:
        return 0.0
    mean = _mean(values)
    return sqrt(fsum((value - mean) ** 2 for value in values) / len(values))


def _gaps(ranked: Sequence[float]) -> dict[str, float]:
    """Of standardized scores, best first."""
    gaps = {f"gap_{at}": ranked[at - 1] - ranked[at] for at in (1, 5, 10) if len(ranked) > at}
    if len(ranked) <= BOUNDARY:
        return gaps
    edge, above, below = ranked[BOUNDARY - 1], ranked[:BOUNDARY], ranked[BOUNDARY:]
    gaps["near"] = float(sum(abs(score - edge) <= NEAR for score in ranked) - 1)
    middle = (above[-1] + below[0]) / 2
    gaps["swaps"] = sum(erfc(abs(score - middle) / NOISE / 2**0.5) / 2 for score in ranked)
    return gaps


def _spreads(ranked: Sequence[float], words: Sequence[str]) -> dict[str, float]:
    weights = [exp(score - ranked[0]) for score in ranked]
    total = sum(weights)
    top = ranked[:BOUNDARY]
    return {
        "entropy": -sum(weight / total * log(weight / total) for weight in weights if weight) / log(len(ranked)),
        "top_spread": _spread(top),
        "top_height": _mean(top) / max(1, len(words)) ** 0.5,
        "skew": _mean([score**3 for score in ranked]),
        "words": float(len(words)),
        "candidates": float(len(ranked)),
    }


def _promises(probabilities: Sequence[float]) -> dict[str, float]:
    """What calibrated scores say: the expected gains of this order, and of one that puts the relevant first."""
    top = probabilities[:BOUNDARY]
    likely = sum(probabilities)
    here = sum(chance * worth for chance, worth in zip(top, _WORTHS, strict=False))
    best = sum(worth * min(1.0, max(0.0, likely - rank)) for rank, worth in enumerate(_WORTHS[: len(top)]))
    return {
        "likely": likely,
        "likely_top": _mean(top),
        "likely_first": top[0],
        "headroom": max(0.0, 1 - here / best) if best > 0 else 0.0,
    }


def tokens_of(passages: Sequence[str]) -> float:
    """About how many tokens passages have together."""
    return sum(map(len, passages)) / CHARS_A_TOKEN


def _text(seen: Seen) -> dict[str, float]:
    """A word is found wherever its letters are, also within a longer one, as a plural has it."""
    words = list(dict.fromkeys(_words(seen.query)))[:_LOOKED_FOR]
    read = [text[:_READ].casefold() for text in seen.passages[:_LOOKED_AT]]
    told = {"tokens": tokens_of(seen.passages[:20])}
    if not words or not read:
        return told
    found = {word: [word in text for text in read] for word in words}
    told["rarity"] = _mean([log((len(read) + 1) / (sum(where) + 1)) for where in found.values()])
    top = min(BOUNDARY, len(read))
    told["covered"] = _mean([sum(where[:top]) / top for where in found.values()])
    return told


def _words(text: str) -> list[str]:
    return _WORD(text.casefold())


_WORTHS = tuple(1 / log2(rank + 2) for rank in range(BOUNDARY))
_WORD: Callable[[str], list[str]] = re.compile(r"\w+").findall
_READ = 1000
"""Characters of a passage that are looked through for the query's words."""
_LOOKED_AT = 50
"""Passages that are."""
_LOOKED_FOR = 50
"""Words that are looked for."""
