"""How many queries may stay with the local tier so that, very likely, hardly anything is lost on average.

Learn-then-Test (Angelopoulos, Bates, Candès, Jordan and Lei, arXiv 2110.01052) with a fixed sequence: policies are
tested from the safest, which escalates all, to the cheapest; each time the null hypothesis is that the mean loss
against always escalating is above ``alpha``, and the first one that cannot be rejected ends it. The chance that a
policy whose true mean loss is above ``alpha`` comes out is then at most one less the confidence, however many were
tested, whatever the distribution and for any number of cases; provided that

- the cases are drawn independently from the queries that the promise is about, and
- predictions and thresholds were fixed without the cases' gains. Cross-fitted predictions, each by a model that did
  not see its case, come near to that; thresholds put where the cases' own gains lie do not.

The p-value is that of the betting test of Waudby-Smith and Ramdas (arXiv 2010.09686). Losses have two signs, and
nearly all are tiny, which a bet learns. Hoeffding-Bentkus, the usual choice, knows only their mean and that they
lie in [-1, 1]: for 0.01 with confidence 90 % it takes 32,000 cases even if nothing is lost on any, the bet 232. No
test can do with less than 230, as one query in a hundred might lose all. The benchmark of the same name compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import ceil, exp, isfinite, log
from random import Random
from statistics import fmean

THRESHOLDS = tuple(at / 400 for at in range(161))
"""Predicted gains from which to escalate, in nDCG@10, from 0 to 0.4. Below 0 nothing is promised to be lost."""
FEW_CASES = 20
"""Fewer cases say nothing of how many would be needed, beyond the least that any test needs."""
_BOLDEST = 0.99
"""The largest bet, as a share of the one that a loss of 1 would ruin for good."""
_PRIOR_CASES, _PRIOR_DEVIATION = 10, 0.05
"""What the first bets assume: so many losses of mean 0 and this standard deviation. If wrong, bets win less."""
_USEFUL = 0.1
"""What it takes is told for the first threshold that leaves this share of the queries to the local tier."""

_Case = tuple[float, float]
"""Predicted and realised gain."""

PValue = Callable[[Sequence[float], float], float]
"""From losses and ``alpha``: the largest chance of such losses where the mean is above ``alpha``."""


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What can be promised: a mean loss against always escalating of at most ``alpha``, with the confidence."""

    alpha: float
    """nDCG@10."""
    confidence: float
    cases: int
    threshold: float | None
    """Queries of at least this predicted gain are escalated; None: not feasible on this data, so all are."""
    escalated: float
    """Share of the cases."""
    loss: float
    """Mean over the cases; may be negative, as an LLM can make a ranking worse."""
    needed: int | None
    """Where not feasible: about how many cases of this kind it takes, at the least; None: more would not help."""

    @property
    def feasible(self) -> bool:
        """Whether anything may stay with the local tier."""
        return self.threshold is not None

    def __str__(self) -> str:
        promise = f"a mean loss of at most {self.alpha:g} nDCG@10 with confidence {self.confidence:.0%}"
        if self.threshold is not None:
            return (
                f"{promise} where predicted gains of {self.threshold:g} or more are escalated: "
                f"{self.escalated:.0%} of {self.cases} cases, on all of which {self.loss:.4f} was lost on average"
            )
        wanted = (
            "more cases of this kind would not help" if self.needed is None else f"it takes about {self.needed}"
        )
        return f"not feasible on this data: {promise} cannot be had from {self.cases} cases; {wanted}"


def guarantee(
    predicted: Sequence[float],
    realised: Sequence[float],
    alpha: float = 0.01,
    confidence: float = 0.9,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    p_value: PValue | None = None,
) -> Guarantee:
    """The largest threshold on the predicted gain that keeps the promise, so the fewest escalations.

    Args:
        predicted: a case each: the gain that the model says, or whatever else orders queries by how much they need
            an LLM, such as gain per dollar.
        realised: a case each: nDCG@10 when escalated less that of the local order, between -1 and 1.
        alpha: the mean loss to stay within, between 0 and 1.
        confidence: between 0 and 1.
        thresholds: to try, rising, chosen without looking at the cases' gains.
        p_value: instead of `betting`.

    Raises:
        ValueError: numbers are not within their bounds, thresholds do not rise, or there are not as many
            predictions as gains.
    """
    if not 0 < alpha < 1 or not 0 < confidence < 1:
        raise ValueError(f"alpha is {alpha} and the confidence {confidence}: both must be between 0 and 1")
    if list(thresholds) != sorted(thresholds):
        raise ValueError("thresholds must rise, so that the safest is tried first")
    if not all(map(isfinite, predicted)) or not all(-1 <= gain <= 1 for gain in realised):
        raise ValueError("predictions must be finite, and realised gains between -1 and 1")
    cases = list(zip(predicted, realised, strict=True))
    Random(0).shuffle(cases)  # a bet must not profit from an order that the file has by its gains
    count = certified((_losses(cases, each) for each in thresholds), alpha, confidence, p_value)
    threshold = thresholds[count - 1] if count else None
    kept = 0 if threshold is None else sum(said < threshold for said in predicted)
    if threshold is None or not kept:
        needed = _needed(cases, thresholds, alpha, confidence)
        return Guarantee(alpha, confidence, len(cases), None, 1.0, 0.0, needed)
    loss = fmean(_losses(cases, threshold))
    return Guarantee(alpha, confidence, len(cases), threshold, 1 - kept / len(cases), loss, None)


def _losses(cases: Sequence[_Case], threshold: float) -> list[float]:
    """What is lost on each case by escalating from the threshold only."""
    return [gain if said < threshold else 0.0 for said, gain in cases]


def certified(
    policies: Iterable[Sequence[float]], alpha: float, confidence: float, p_value: PValue | None = None
) -> int:
    """How many policies, in their order, pass before the first that does not: fixed-sequence testing.

    One that loses ``alpha`` or more on the cases themselves does not pass, though the theorem would let it where a
    bet was won before the losses came: nobody would believe it.

    Args:
        policies: the losses of each on the same cases, from the safest policy to the cheapest.
    """
    test = p_value or betting

    def passes(losses: Sequence[float]) -> bool:
        return len(losses) > 0 and fmean(losses) < alpha and test(losses, alpha) <= 1 - confidence

    return sum(1 for _ in takewhile(passes, policies))


def betting(losses: Sequence[float], alpha: float) -> float:
    """The p-value of a mean loss above ``alpha``, by a bet against it.

    A gambler who starts with 1 stakes part of the money on each loss being below ``alpha``: fair or worse if the
    mean is at least that, so that by Ville's inequality the money ever reaches 1/p with a chance of at most p. Each
    stake is the one that would have made money grow fastest on the losses before it, by the approximation that
    Waudby-Smith and Ramdas call aGRAPA.

    Args:
        losses: between -1 and 1, in an order that has nothing to do with them.

    Returns:
        A number above 0, at most 1.
    """
    import numpy as np

    if not len(losses):
        return 1.0
    seen = np.asarray(losses, np.float64)
    weight = _PRIOR_CASES + np.arange(len(seen))
    mean = (np.cumsum(seen) - seen) / weight
    squares = (seen - mean) ** 2
    variance = (_PRIOR_CASES * _PRIOR_DEVIATION**2 + np.cumsum(squares) - squares) / weight
    edge = alpha - mean
    stake = np.clip(edge / (variance + edge**2), 0, _boldest(alpha))
    return exp(-max(0.0, float(np.cumsum(np.log1p(stake * (alpha - seen))).max())))


def least_cases(alpha: float, confidence: float) -> int:
    """How many cases the promise takes if nothing is lost on any of them."""
    return ceil(-log(1 - confidence) / log(1 + alpha * _boldest(alpha)))


def _boldest(alpha: float) -> float:
    return _BOLDEST / (1 - alpha)


def _needed(cases: Sequence[_Case], thresholds: Sequence[float], alpha: float, confidence: float) -> int | None:
    """From how fast the best fixed bet grows on these losses, up to a threshold that is of use."""
    least = least_cases(alpha, confidence)
    if len(cases) < FEW_CASES:
        return least
    needed = float(least)
    for threshold in thresholds:
        growth = _growth(_losses(cases, threshold), alpha)
        if growth <= 0:
            return None
        needed = max(needed, -log(1 - confidence) / growth)
        if sum(said < threshold for said, _ in cases) >= _USEFUL * len(cases):
            return ceil(needed)
    return None


def _growth(losses: Sequence[float], alpha: float) -> float:
    """The mean of the logarithm by which a loss multiplies the money, with the best bet in hindsight."""
    import numpy as np

    stakes = np.linspace(0, _boldest(alpha), 101)[:, None]
    return float(np.log1p(stakes * (alpha - np.asarray(losses))).mean(axis=1).max())
