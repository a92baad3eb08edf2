"""What is known of who is better than whom: the transitive closure of all answers so far, in bit sets."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise


class Preferences:
    """The preferences among candidates ``0 .. n-1``. A set of candidates is an integer, one bit each.

    Answers need not agree with one another: candidates that are better than each other, by whatever detour, are
    tied.
    """

    def __init__(self, n: int) -> None:
        self._above = [1 << at for at in range(n)]
        self._below = [1 << at for at in range(n)]
        self._beaten = [0] * n

    def learn(self, ranked: Sequence[int]) -> None:
        """Take in an order, best first."""
        worse_ones = 0
        for at in reversed(ranked):
            self._beaten[at] |= worse_ones
            worse_ones |= 1 << at
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
        """All candidates, none before a better one, otherwise in the order of their numbers. Those who are tied are
        in the order of how many of one another they were ranked before, less how many they were ranked behind."""
        waiting = {at: self.above(at).bit_count() for at in range(len(self._above))}
        free = [at for at, better in waiting.items() if not better]
        order: list[int] = []
        while free:
            order.append(heapq.heappop(free))
            for at in members(self.below(order[-1])):
                waiting[at] -= 1
                if not waiting[at]:
                    heapq.heappush(free, at)
        return self._untied(order)

    def _untied(self, order: list[int]) -> list[int]:
        """Let those who are tied change places with one another."""
        place_of = {at: place for place, at in enumerate(order)}
        for tie in {self.tied(at) for at in order}:
            places = sorted(place_of[at] for at in members(tie))
            for place, at in zip(
                places, sorted(members(tie), key=lambda at: (self._standing(at), at)), strict=True
            ):
                order[place] = at
        return order

    def _standing(self, at: int) -> int:
        """Defeats less victories of a candidate, among those that it is tied with."""
        tie = self.tied(at)
        defeats = sum(self._beaten[other] >> at & 1 for other in members(tie))
        return defeats - (self._beaten[at] & tie).bit_count()


def members(candidates: int) -> list[int]:
    """The candidates of a set, in the order of their numbers."""
    found = []
    while candidates:
        lowest = candidates & -candidates
        found.append(lowest.bit_length() - 1)
        candidates ^= lowest
    return found
