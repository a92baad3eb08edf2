"""Fits a calibration: from raw scores and judgements to probabilities of relevance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from listwise.models.calibration import Calibration

ROUNDS = 100


def fit(scores: Sequence[float], relevant: Sequence[bool], fitted_on: str = "") -> Calibration:
    """The logistic curve of greatest likelihood (Platt, 1999), with his targets, which keep it finite where scores
    tell relevant from irrelevant perfectly; by Newton's method (Lin, Lin and Weng, 2007).

    Args:
        scores: finite, one a judged candidate, of any number of queries.
        relevant: whether it is.

    Raises:
        ValueError: there is no relevant candidate, or none that is not, or all scores are the same.
    """
    x, y = np.asarray(scores, np.float64), np.asarray(relevant, bool)
    positive, negative = int(y.sum()), int((~y).sum())
    if not positive or not negative or x.std() == 0:
        raise ValueError("a calibration needs relevant candidates, others, and scores that differ")
    target = np.where(y, (positive + 1) / (positive + 2), 1 / (negative + 2))
    middle, spread = x.mean(), x.std()
    design = np.stack([(x - middle) / spread, np.ones_like(x)], axis=1)
    weights = np.array([0.0, np.log((positive + 1) / (negative + 1))])
    for _ in range(ROUNDS):
        likely = 1 / (1 + np.exp(-np.clip(design @ weights, -500, 500)))
        gradient = design.T @ (likely - target)
        curvature = (design * (likely * (1 - likely))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step * min(1.0, 2.0 / max(1e-12, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-10:
            break
    slope = float(weights[0] / spread)
    return Calibration(slope=slope, intercept=float(weights[1] - slope * middle), fitted_on=fitted_on)
