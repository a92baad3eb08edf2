"""Pairwise ranking prompting: two passages at a time, shown in both orders.

A passage wins a pair only if the model prefers it in both orders; a model that changes its mind with the order has
no preference. `allpairs` asks for every pair and counts wins; `bubbling` makes passes of bubble sort from the
bottom of the list, each of which brings the best of what is left to its place.

Source: Qin et al. 2023, "Large Language Models are Effective Text Rankers with Pairwise Ranking Prompting", arXiv
2306.17563, section 3 (PRP-Allpair, PRP-Sliding-K).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from listwise.strategies.base import Answers, Play, Step, Strategy

Pair = tuple[int, int]


def allpairs(depth: int = 100) -> Strategy:
    """Order the first ``depth`` candidates by the pairs they win; one without preference is half a win for both.

    One step; equals keep the prior order.
    """

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        order = tuple(range(n))
        pairs = list(combinations(order[:depth], 2))
        if not pairs:
            return order
        wins = dict.fromkeys(order[:depth], 0.0)
        answers = yield Step(_both_ways(pairs), order)
        for (a, b), preference in zip(pairs, _preferences(answers), strict=True):
            wins[a] += (1 + preference) / 2
            wins[b] += (1 - preference) / 2
        return (*sorted(wins, key=lambda at: -wins[at]), *order[depth:])

    return run


def bubbling(top: int = 10, depth: int = 100) -> Strategy:
    """Bring the best ``top`` of the first ``depth`` candidates to the head, by as many passes of bubble sort.

    A pass need not be over before the next begins: it follows two places behind, and the pairs of all passes under
    way make one step. The result is the same, at most ``depth + 2 * top`` steps deep. No pair is asked for twice.
    """

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        order = list(range(n))
        bottom = min(n, depth) - 2
        passes = min(top, bottom + 1)
        known: dict[Pair, int] = {}
        for tick in range(bottom + 2 * passes - 1 if passes > 0 else 0):
            uppers = [at for done in range(passes) if done <= (at := bottom - tick + 2 * done) <= bottom]
            new = [pair for at in uppers if (pair := (order[at], order[at + 1])) not in known]
            if new:
                answers = yield Step(_both_ways(new), tuple(order))
                for (a, b), preference in zip(new, _preferences(answers), strict=True):
                    known[a, b], known[b, a] = preference, -preference
            for at in uppers:
                if known[order[at], order[at + 1]] < 0:
                    order[at], order[at + 1] = order[at + 1], order[at]
        return order

    return run


def most_windows(n: int, top: int) -> int:
    """Windows that ``bubbling`` may ask for over ``n`` candidates: two for each place that a pass goes by. With
    ``top`` of ``n`` these are all pairs, in both orders: exactly what ``allpairs`` asks for."""
    return sum(2 * (n - 1 - done) for done in range(min(top, max(n - 1, 0))))


def _both_ways(pairs: Sequence[Pair]) -> list[Pair]:
    return [shown for a, b in pairs for shown in ((a, b), (b, a))]


def _preferences(answers: Answers) -> list[int]:
    """Of each pair, by its two answers: 1 for the first passage, -1 for the second, 0 for neither."""
    return [_preference(one, other) for one, other in zip(answers[::2], answers[1::2], strict=True)]


def _preference(one: Sequence[int] | None, other: Sequence[int] | None) -> int:
    if one is None or other is None or one[0] == other[0]:
        return 0
    return 1 if one[0] == 0 else -1
