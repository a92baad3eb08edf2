"""What can be read off a query's scores before any money is spent."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean, pstdev

from listwise.fusion import moderate

BOUNDARY = 10
"""The rank whose surroundings matter: measures look at the top 10."""
BAND = 5
"""Ranks on each side of the boundary that are compared."""


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
    if len(scores) < 2 or not all(map(isfinite, scores)):
        return None
    ranked = sorted(moderate(scores), reverse=True)
    spread = pstdev(ranked)
    if spread == 0:
        return 0.0
    edge = min(boundary, len(ranked) // 2)
    above, below = ranked[max(0, edge - band) : edge], ranked[edge : edge + band]
    return (fmean(above) - fmean(below)) / spread
