"""How far a position moves a passage: the curve, its shape in few numbers, and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from listwise.eval.bias.estimates import Estimate, interval, p_value, weights
from listwise.eval.bias.evidence import Evidence
from listwise.eval.bias.observations import Floats
from listwise.eval.statistics import CONFIDENCE

SMALLEST = 1e-9
"""Eigenvalues of the normal equations below this share of the largest are none: contrasts never observed."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What positions do to the rank given, in ranks; positive is lower down, against the mean of all positions."""

    curve: tuple[Estimate, ...]
    """By position shown; each with its own interval and p-value."""
    band: tuple[tuple[float, float], ...]
    """By position: 95 % for all positions together."""
    slope: Estimate
    """Ranks a passage falls for each position that it is shown further down: 0 no bias, 1 an echo, below 0 a model
    that favours the end."""
    bend: Estimate | None
    """Ranks that the two ends cost against the middle; below 0 they are favoured. None for two positions."""
    first: Estimate
    """What being shown first costs,"""
    last: Estimate
    """and last."""
    p: float
    """Of position not mattering in any way: of so large a sum of squares explained."""


def contrasts(size: int) -> Mapping[str, Floats]:
    """What makes each number of a curve: the weights (n,) of its positions."""
    place = np.arange(size) - (size - 1) / 2
    found: dict[str, Floats] = {
        "slope": place / (place @ place),
        "first": np.eye(size)[0],
        "last": np.eye(size)[-1],
    }
    if size > 2:
        bend = 2 * np.abs(place) / (size - 1)
        bend = bend - bend.mean()
        found["bend"] = bend / (bend @ bend)
    return found


def fit(gram: Floats, cross: Floats) -> Floats:
    """The curve that solves the normal equations, with mean 0; (..., n, n) and (..., n)."""
    inverse = np.linalg.pinv(gram, rcond=SMALLEST, hermitian=True)
    found: Floats = np.einsum("...ij,...j->...i", inverse, cross)
    return found


def effects_of(evidence: Evidence, seed: int) -> Effects:
    """The curve with its intervals (bootstrap over queries) and tests (against `Evidence.chance_cross`)."""
    queries, size = evidence.cross.shape
    gram, cross = evidence.gram.sum(axis=0), evidence.cross.sum(axis=0)
    curve = fit(gram, cross)
    chance = evidence.chance_cross @ np.linalg.pinv(gram, rcond=SMALLEST, hermitian=True)
    drawn = weights(queries, seed)
    resampled = np.concatenate(
        [fit((part @ evidence.gram.reshape(queries, -1)).reshape(-1, size, size), part @ evidence.cross)
         for part in np.array_split(drawn, max(1, size * size // 400))]
    )  # fmt: skip

    def estimate(weight: Floats) -> Estimate:
        found = float(curve @ weight)
        return interval(found, resampled @ weight, p_value(abs(found), np.abs(chance @ weight)))

    named = {name: estimate(weight) for name, weight in contrasts(size).items()}
    explained = np.einsum("di,di->d", evidence.chance_cross, chance)
    return Effects(
        curve=tuple(estimate(each) for each in np.eye(size)),
        band=_band(curve, resampled),
        slope=named["slope"],
        bend=named.get("bend"),
        first=named["first"],
        last=named["last"],
        p=p_value(float(cross @ curve), explained),
    )


def slopes(evidence: Evidence) -> Floats:
    """(Q,): the slope by query; not a number where a query tells nothing."""
    place = contrasts(evidence.cross.shape[1])["slope"]
    moved = np.einsum("i,qij,j->q", place, evidence.gram, place)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(moved > SMALLEST, (evidence.cross @ place) / moved, np.nan) * (place @ place)
    return found


def _band(curve: Floats, resampled: Floats) -> tuple[tuple[float, float], ...]:
    """Of equal width in standard errors, by the resamples' largest deviation (Davison and Hinkley 1997, 4.2.4)."""
    error = resampled.std(axis=0)
    error[error == 0] = 1.0
    reach = float(np.quantile((np.abs(resampled - curve) / error).max(axis=1), CONFIDENCE))
    return tuple(
        (float(at - reach * each), float(at + reach * each)) for at, each in zip(curve, error, strict=True)
    )
