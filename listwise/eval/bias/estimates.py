"""Figures with an interval and a test, over queries: windows of one query are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from listwise.eval.bias.observations import Floats
from listwise.eval.statistics import CONFIDENCE, bootstrap

RESAMPLES = 2000
"""Of the queries, for intervals."""
DRAWS = 1999
"""By chance, for tests: the least p-value is 1/2000."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval, and the p-value (two-sided) of its being what no bias would make it."""

    value: float
    low: float
    high: float
    p: float | None = None


def weights(queries: int, seed: int) -> Floats:
    """(B, Q): how often each query is drawn, in each resample (Efron 1979)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(queries, np.full(queries, 1 / queries), RESAMPLES).astype(float)


def signs(queries: int, seed: int) -> Floats:
    """(D, Q): a sign for each query, in each draw."""
    return np.random.default_rng(seed).choice([-1.0, 1.0], (DRAWS, queries))


def p_value(found: float, by_chance: Floats) -> float:
    """How often chance alone does as much, the case itself included (Davison and Hinkley 1997, 4.2).

    Args:
        found: the larger, the further from chance.
        by_chance: the same of each draw.
    """
    return float((1 + (by_chance >= found - 1e-9 * max(1.0, abs(found))).sum()) / (1 + len(by_chance)))


def interval(value: float, resampled: Floats, p: float | None = None) -> Estimate:
    """A figure with the percentile interval of its resamples; those that are not defined are left out."""
    defined = resampled[np.isfinite(resampled)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail]) if len(defined) else (value, value)
    return Estimate(float(value), float(low), float(high), p)


def mean_of(values: Sequence[float], seed: int) -> Estimate:
    """The mean of a value a query."""
    found = bootstrap(list(values), seed=seed)
    return Estimate(found.mean, found.low, found.high)


def difference_of(values: Sequence[float], seed: int) -> Estimate:
    """The mean of a difference a query, and whether it is none: a paired randomisation test (Smucker et al. 2007,
    CIKM)."""
    found = mean_of(values, seed)
    by_chance = np.abs(signs(len(values), seed) @ np.asarray(values, dtype=float)) / len(values)
    return Estimate(found.value, found.low, found.high, p_value(abs(found.value), by_chance))


def ratios(numerator: Floats, denominator: Floats, seed: int) -> list[Estimate]:
    """Sums over sums, column by column: (Q, k) over (Q,) or (Q, k)."""
    if denominator.ndim == 1:
        denominator = np.broadcast_to(denominator[:, None], numerator.shape)
    drawn = weights(len(numerator), seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = (drawn @ numerator) / (drawn @ denominator)
        values = numerator.sum(axis=0) / denominator.sum(axis=0)
    return [interval(float(values[at]), resampled[:, at]) for at in range(len(values))]


def by_query(
    query: Sequence[int] | np.ndarray[tuple[int, ...], np.dtype[np.int64]], values: Floats, queries: int
) -> Floats:
    """(Q, k): sums of the lines of (W, k) that belong to each query."""
    sums = np.zeros((queries, *values.shape[1:]))
    np.add.at(sums, query, values)
    return sums
