"""Scores for an order: pure.

An LLM that ranks a list gives an order and no scores, and clients of rerank APIs expect some. Two kinds are given:

``probability``
    Where a calibrated local model decided the order: its probabilities that a passage is relevant. They compare
    over queries.
``rank``
    In all other cases: ``1 - rank / n`` for ranks from 0, so 1 for the best of n and 1/n for the last. They say
    nothing but the order, and do not compare over queries.

Either way they lie in [0, 1] and strictly decrease, so that a client that sorts by them finds the order unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import nextafter
from typing import Literal

from listwise.scores import score_at
from listwise.types import Ranking

ScoreType = Literal["probability", "rank"]


def scores_of(ranking: Ranking) -> tuple[ScoreType, list[float]]:
    """A score for each candidate of a ranking, in its order."""
    likely = ranking.probabilities
    known = [each for each in likely or () if each is not None]
    if not ranking.receipt.ordered_by and known and len(known) == len(ranking.candidates) and _falls(known):
        return "probability", strictly(known)
    n = len(ranking.candidates)
    return "rank", [score_at(rank, n) for rank in range(n)]


def strictly(scores: Sequence[float]) -> list[float]:
    """Scores in [0, 1] that do not rise, made to fall strictly: equal ones move apart, by the least."""
    falling: list[float] = []
    for score in scores:
        falling.append(min(score, nextafter(falling[-1], -1.0)) if falling else score)
    least = 0.0
    for at in range(len(falling) - 1, -1, -1):
        falling[at] = max(falling[at], least)
        least = nextafter(falling[at], 2.0)
    return falling


def _falls(scores: Sequence[float]) -> bool:
    return all(first >= then for first, then in pairwise(scores))
