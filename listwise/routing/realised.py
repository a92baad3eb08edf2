"""Whether gains and costs come out as the router predicts them: pure.

Labels are missing by design: of queries that the rule leaves, only those that were explored have one. Queries are
put together by their propensity, and in each such group a labelled query stands for all of the group's (inverse
propensity weights, with the group's size as it is rather than as it is expected: post-stratification).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import fmean, variance

from listwise.routing.significance import student_quantile, student_tail
from listwise.spend.routes import RouteNote

FEWEST_LABELS = 5
"""Labels that a group needs before they can stand for the others."""
GAIN_TOLERANCE = 0.01
"""Points of nDCG@10 by which gains may be off in the mean before it is worth a refit."""
COST_TOLERANCE = 0.1
"""The share by which costs may be off."""
TAIL = 0.05
"""Intervals are of 95 %."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    error: float
    """Standard error."""
    degrees: float
    """Of freedom, for Student's t."""

    @classmethod
    def of(cls, value: float, error: float, degrees: float) -> Estimate:
        """With the interval that these make."""
        reach = error * student_quantile(TAIL, degrees)
        return cls(value, value - reach, value + reach, error, degrees)

    def p_value(self, tolerance: float) -> float:
        """How often chance does as much to a figure that is really within the tolerance."""
        beyond = abs(self.value) - tolerance
        if beyond <= 0:
            return 1.0
        return student_tail(beyond / self.error if self.error else inf, self.degrees)


@dataclass(frozen=True, slots=True)
class Gains:
    """Realised against predicted gains, in nDCG@10; realised ones are estimated from disagreement."""

    queries: int
    labelled: int
    covered: float
    """The share of the queries that the labels can stand for: not those that nothing like them was ever escalated
    of, or too few."""
    predicted: float
    """The mean over the covered queries."""
    difference: Estimate
    """Realised less predicted, in the mean over the covered queries."""
    escalated: Estimate | None
    """The same over those that the rule escalates: all have a label, so that this is known far better. None where
    they are too few."""
    slope: Estimate | None
    """Of realised over predicted gains: 1 where a difference in prediction is one in truth, below 1 where
    predictions say too much. None where all predictions are the same."""

    @property
    def p_value(self) -> float:
        """Of either mean difference beyond the tolerance."""
        return min(1.0, 2 * self.plainest.p_value(GAIN_TOLERANCE))

    @property
    def plainest(self) -> Estimate:
        """Of the two differences, the one that chance does less to."""
        both = (self.difference, self.escalated or self.difference)
        return min(both, key=lambda each: each.p_value(GAIN_TOLERANCE))


@dataclass(frozen=True, slots=True)
class Costs:
    """Realised against predicted costs, over queries that an LLM answered with nothing from the cache."""

    queries: int
    predicted_nano_usd: int
    nano_usd: int
    excess: Estimate
    """The ratio of the sums less 1."""

    @property
    def p_value(self) -> float:
        """Of a ratio beyond the tolerance."""
        return self.excess.p_value(COST_TOLERANCE)


def gains(notes: Sequence[RouteNote], gain_per_disagreement: float, fit_error: float) -> Gains | None:
    """Compare gains.

    Args:
        notes: all queries that the router decided on, labelled or not.
        gain_per_disagreement: what makes a gain of a disagreement.
        fit_error: standard error of the mean gain when the router was fitted: that much its predictions may be off
            although nothing has changed.

    Returns:
        None where no group has enough labels.
    """
    sizes: defaultdict[float, int] = defaultdict(int)
    labelled: defaultdict[float, list[tuple[float, float]]] = defaultdict(list)
    for note in notes:
        if note.predicted_gain is None:
            continue
        sizes[note.propensity] += 1
        if note.disagreement is not None and note.propensity > 0:
            realised = gain_per_disagreement * note.disagreement
            labelled[note.propensity].append((note.predicted_gain, realised))
    groups = {name: pairs for name, pairs in labelled.items() if len(pairs) >= FEWEST_LABELS}
    if not groups:
        return None
    covered = sum(sizes[name] for name in groups)
    weighted = [
        (sizes[name] / covered / len(pairs), predicted, realised)
        for name, pairs in groups.items()
        for predicted, realised in pairs
    ]
    off = {name: [realised - predicted for predicted, realised in pairs] for name, pairs in groups.items()}
    return Gains(
        queries=sum(sizes.values()),
        labelled=len(weighted),
        covered=covered / sum(sizes.values()),
        predicted=sum(weight * predicted for weight, predicted, _ in weighted),
        difference=_mean([(sizes[name] / covered, values) for name, values in off.items()], fit_error),
        escalated=_mean([(1.0, off[1.0])], fit_error) if 1.0 in off else None,
        slope=_slope(weighted),
    )


def costs(notes: Sequence[RouteNote]) -> Costs | None:
    """Compare costs; None where there are too few."""
    pairs = [
        (note.predicted_nano_usd, note.nano_usd)
        for note in notes
        if note.predicted_nano_usd and note.disagreement is not None and not note.cache_hits
    ]
    if len(pairs) < FEWEST_LABELS:
        return None
    predicted, realised = (sum(column) for column in zip(*pairs, strict=True))
    ratio = realised / predicted
    residuals = [(spent - ratio * expected) * len(pairs) / predicted for expected, spent in pairs]
    excess = Estimate.of(ratio - 1, sqrt(variance(residuals, 0.0) / len(pairs)), len(pairs) - 1)
    return Costs(len(pairs), predicted, realised, excess)


def _mean(parts: Sequence[tuple[float, Sequence[float]]], fit_error: float) -> Estimate:
    """The mean over groups with their shares; degrees of freedom by Satterthwaite (1946)."""
    squares = [(share**2 * variance(values) / len(values), len(values) - 1) for share, values in parts]
    sampled = sum(square for square, _ in squares)
    spread = sum(square**2 / degrees for square, degrees in squares)
    return Estimate.of(
        sum(share * fmean(values) for share, values in parts),
        sqrt(sampled + fit_error**2),
        sampled**2 / spread if spread else float(sum(degrees for _, degrees in squares)),
    )


def _slope(weighted: Sequence[tuple[float, float, float]]) -> Estimate | None:
    """Weighted least squares, with an error that holds whatever the residuals' spread (White 1980)."""
    if len({x for _, x, _ in weighted}) < 2:
        return None
    middle, height = (sum(each[0] * each[column] for each in weighted) for column in (1, 2))
    spread = sum(weight * (x - middle) ** 2 for weight, x, _ in weighted)
    slope = sum(weight * (x - middle) * (y - height) for weight, x, y in weighted) / spread
    meat = sum((weight * (x - middle) * (y - height - slope * (x - middle))) ** 2 for weight, x, y in weighted)
    effective = 1 / sum(weight**2 for weight, _, _ in weighted)
    degrees = max(1.0, effective - 2)
    return Estimate.of(slope, sqrt(meat * effective / degrees) / spread, degrees)
