"""Setwise ranking: heapsort whose nodes have several children, by asking which passage of a few is the best.

A window is a node of the heap with its children; only the best passage of an answer counts. The heap is built from
the bottom up, all nodes of a level at once; then its root is taken off ``top`` times.

Source: Zhuang et al. 2023, "A Setwise Approach for Effective and Highly Efficient Zero-shot Ranking with Large
Language Models", arXiv 2310.09497, section 3 (setwise.heapsort).
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Sequence

from listwise.strategies.base import Answers, Play, Step, Strategy

CHILDREN = 3
"""Of a node, by default, as in the authors' code: windows of four passages."""


def setwise(children: int = CHILDREN, top: int = 10, depth: int = 100) -> Strategy:
    """Bring the best ``top`` of the first ``depth`` candidates to the head, in windows of ``children + 1``.

    A window shows its passages in prior order, so that the prior decides where there is no answer. The others
    follow by what the heap knows of them, and the prior.
    """

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        heap, below = list(range(min(n, depth))), range(min(n, depth), n)
        best = list(range(n))
        for level in _levels_up(len(heap), children):
            yield from _sink(heap, level, children, best)
            best = [*_in_order(heap, children), *below]
        for taken in range(1, min(top, len(heap)) + 1):
            best[taken - 1 :] = [*_in_order(heap, children), *below]
            last = heap.pop()
            if heap and taken < top:
                heap[0] = last
                yield from _sink(heap, (0,), children, best)
        return best

    return run


def most_windows(n: int, children: int, top: int) -> int:
    """Windows that may be asked for over ``n`` candidates: every passage sinks to the bottom."""
    building = sum(_height(at, n, children) for at in range(n))
    return building + sum(_height(0, n - taken, children) for taken in range(1, min(top, n)))


def _sink(
    heap: list[int], places: Iterable[int], children: int, best: Sequence[int]
) -> Generator[Step, Answers, None]:
    """Let the passages at ``places``, none above another, sink to where none of their children is better."""
    while families := [family for at in places if len(family := _family(at, len(heap), children)) > 1]:
        windows = [tuple(sorted(heap[at] for at in family)) for family in families]
        answers = yield Step(windows, tuple(best))
        places = []
        for family, window, answer in zip(families, windows, answers, strict=True):
            winner = heap.index(window[0 if answer is None else answer[0]], family[0])
            if winner != family[0]:
                heap[family[0]], heap[winner] = heap[winner], heap[family[0]]
                places.append(winner)


def _family(at: int, n: int, children: int) -> Sequence[int]:
    """The places of a node and of its children in a heap of ``n``."""
    return (at, *range(children * at + 1, min(children * (at + 1) + 1, n)))


def _levels_up(n: int, children: int) -> list[range]:
    """The places of a heap of ``n`` by level, the lowest first."""
    levels, start, size = [], 0, 1
    while start < n:
        levels.append(range(start, min(start + size, n)))
        start, size = start + size, size * children
    return levels[::-1]


def _height(at: int, n: int, children: int) -> int:
    """Nodes with children on the way down from a place in a heap of ``n``, which is longest on the left."""
    height = 0
    while (at := children * at + 1) < n:
        height += 1
    return height


def _in_order(heap: Sequence[int], children: int) -> list[int]:
    """The passages of a heap, each after its parent, otherwise in prior order."""
    order, reached = [], [(heap[0], 0)]
    while reached:
        passage, at = heapq.heappop(reached)
        order.append(passage)
        for child in _family(at, len(heap), children)[1:]:
            heapq.heappush(reached, (heap[child], child))
    return order
