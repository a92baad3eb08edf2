"""How far answers to several orders of the same passages agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from listwise.eval.bias.estimates import Estimate, by_query, difference_of, mean_of
from listwise.eval.bias.observations import BY_CHANCE, Floats, Ints, Observation, Sets, Windows, sets_of

PERSISTENCE = 0.9
"""Rank-biased overlap's ``p``: how likely a reader goes on from one rank to the next. At .9, the first ten ranks
have 86 % of the weight."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over all pairs of orders of a set, the mean of its query's sets, the mean over queries."""

    size: int
    sets: int
    queries: int
    tau: Estimate
    """Kendall's tau: 1 the same order, 0 by chance, -1 reversed; p is of there being no agreement, by query."""
    overlap: Estimate
    """Rank-biased overlap: 1 the same order; p is of there being no more than by chance."""
    overlap_by_chance: float
    """What two random orders of so many passages overlap by."""
    persistence: float = PERSISTENCE


def agreement_of(
    observations: Sequence[Observation], size: int, seed: int, persistence: float = PERSISTENCE
) -> Agreement | None:
    """Of answers to orders by chance; None where no set was shown in several."""
    windows = Windows.of([each for each in observations if each.order in BY_CHANCE], size)
    found = [each for each, _ in sets_of(windows)]
    if not found or size < 2:
        return None
    taus = _by_query(found, [_mean_of_pairs(kendall_tau(each.rank)) for each in found], len(windows.qids))
    pairs = [_mean_of_pairs(rank_biased_overlap(each.rank, persistence)) for each in found]
    overlaps = _by_query(found, pairs, len(windows.qids))
    by_chance = overlap_by_chance(size, persistence)
    return Agreement(
        size=size,
        sets=sum(len(each.query) for each in found),
        queries=len(taus),
        tau=difference_of(taus, seed),
        overlap=replace(mean_of(overlaps, seed), p=difference_of([each - by_chance for each in overlaps], seed).p),
        overlap_by_chance=by_chance,
        persistence=persistence,
    )


def kendall_tau(rank: Ints) -> Floats:
    """Between all pairs of rankings without ties (Kendall 1938): concordant minus discordant pairs over all pairs.

    Args:
        rank: (..., m, n), the rank of each of n passages in each of m rankings.

    Returns:
        (..., m, m)
    """
    size = rank.shape[-1]
    left, right = np.triu_indices(size, 1)
    above = np.sign(rank[..., left] - rank[..., right]).astype(np.float32)
    found: Floats = (above @ np.swapaxes(above, -1, -2)).astype(float) / len(left)
    return found


def rank_biased_overlap(rank: Ints, persistence: float = PERSISTENCE) -> Floats:
    """Between all pairs of rankings of the same n passages (Webber, Moffat and Zobel 2010, ACM TOIS 28(4)).

    The extrapolated form for finite lists, their equation 32: with A(d) the share of the first d ranks that two
    lists have in common, ``(1 - p)/p * sum over d = 1..n of A(d) p^d, + A(n) p^n``; as they hold the same passages,
    A(n) = 1.

    Args:
        rank: (..., m, n), from 0.
        persistence: p, between 0 and 1.

    Returns:
        (..., m, m)
    """
    size = rank.shape[-1]
    weight = _weight_from(size, persistence)
    orders = rank.shape[-2]
    found = np.empty((*rank.shape[:-1], orders))
    for other in range(orders):  # a passage is common from the deeper of its two ranks on
        found[..., other] = weight[np.maximum(rank, rank[..., other, None, :])].sum(axis=-1)
    found += persistence**size
    return found


def overlap_by_chance(size: int, persistence: float = PERSISTENCE) -> float:
    """The expected rank-biased overlap of two random orders, of which A(d) = d/n."""
    depth = np.arange(1, size + 1)
    return float((1 - persistence) / persistence * (depth / size * persistence**depth).sum() + persistence**size)


def _weight_from(size: int, persistence: float) -> Floats:
    """(n,): what a passage adds that is common from a rank (from 0) on: the sum of the later depths' p^d / d."""
    depth = np.arange(1, size + 1)
    each = (1 - persistence) / persistence * persistence**depth / depth
    found: Floats = each[::-1].cumsum()[::-1]
    return found


def _mean_of_pairs(square: Floats) -> Floats:
    """(..., m, m) to (...): the mean off the diagonal."""
    orders = square.shape[-1]
    both = square.sum(axis=(-1, -2)) - np.trace(square, axis1=-2, axis2=-1)
    found: Floats = both / (orders * (orders - 1))
    return found


def _by_query(sets: Sequence[Sets], values: Sequence[Floats], queries: int) -> list[float]:
    """The mean over each query's sets, of queries that have any."""
    query, value = np.concatenate([each.query for each in sets]), np.concatenate(values)
    counts = by_query(query, np.ones(len(query)), queries)
    sums = by_query(query, value, queries)
    found: list[float] = (sums[counts > 0] / counts[counts > 0]).tolist()
    return found
