"""How often chance alone would do as much: tails of distributions, and tests of many things at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import erfc, exp, expm1, inf, log1p, sqrt
from statistics import NormalDist


def kolmogorov_tail(x: float) -> float:
    """How often the greatest distance of a Brownian bridge from 0 is above ``x`` (Kolmogorov 1933)."""
    if x < 0.2:  # where it is 1 to twelve digits, and the series does not settle
        return 1.0
    terms = [(2.0 if k % 2 else -2.0) * exp(-2 * k * k * x * x) for k in range(1, 101)]
    return min(1.0, max(0.0, sum(terms)))


def student_tail(t: float, degrees: float) -> float:
    """How often Student's t is further from 0 than ``t``, by Wallace (1959): within .005 at a 5 % tail from 2
    degrees of freedom on, and further out too large rather than too small."""
    if t == inf:
        return 0.0
    return erfc(_shrink(degrees) * sqrt(degrees * log1p(t * t / degrees)) / sqrt(2))


def student_quantile(tail: float, degrees: float) -> float:
    """The t that `student_tail` gives this tail."""
    z = NormalDist().inv_cdf(1 - tail / 2) / _shrink(degrees)
    return sqrt(degrees * expm1(z * z / degrees))


def _shrink(degrees: float) -> float:
    return (8 * degrees + 1) / (8 * degrees + 3)


def holm(p_values: Mapping[str, float], level: float) -> set[str]:
    """Which of several hypotheses fall, if the chance that any true one falls is to be at most ``level``.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    fallen: set[str] = set()
    for name, p_value in sorted(p_values.items(), key=lambda each: each[1]):
        if p_value > level / (len(p_values) - len(fallen)):
            break
        fallen.add(name)
    return fallen
