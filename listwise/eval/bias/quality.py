"""nDCG against the order in which a window is shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from listwise.eval.bias.estimates import Estimate, difference_of, mean_of
from listwise.eval.bias.observations import Floats, Ints, Observation, Order, Windows
from listwise.eval.bias.positions import Grades

CUTOFF = 10


@dataclass(frozen=True, slots=True)
class InputOrder:
    """What became of windows that were shown in one kind of order; nDCG@10 within the window."""

    order: Order
    windows: int
    queries: int
    shown: float
    """nDCG@10 of the order shown,"""
    answered: Estimate
    """and of the answer; an unanswered window keeps its order."""
    over_shuffled: Estimate | None
    """Over the mean of the random orders of the same queries, with a paired randomisation test; None for these
    themselves, and where there are none."""


def ndcg(grades: Floats, cutoff: int = CUTOFF) -> Floats:
    """nDCG as trec_eval has it (Järvelin and Kekäläinen 2002; gain is the grade, discount log2(rank + 1)), with
    respect to the best order of the same passages.

    Args:
        grades: (..., n), in ranked order; negative ones count as 0.

    Returns:
        (...): not a number where no passage is relevant.
    """
    gains = np.maximum(grades, 0.0)
    discount = 1 / np.log2(np.arange(2, min(cutoff, gains.shape[-1]) + 2))
    best = -np.sort(-gains, axis=-1)
    with np.errstate(invalid="ignore"):
        found: Floats = (gains[..., :cutoff] @ discount) / (best[..., :cutoff] @ discount)
    return found


def by_input_order(observations: Sequence[Observation], size: int, grades: Grades, seed: int) -> list[InputOrder]:
    """A line for each kind of order that there is, over windows of one size with a relevant passage."""
    found = {order: _values(observations, order, size, grades) for order in get_args(Order)}
    neutral = found["shuffled"][1] if "shuffled" in found else {}
    rows = []
    for order, (shown, answered, windows) in found.items():
        if not answered:
            continue
        shared = [qid for qid in answered if qid in neutral]
        rows.append(
            InputOrder(
                order=order,
                windows=windows,
                queries=len(answered),
                shown=float(np.mean(list(shown.values()))),
                answered=mean_of(list(answered.values()), seed),
                over_shuffled=difference_of([answered[qid] - neutral[qid] for qid in shared], seed)
                if shared and order != "shuffled"
                else None,
            )
        )
    return rows


def _values(
    observations: Sequence[Observation], order: Order, size: int, grades: Grades
) -> tuple[Mapping[str, float], Mapping[str, float], int]:
    """nDCG by query of the order shown and of the answer, and of how many windows."""
    mine = [each for each in observations if each.order == order and each.size == size]
    kept = [_kept(each) for each in mine]
    windows = Windows.of(kept, size)
    if not kept:
        return {}, {}, 0
    judged = windows.by_passage(grades)
    best_first: Ints = np.argsort(windows.given, axis=1)
    shown, answered = ndcg(judged), ndcg(np.take_along_axis(judged, best_first, axis=1))
    defined = np.isfinite(shown)
    qids = [windows.qids[at] for at in windows.query[defined]]
    return means(qids, shown[defined]), means(qids, answered[defined]), int(defined.sum())


def means(qids: Iterable[str], values: Iterable[float]) -> dict[str, float]:
    """The mean by query."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for qid, value in zip(qids, values, strict=True):
        found[qid].append(float(value))
    return {qid: sum(each) / len(each) for qid, each in found.items()}


def _kept(each: Observation) -> Observation:
    """The same, an unanswered one in the order shown."""
    if each.permutation is not None:
        return each
    return Observation(each.model, each.qid, each.docids, tuple(range(each.size)), order=each.order)
