"""TourRank: tournaments in which the best of every group go on to the next stage, and points are added up.

In each stage the candidates that are left are spread over groups, so that every group has some from the head of
the prior and some from its tail. A group is shown in random order; a part of it, the same for all groups, goes on
and gets a point. Several tournaments are played side by side, each with other orders, and the final ranking is by
points.

Source: Chen et al. 2024, "TourRank: Utilizing Large Language Models for Documents Ranking with a
Tournament-Inspired Strategy", arXiv 2406.11678, section 3. For 100 candidates and windows of 20 the stages are
the paper's, 100, 50, 20, 10, 5, 2, in 5, 5, 1, 1 and 1 groups. Unlike there, equals are told apart by their
places in the last groups that they were in, before the prior.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from listwise.strategies.base import Play, Step, Strategy, reorder

ROUNDS = 2
"""Tournaments, by default."""


class Stage(NamedTuple):
    """How many come into a stage, in how many groups, and how many go on from all groups together."""

    n: int
    groups: int
    advance: int

    def places(self, group: int) -> range:
        """Of a group's members among those that come in, in the prior's order."""
        return range(group, self.n, self.groups)

    def quota(self, group: int) -> int:
        """How many of a group go on."""
        return self.advance // self.groups + (group < self.advance % self.groups)


class Group(NamedTuple):
    """Some candidates of a stage of one tournament, best first as far as known, and how many of them go on."""

    round: int
    members: list[int]
    quota: int


def tournament(window: int = 20, depth: int = 100, rounds: int = ROUNDS, seed: int = 0) -> Strategy:
    """Rank the first ``depth`` candidates by ``rounds`` tournaments with groups of at most ``window``.

    A stage of all tournaments is one step. Groups that could not be answered are decided by the prior. Who goes on
    depends on the luck of the draw: with a model that is never wrong only the best candidate is sure of its place.
    """

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        m, rng = min(n, depth), random.Random(seed)
        best, points, places = list(range(n)), [0] * m, [[0] * rounds for _ in range(m)]
        left = [list(range(m)) for _ in range(rounds)]
        for stage in stages(m, window):
            groups = [
                Group(number, [left[number][at] for at in stage.places(group)], stage.quota(group))
                for number in range(rounds)
                for group in range(stage.groups)
            ]
            contested = [group for group in groups if group.quota < len(group.members)]
            shown = [tuple(rng.sample(group.members, len(group.members))) for group in contested]
            answers = yield Step(shown, tuple(best), [group.round for group in contested])
            for group, window_, answer in zip(contested, shown, answers, strict=True):
                if answer is not None:
                    group.members[:] = reorder(window_, answer)
            left = [[] for _ in range(rounds)]
            for group in groups:
                for place, at in enumerate(group.members):
                    places[at][group.round] = place
                    if place < group.quota:
                        points[at] += 1
                        left[group.round].append(at)
            left = [sorted(each) for each in left]
            best[:m] = sorted(range(m), key=lambda at: (-points[at], sum(places[at]), at))
        return best

    return run


def most_windows(n: int, window: int, rounds: int = ROUNDS) -> int:
    """Windows over ``n`` candidates: always as many."""
    return rounds * sum(
        stage.quota(group) < len(stage.places(group))
        for stage in stages(n, window)
        for group in range(stage.groups)
    )


def stages(n: int, window: int) -> list[Stage]:
    """From ``n`` candidates to two of one group. As many go on as the next number in 1, 2, 5, 10, 20, ... says, and
    at least one from each group; groups are equal where a few more than needed make them so."""
    found: list[Stage] = []
    while n > 2 or (n == 2 and (not found or found[-1].groups > 1)):
        fewest = -(-n // window)
        advance = max(_round_number_below(n), fewest)
        even = (g for g in range(fewest, 2 * fewest) if n % g == 0 == advance % g)
        found.append(Stage(n, next(even, fewest), advance))
        n = advance
    return found


def _round_number_below(n: int) -> int:
    """The largest of 1, 2, 5, 10, 20, 50, ... below ``n``, which is 2 at least."""
    unit: int = 10 ** (len(str(n - 1)) - 1)
    return max(unit * factor for factor in (1, 2, 5) if unit * factor < n)
