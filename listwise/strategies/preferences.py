"""What is known of who is better than whom: the transitive closure of all answers so far, in bit sets."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import pairwise


class Preferences:
    """The preferences among candidates ``0 .. n-1``. A set of candidates is an integer, one bit each.

    Answers need not agree with one another: candidates that are better than each other, by whatever detour, are
    tied.
    """

    def __init__(self, n: int) -> None:
        self._above = [1 << at for at in range(n)]
        self._below = [1 << at for at in range(n)]

    def learn(self, ranked: Iterable[int]) -> None:
        """Take in an order, best first."""
        for better, worse in pairwise(ranked):
            if not self._below[better] >> worse & 1:
                above, below = self._above[better], self._below[worse]
                for at in members(above):
                    self._below[at] |= below
                for at in members(below):
                    self._above[at] |= above

    def above(self, at: int) -> int:
        """Those that are better than a candidate, ties excepted."""
        return self._above[at] & ~self._below[at]

    def below(self, at: int) -> int:
        """Those that are worse than a candidate, ties excepted."""
        return self._below[at] & ~self._above[at]

    def tied(self, at: int) -> int:
        """A candidate with those that it is tied with."""
        return self._above[at] & self._below[at]

    def known(self, at: int) -> int:
        """A candidate with all those whose relation to it is known."""
        return self._above[at] | self._below[at]

    def in_order(self) -> list[int]:
        """All candidates, none before a better one, otherwise in the order of their numbers."""
        waiting = {at: self.above(at).bit_count() for at in range(len(self._above))}
        free = [at for at, better in waiting.items() if not better]
        order: list[int] = []
        while free:
            order.append(heapq.heappop(free))
            for at in members(self.below(order[-1])):
                waiting[at] -= 1
                if not waiting[at]:
                    heapq.heappush(free, at)
        return order


def members(candidates: int) -> list[int]:
    """The candidates of a set, in the order of their numbers."""
    found = []
    while candidates:
        lowest = candidates & -candidates
        found.append(lowest.bit_length() - 1)
        candidates ^= lowest
    return found
