"""Sliding windows from the bottom of the list to its head.

Source: Sun et al. 2023, "Is ChatGPT Good at Search?" (RankGPT), arXiv 2304.09542, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

from listwise.strategies.base import Play, Step, Strategy, reorder


def sliding(window: int = 20, stride: int = 10, depth: int = 100) -> Strategy:
    """Order ``window`` candidates at a time, moving up by ``stride``, over the first ``depth`` candidates.

    Windows start at multiples of ``stride`` from the head, so that the head always gets a whole window; where
    sizes do not divide, it is the bottom window, read first, that is short. For 100 candidates these are
    RankGPT's own nine windows. One window a step, ``window_count`` steps.
    """

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        order = list(range(n))
        for start in window_starts(min(n, depth), window, stride):
            end = min(start + window, n, depth)
            shown = tuple(order[start:end])
            (answer,) = yield Step((shown,), order)
            order[start:end] = reorder(shown, answer)
        return order

    return run


def window_starts(n: int, window: int, stride: int) -> range:
    """Where the windows over ``n`` candidates start, bottom first; empty if there is nothing to order."""
    if n < 2:
        return range(0)
    last = -(-max(n - window, 0) // stride)
    return range(last * stride, -1, -stride)
