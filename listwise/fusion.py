"""Puts a scorer's opinion and the first stage's together: pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import Literal

Fusion = Literal["none", "rrf", "sum"]
"""How first-stage scores are fused in:

``none``  not at all
``rrf``   reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): by ranks, whatever the scores
``sum``   weighted sum of both, each in standard deviations from its mean over the query's candidates"""

RRF_K = 60
"""Of the paper: how little the first ranks stand out."""
MODERATE = 1e100


def fuse(
    how: Fusion,
    weight: float,
    own: Sequence[float | None],
    places: Sequence[int],
    given: Sequence[float | None],
) -> list[float | None]:
    """One score a candidate from both.

    Args:
        weight: the first stage's share, 0 to 1.
        own: the scorer's scores, finite; None where it has none.
        places: where the first stage ranked the same candidates, from 0; for ``rrf``.
        given: its scores of them, all known and finite; for ``sum``.

    Returns:
        Scores, higher is better; None where ``own`` has none.
    """
    if how == "none":
        return list(own)
    known = [at for at, score in enumerate(own) if score is not None]
    if how == "rrf":
        mine, theirs = _reciprocal_ranks(_at(known, own)), [1 / (RRF_K + 1 + places[at]) for at in known]
    else:
        mine, theirs = _standardized(_at(known, own)), _standardized(_at(known, given))
    fused: list[float | None] = [None] * len(own)
    for at, score, other in zip(known, mine, theirs, strict=True):
        fused[at] = (1 - weight) * score + weight * other
    return fused


def _at(places: Sequence[int], scores: Sequence[float | None]) -> list[float]:
    return [scores[at] or 0.0 for at in places]


def _reciprocal_ranks(scores: Sequence[float]) -> list[float]:
    """Ties go to the earlier one."""
    ranked = sorted(range(len(scores)), key=lambda at: -scores[at])
    place = {at: rank for rank, at in enumerate(ranked, 1)}
    return [1 / (RRF_K + place[at]) for at in range(len(scores))]


def moderate(scores: Sequence[float]) -> Sequence[float]:
    """The scores; where their squares might be too large for a float, all of them divided by the largest."""
    largest = max(map(abs, scores), default=0.0)
    return scores if largest < MODERATE else [score / largest for score in scores]


def _standardized(scores: Sequence[float]) -> list[float]:
    scores = moderate(scores)
    spread = pstdev(scores) if scores else 0.0
    middle = fmean(scores) if scores else 0.0
    return [(score - middle) / spread if spread else 0.0 for score in scores]
