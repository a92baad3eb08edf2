"""How a signal was distributed over the queries that a router was fitted on, and how far others are from it. Pure.

A reference keeps quantiles, no values, so that a router's file stays small. Distances are those of Kolmogorov and
Smirnov between two samples, looked at where the reference has a quantile; signals with ties are compared exactly
there, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import ceil, sqrt
from statistics import median
from typing import Any, Literal

from listwise.routing.significance import kolmogorov_tail
from listwise.spend.routes import as_logged

STEPS = 20
"""Quantiles stand at every twentieth."""
GRID = 0.1
"""A bridge that is looked at in 19 places only is found less far from 0 than it gets: by .5826 / sqrt(20) = .13
(Siegmund 1985, chapter 10), of which a little is left out to be on the safe side."""

Direction = Literal["higher", "lower", "more spread out", "less spread out"]


@dataclass(frozen=True, slots=True)
class Reference:
    """The distribution of one signal."""

    count: int
    """Queries that had it."""
    quantiles: tuple[float, ...]
    """The least value, those at every 5 %, and the greatest: each is one that occurred."""
    at_most: tuple[float, ...]
    """The share of values up to and with each quantile: above its nominal one where values are tied."""

    @classmethod
    def of(cls, values: Iterable[float]) -> Reference:
        """What is kept of a signal's values; those that are not finite do not count.

        Raises:
            ValueError: none is left.
        """
        ordered = _ordered(values)
        if not ordered:
            raise ValueError("a signal without a value has no distribution")
        n = len(ordered)
        quantiles = tuple(ordered[max(0, ceil(step * n / STEPS) - 1)] for step in range(STEPS + 1))
        return cls(n, quantiles, tuple(round(bisect_right(ordered, each) / n, 6) for each in quantiles))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reference:
        """What `to_json` was made of.

        Raises:
            ValueError: it is something else.
        """
        try:
            found = cls(int(data["count"]), _numbers(data["quantiles"]), _numbers(data["at_most"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no reference of a signal: {error}") from error
        columns = (found.quantiles, found.at_most)
        rising = all(before <= after for column in columns for before, after in pairwise(column))
        if found.count < 1 or not rising or any(len(column) != STEPS + 1 for column in columns):
            raise ValueError(f"no reference of a signal: {STEPS + 1} quantiles and their shares must rise")
        return found

    def to_json(self) -> dict[str, Any]:
        """For a router's file."""
        return asdict(self)

    @property
    def median(self) -> float:
        """The middle of its values."""
        return self.quantiles[STEPS // 2]

    def shift(self, recent: Sequence[float]) -> Shift:
        """How far other values are from these; at least one must be finite."""
        ordered = _ordered(recent)
        gaps = [
            bisect_right(ordered, quantile) / len(ordered) - share
            for quantile, share in zip(self.quantiles, self.at_most, strict=True)
        ]
        distance = max(map(abs, gaps))
        size = sqrt(self.count * len(ordered) / (self.count + len(ordered)))
        return Shift(
            distance=distance,
            p_value=kolmogorov_tail(size * distance + GRID) if distance else 1.0,
            direction=_direction(gaps),
            fitted=self.median,
            recent=median(ordered),
        )


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a signal has moved."""

    distance: float
    """The greatest difference between the shares of values up to any point, 0 to 1."""
    p_value: float
    """How often chance does as much to a signal that has not moved."""
    direction: Direction
    fitted: float
    """The median when the router was fitted."""
    recent: float
    """The median now."""

    @property
    def medians(self) -> str:
        """Then and now, in words."""
        return f"median {self.fitted:.4g} when fitted, {self.recent:.4g} now"


def _direction(gaps: Sequence[float]) -> Direction:
    """More small values make a positive gap; more at both ends, a positive one below a negative one."""
    most, least = max(gaps), min(gaps)
    if most > 2 * -least:
        return "lower"
    if -least > 2 * most:
        return "higher"
    return "more spread out" if gaps.index(most) < gaps.index(least) else "less spread out"


def _ordered(values: Iterable[float]) -> list[float]:
    """As the log keeps them, so that ties are ties in both."""
    return sorted(kept for value in values if (kept := as_logged(value)) is not None)


def _numbers(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
