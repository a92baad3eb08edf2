"""Whether position moves long passages further than short ones, and those of large windows than of small ones."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from listwise.eval.bias.effects import slopes
from listwise.eval.bias.estimates import Estimate, by_query, difference_of, mean_of
from listwise.eval.bias.evidence import reordered
from listwise.eval.bias.observations import BY_CHANCE, Floats, Observation, Windows, sets_of

Lengths = Mapping[tuple[str, str], float]
"""Words by qid and docid."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """The slope of rank on position (ranks for each position further down), in two halves or two sizes; the means
    over queries, each weighted alike."""

    what: str
    less: Estimate
    more: Estimate
    difference: Estimate
    """More minus less, with a paired randomisation test over queries."""
    queries: int


def by_length(observations: Sequence[Observation], size: int, lengths: Lengths, seed: int) -> Contrast | None:
    """The longer half of each set of passages against the shorter half; None where nothing was shown in several
    orders."""
    windows = Windows.of([each for each in observations if each.order in BY_CHANCE], size)
    known = np.array([lengths.get(each, 0.0) for each in windows.passages])
    queries = len(windows.qids)
    sums = np.zeros((queries, 2, 2))
    for each, members in sets_of(windows):
        longer = _longer_half(known[members])
        place = each.place - each.place.mean(axis=1, keepdims=True)
        rank = each.rank - each.rank.mean(axis=1, keepdims=True)
        moved = np.stack([(place * rank).sum(axis=1), (place * place).sum(axis=1)], axis=-1)
        for half in (0, 1):
            sums[:, half] += by_query(each.query, (moved * (longer == half)[..., None]).sum(axis=1), queries)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = sums[..., 0] / sums[..., 1]
    return _contrast("longer half of the passages against the shorter", found, seed)


def by_size(observations: Sequence[Observation], small: int, large: int, seed: int) -> Contrast | None:
    """Windows of one size against those of a larger one, of the queries that have both; None if there are none."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for size in (small, large):
        windows = Windows.of([each for each in observations if each.order in BY_CHANCE], size)
        sets = sets_of(windows)
        if not sets:
            return None
        evidence = reordered([each for each, _ in sets], size, len(windows.qids), seed)
        for qid, slope in zip(windows.qids, slopes(evidence), strict=True):
            found[qid].append(float(slope))
    pairs = np.array([pair for pair in found.values() if len(pair) == 2]).reshape(-1, 2)
    return _contrast(f"windows of {large} against those of {small}", pairs, seed)


def sizes_of(observations: Sequence[Observation]) -> list[int]:
    """Window sizes, that in which most passages were shown first."""
    shown: Counter[int] = Counter()
    for each in observations:
        shown[each.size] += each.size
    return [size for size, _ in shown.most_common()]


def _longer_half(words: Floats) -> Floats:
    """(G, n) of 0 and 1: which passages are among the longer half of their set."""
    place = np.argsort(np.argsort(words, axis=1, kind="stable"), axis=1)
    found: Floats = (place >= words.shape[1] / 2).astype(float)
    return found


def _contrast(what: str, found: Floats, seed: int) -> Contrast | None:
    """Of (Q, 2) slopes."""
    found = found[np.isfinite(found).all(axis=1)]
    if not len(found):
        return None
    less, more = found.T.tolist()
    return Contrast(
        what,
        mean_of(less, seed),
        mean_of(more, seed),
        difference_of((found[:, 1] - found[:, 0]).tolist(), seed),
        len(found),
    )
