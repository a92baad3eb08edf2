"""Evidence on what a position does: sums by query, and the same as chance alone would make them.

The model of a rank given is ``rank = quality + f(position) + error``, where quality is the stratum's own and drops
out when ranks and positions are taken as differences from the stratum's mean (the within, or fixed-effects,
estimator of panel data; Wooldridge 2010, ch. 10). What remains are the normal equations ``gram f = cross``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from listwise.eval.bias.estimates import DRAWS, by_query, signs
from listwise.eval.bias.observations import Floats, Ints, Sets, Windows

Design = Literal["reordered", "graded", "confounded"]
"""What stands between quality and position: the same passages were shown in several orders; only the judgements;
nothing."""
MOST_CELLS = 4_000_000
"""Of an array, at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Of ``Q`` queries, with ``n`` positions and ``D`` draws by chance."""

    design: Design
    gram: Floats
    """(Q, n, n)"""
    cross: Floats
    """(Q, n)"""
    top: Floats
    """(Q, n): how many windows were answered with the passage of this position on top,"""
    expected: Floats
    """(Q, n): and how many would be, did position not matter."""
    chance_cross: Floats
    """(D, n): ``cross``, summed over the queries, did position not matter,"""
    chance_top: Floats
    """(D, n): and ``top``."""


def reordered(sets: Sequence[Sets], size: int, queries: int, seed: int) -> Evidence:
    """Of sets of passages that were shown in several orders; a stratum is a passage of one set.

    Did position not matter, any answer could as well have come to any other order of its set. So by chance is: the
    answers of each set, dealt out anew to the orders (a permutation test; exact, as long as the orders were not
    made from the answers).
    """
    gram, cross = np.zeros((queries, size, size)), np.zeros((queries, size))
    top, expected = np.zeros((queries, size)), np.zeros((queries, size))
    chance = np.zeros((DRAWS, 2 * size))
    rng = np.random.default_rng(seed)
    for block in _blocks(sets, size):
        groups, orders, _ = block.rank.shape
        found = _by_pairing(block)
        own = found[:, np.arange(orders), np.arange(orders)].sum(axis=1)
        cross += by_query(block.query, own[:, :size], queries)
        top += by_query(block.query, own[:, size:], queries)
        expected += by_query(block.query, found[..., size:].sum(axis=(1, 2)) / orders, queries)
        gram += by_query(block.query, _gram(block), queries)
        lines = found.reshape(-1, 2 * size)
        first = np.arange(groups * orders).reshape(groups, orders) * orders
        deal = np.tile(np.arange(orders), (groups, 1))
        for draw in range(DRAWS):
            chance[draw] += lines[first + rng.permuted(deal, axis=1)].sum(axis=(0, 1))
    return Evidence("reordered", gram, cross, top, expected, chance[:, :size], chance[:, size:])


def graded(windows: Windows, grades: Floats, seed: int) -> Evidence:
    """Of windows that were shown in one order only; a stratum is the passages of one grade in one window.

    That passages of one grade are alike is an assumption: the first stage may have put the better of them first.
    By chance is: the sums of each query with either sign (windows of one query may overlap, so queries and not
    windows are the unit).

    Args:
        grades: (W, n), by the position shown.
    """
    queries, size = len(windows.qids), windows.size
    gram, cross = np.zeros((queries, size, size)), np.zeros((queries, size))
    top, expected = np.zeros((queries, size)), np.zeros((queries, size))
    for at in range(queries):
        mine = np.flatnonzero(windows.query == at)
        alike = (grades[mine][:, :, None] == grades[mine][:, None, :]).astype(float)
        alike /= alike.sum(axis=2, keepdims=True)
        given = windows.given[mine].astype(float)
        cross[at] = (given - np.einsum("wij,wj->wi", alike, given)).sum(axis=0)
        gram[at] = len(mine) * np.eye(size) - alike.sum(axis=0)
        best = windows.given[mine].argmin(axis=1)
        top[at] = np.bincount(best, minlength=size)
        expected[at] = alike[np.arange(len(mine)), best].sum(axis=0)
    drawn = signs(queries, seed)
    chance_top = expected.sum(axis=0) + drawn @ (top - expected)
    return Evidence("graded", gram, cross, top, expected, drawn @ cross, chance_top)


def _blocks(sets: Sequence[Sets], size: int) -> Iterator[Sets]:
    """The same, a few at a time."""
    for each in sets:
        orders = each.rank.shape[1]
        step = max(1, MOST_CELLS // (orders * orders * 2 * size))
        for start in range(0, len(each.query), step):
            part = slice(start, start + step)
            yield Sets(each.query[part], each.place[part], each.shown[part], each.rank[part])


def _by_pairing(sets: Sets) -> Floats:
    """(G, m, m, 2n): had answer ``o'`` come to order ``o``, the ranks by position, as differences from their
    passages' means; then, which position would have come out on top."""
    groups, orders, size = sets.rank.shape
    within = sets.rank - sets.rank.mean(axis=1, keepdims=True)
    found = np.zeros((groups, orders, orders, 2 * size))
    best = sets.rank.argmin(axis=2)
    for order in range(orders):
        shown = np.broadcast_to(sets.shown[:, None, order], (groups, orders, size))
        found[:, order, :, :size] = np.take_along_axis(within, shown, axis=2)
        place: Ints = np.take_along_axis(sets.place[:, order], best, axis=1)
        np.put_along_axis(found[:, order], size + place[..., None], 1.0, axis=2)
    return found


def _gram(sets: Sets) -> Floats:
    """(G, n, n): ``m I - C'C / m``, where C counts how often each passage was shown at each position."""
    groups, orders, size = sets.rank.shape
    counts = np.zeros((groups, size, size))
    lines = np.arange(groups)[:, None]
    for order in range(orders):
        counts[lines, sets.shown[:, order], np.arange(size)] += 1
    found: Floats = orders * np.eye(size) - np.einsum("gpi,gpj->gij", counts, counts) / orders
    return found
