"""What is believed of each candidate: how good it is, and how far that may be off.

Thurstone's model of comparative judgement (1927): a candidate's worth is a normal variable, on a scale on which all
candidates together have mean 0 and variance 1. The prior's scores are such a belief from the start. The answer to a
window is another: it says in which order the window's passages come, so its best passage gets the worth that the
best of so many is expected to have, the second that of the second, and so on. Two beliefs are put together as
measurements are, each by its precision, the inverse of its variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt
from statistics import NormalDist, fmean, pstdev

_NORMAL = NormalDist()

NOISE = 0.5
"""Standard deviation of what one answer says about one passage's worth."""


class Beliefs:
    """Beliefs about candidates ``0 .. n-1``, given in prior order."""

    def __init__(self, scores: Sequence[float], trust: float) -> None:
        """``trust``: how well the prior's ``scores`` go together with the model's own opinion, as a correlation."""
        largest = max(map(abs, scores)) or 1.0
        scores = [score / largest for score in scores]  # so that no square is too large for a float
        spread, middle = pstdev(scores) or 1.0, fmean(scores)
        standard = sorted(((score - middle) / spread for score in scores), reverse=True)
        self._means = [trust * each for each in standard]
        self._variances = [1 - trust * trust] * len(scores)
        self.read = [False] * len(scores)
        """Which candidates a window has shown."""

    def order(self) -> tuple[int, ...]:
        """All of them, best first; equals in prior order."""
        return tuple(sorted(range(len(self._means)), key=lambda at: -self._means[at]))

    def chances(self, top: int) -> list[float]:
        """The probability of each to be among the best ``top`` in truth, the others being where they are believed
        to be."""
        ranked = sorted(self._means, reverse=True)
        bar = fmean(ranked[top - 1 : top + 1])
        return [
            _NORMAL.cdf((mean - bar) / sqrt(variance))
            for mean, variance in zip(self._means, self._variances, strict=True)
        ]

    def learn(self, orders: Sequence[Sequence[int]]) -> None:
        """What was learnt from windows that were asked at once; each as candidates, best first."""
        learnt = [(at, worth) for order in orders for at, worth in zip(order, self._worths(order), strict=True)]
        for at, worth in learnt:
            own, said = 1 / self._variances[at], 1 / NOISE**2
            self._means[at] = (self._means[at] * own + worth * said) / (own + said)
            self._variances[at] = 1 / (own + said)
            self.read[at] = True

    def _worths(self, window: Sequence[int]) -> list[float]:
        """What the best, the second, ... of these are expected to be worth: quantiles of the normal distribution
        that has the mean and variance of all that is believed of them."""
        means = [self._means[at] for at in window]
        spread = sqrt(fmean(self._variances[at] for at in window) + pstdev(means) ** 2)
        middle, n = fmean(means), len(window)
        return [middle + spread * _NORMAL.inv_cdf(1 - (place + 0.5) / n) for place in range(n)]


def tell_apart(scores: Sequence[float]) -> bool:
    """Whether scores, at least one, say anything to begin with."""
    return all(map(isfinite, scores)) and min(scores) < max(scores)
