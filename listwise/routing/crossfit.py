"""Predicts the gains of queries from models that did not see them, and tells whether that is more than chance.

Ridge regression, cross-fitted: of the queries, each tenth is predicted from the other nine. Whether the signals say
anything is told by a permutation test of the whole procedure, choice of the penalty included: gains that are dealt
out to other queries have nothing to do with the signals, and what correlates as well with these is no skill. An
interval alone does not tell: of signals that are pure noise it left out zero in 5 to 10 % of all fits, in place of
2.5 %, since the predictions of all queries come from nearly the same models.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_QUERIES = 20
"""With fewer, nothing can be told of signals."""
FOLDS = 10
REPEATS = 5
"""Cross-fittings, each with other folds; a query's prediction is their mean."""
PENALTIES = tuple(float(each) for each in np.geomspace(10, 30_000, 8))
"""Ridge penalties that are tried, in queries; the largest leave a direction in which each signal counts as
much as it correlates by itself (one step of partial least squares), and how much it counts is fitted afterwards."""
DEALS = 199
"""Of gains to other queries, in the permutation test."""
RESAMPLES = 2000
BINS = 5


class Data(NamedTuple):
    """One row a query."""

    rows: Floats
    """[queries, signals], standardized."""
    gains: Floats
    """[queries, options]."""
    weights: Floats
    """[queries], of mean 1."""

    @property
    def means(self) -> Floats:
        """[options]."""
        return np.asarray(np.average(self.gains, axis=0, weights=self.weights), np.float64)


class CrossFit(NamedTuple):
    """What came of it."""

    penalty: float
    """The one whose predictions correlate best with what was realised."""
    predicted: Floats
    """[queries, options], each by models that did not see the query."""
    chance: float
    """How often signals that say nothing would predict as well."""


def cross_fit(data: Data, rng: np.random.Generator) -> CrossFit:
    """Predict each query from others. What is to correlate is the mean over options."""
    if len(data.rows) < LEAST_QUERIES:
        return CrossFit(PENALTIES[-1], np.tile(data.means, (len(data.rows), 1)), 1.0)
    dealt = rng.permuted(np.tile(data.gains.mean(axis=1), (DEALS, 1)), axis=1).T
    mean = data.gains.mean(axis=1, keepdims=True)
    every = _predicted(data._replace(gains=np.hstack([data.gains, mean, dealt])), rng)
    options = data.gains.shape[1]
    told = np.array(
        [correlation(each[:, options:], np.hstack([mean, dealt]), data.weights[:, None]) for each in every]
    )  # [penalties, the mean and its deals]
    best = len(PENALTIES) - 1 - int(np.argmax(np.round(told[::-1, 0], 3)))  # of equals, the largest
    as_well = (told[:, 1:].max(axis=0) >= told[best, 0]).sum()
    return CrossFit(PENALTIES[best], every[best][:, :options], float((1 + as_well) / (1 + DEALS)))


def _predicted(data: Data, rng: np.random.Generator) -> Floats:
    """[penalties, queries, options], the mean over `REPEATS`."""
    count = len(data.rows)
    predicted = np.tile(data.means, (len(PENALTIES), count, 1))
    for _ in range(REPEATS):
        fold = rng.permutation(count) % FOLDS
        for each in range(FOLDS):
            unseen = fold == each
            seen = Data(*(part[~unseen] for part in data))
            center = np.average(seen.rows, axis=0, weights=seen.weights)
            for at, penalty in enumerate(PENALTIES):
                # From the mean of all: a fold's own is low where what was left out is high, and hides the signals.
                predicted[at, unseen] += (data.rows[unseen] - center) @ ridge(seen, penalty) / REPEATS
    return predicted


def ridge(data: Data, penalty: float) -> Floats:
    """Weights [signals, options] that minimise the weighted squared error plus the penalty on their squares."""
    centered = data.rows - np.average(data.rows, axis=0, weights=data.weights)
    weighed = centered * data.weights[:, None]
    matrix = weighed.T @ centered + penalty * np.eye(data.rows.shape[1])
    return np.asarray(np.linalg.solve(matrix, weighed.T @ (data.gains - data.means)), np.float64)


def interval(ours: Floats, real: Floats, weights: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """95 % bootstrap interval, over queries, of the correlation of two numbers a query."""
    drawn = rng.integers(0, len(ours), (len(ours), RESAMPLES))
    low, high = np.quantile(correlation(ours[drawn], real[drawn], weights[drawn]), [0.025, 0.975])
    return float(low), float(high)


def correlation(ours: Floats, real: Floats, weights: Floats) -> Floats:
    """Weighted, over the first axis; 0 where one of the two is always the same."""
    weights = np.broadcast_to(weights, ours.shape)
    mine, theirs = ours - np.average(ours, 0, weights), real - np.average(real, 0, weights)
    size = np.sqrt((weights * mine**2).sum(0) * (weights * theirs**2).sum(0))
    return np.asarray(np.where(size > 1e-12, (weights * mine * theirs).sum(0) / np.maximum(size, 1e-12), 0.0))


def calibration_error(predicted: Floats, realised: Floats) -> float:
    """Mean absolute distance of what was predicted and what was realised, in bins of as many queries, as far as
    predictions differ."""
    order = np.argsort(predicted, kind="stable")
    bins = min(BINS, len(np.unique(predicted)))
    distances = [abs(float((predicted - realised)[part].sum())) for part in np.array_split(order, bins)]
    return sum(distances) / len(predicted)
