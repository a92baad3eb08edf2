"""What a simulated ranker's bias must look like: the curve that a study of it should find.

A `SimulatedRanker` orders a window by ``opinion + noise + favour(position)``. Passage p, shown at i, is outranked
by passage q, shown at j, with probability Phi((opinion_q + favour_j - opinion_p - favour_i) / (sqrt(2) sigma)),
where sigma is the noise of one passage. Under random orders j is any other position alike. So the expected rank of
p at i is the sum over q of the mean over j; the curve is its mean over p, less its mean over i. A share ``echo`` of
answers repeats the order shown, and has the curve ``i - (n - 1) / 2``.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from listwise.eval.bias.observations import Floats
from listwise.models.simulated.ranker import WINDOW, SimulatedRanker

REACH, STEP = 6.0, 0.005
"""Of the table that the normal distribution is read from, in standard deviations."""


def expected_curve(ranker: SimulatedRanker, windows: Sequence[tuple[str, Sequence[str]]]) -> Floats:
    """(n,): ranks by which each position moves a passage down, against the mean of all, over windows alike.

    Answers that are malformed are not reckoned with.

    Args:
        windows: the qid and docids of each; all of n passages.
    """
    found: Floats = np.mean([_expected(ranker, qid, docids) for qid, docids in windows], axis=0)
    return found


def _expected(ranker: SimulatedRanker, qid: str, docids: Sequence[str]) -> Floats:
    n, traits = len(docids), ranker.traits
    opinion = np.array([ranker.opinion(qid, docid) for docid in docids])
    favour = np.array([ranker.favour(at, n) for at in range(n)])
    better = opinion[None, :] - opinion[:, None]  # (p, q)
    higher = favour[None, :] - favour[:, None]  # (i, j)
    noise = traits.noise * (n / WINDOW) ** traits.length
    outranked = _phi(better[:, :, None, None] + higher[None, None], noise * 2**0.5)
    pairs = outranked[~np.eye(n, dtype=bool)][:, ~np.eye(n, dtype=bool)].reshape(n, n - 1, n, n - 1)
    curve: Floats = pairs.sum(axis=1).mean(axis=2).mean(axis=0)
    repeated = np.arange(n) - (n - 1) / 2
    found: Floats = (1 - traits.echo) * (curve - curve.mean()) + traits.echo * repeated
    return found


def _phi(difference: Floats, deviation: float) -> Floats:
    """The normal distribution function of a difference, a step where there is no deviation."""
    if deviation == 0:
        return np.heaviside(difference, 0.5)
    grid = np.arange(-REACH, REACH + STEP, STEP)
    normal = NormalDist()
    return np.interp(difference / deviation, grid, [normal.cdf(at) for at in grid.tolist()])
