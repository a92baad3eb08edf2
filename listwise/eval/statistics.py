"""What may be concluded from values a query: bootstrap intervals, paired tests, correction over many runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

RESAMPLES = 10_000
DRAWS_AT_ONCE = 1_000_000
CONFIDENCE = 0.95

Test = Literal["randomisation", "t"]
"""Paired and two-sided: the randomisation test (Fisher 1935), which assumes nothing about how differences are
distributed, or Student's t, which takes their mean to be normal. Both serve (Smucker et al. 2007)."""
TESTS: tuple[Test, ...] = ("randomisation", "t")


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    def times(self, factor: float) -> Interval:
        """In another unit; ``factor`` is positive."""
        return Interval(self.mean * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run against a baseline, query by query."""

    difference: Interval
    """Of the means, run minus baseline."""
    p_value: float
    """How often chance alone would do as much, by the test asked for; of this one comparison (see `holm`)."""
    wins: int
    losses: int


def bootstrap(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Percentile bootstrap of a mean (Efron 1979), over queries; the same seed gives the same interval."""
    import numpy as np

    sample = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [sample[rng.integers(0, len(sample), (rows, len(sample)))].mean(axis=1) for rows in _batches(len(sample))]
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(sample.mean()), float(low), float(high))


def paired(differences: Sequence[float], *, test: Test = "randomisation", seed: int = 0) -> Comparison:
    """What the differences of paired values, one a query, say about the difference of the means."""
    import numpy as np

    sample = np.asarray(differences, dtype=float)
    p_value = _t_test(sample) if test == "t" else _randomisation_test(sample, seed)
    wins, losses = int((sample > 0).sum()), int((sample < 0).sum())
    return Comparison(bootstrap(differences, seed=seed), p_value, wins, losses)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for being many (Holm 1979), in the order given.

    Whoever calls those at most alpha significant is wrong about any of them with a chance of at most alpha,
    however the comparisons depend on one another.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for at, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - at) * p_values[place]))
        corrected[place] = highest
    return corrected


def _randomisation_test(differences: NDArray[float64], seed: int) -> float:
    import numpy as np

    rng = np.random.default_rng(seed)
    by_chance = 0
    for rows in _batches(len(differences)):
        signs = rng.choice([-1.0, 1.0], (rows, len(differences)))
        means = (signs * differences).mean(axis=1)
        by_chance += int((np.abs(means) >= abs(differences.mean()) - 1e-12).sum())
    return (by_chance + 1) / (RESAMPLES + 1)


def _t_test(differences: NDArray[float64]) -> float:
    """1 for a single query, which says nothing; 0 where all differ alike, which leaves chance no room."""
    from scipy.special import stdtr

    count = len(differences)
    deviation = float(differences.std(ddof=1)) if count > 1 else 0.0
    mean = float(differences.mean())
    if count < 2 or mean == 0:
        return 1.0
    if deviation == 0:
        return 0.0
    return 2 * float(stdtr(count - 1, -abs(mean) * sqrt(count) / deviation))


def _batches(queries: int) -> Iterator[int]:
    """Resamples to draw at once, so that thousands of queries need no gigabytes."""
    size = max(1, DRAWS_AT_ONCE // max(1, queries))
    for start in range(0, RESAMPLES, size):
        yield min(size, RESAMPLES - start)
