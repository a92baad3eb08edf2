"""BlitzRank: every preference that an answer reveals is kept, and nothing is asked that follows from them.

The answers make a graph of preferences, of which the transitive closure is known. A window shows those of whom the
fewest are known to be better, as long as the relation of any of the best ``top`` to any other candidate is open.
Candidates that are better than each other, in a circle, are tied: one of them stands for all in a window, and the
prior decides their order.

Source: Agrawal, Nguyen and Kiela 2026, "BlitzRank: Principled Zero-shot Ranking Agents with Tournament Graphs",
arXiv 2602.05448, algorithm 1, with the order among equals of its conjecture 63.
"""

from __future__ import annotations

from collections.abc import Sequence

from listwise.strategies.base import Play, Step, Strategy, reorder
from listwise.strategies.preferences import Preferences


def blitz(window: int = 20, top: int = 10, depth: int = 100) -> Strategy:
    """Find the best ``top`` of the first ``depth`` candidates in windows of at most ``window``.

    What the algorithm asks as long as it has enough candidates that were not shown yet does not depend on the
    answers: these windows are the first step. Each step after it is one window. A window that could not be answered
    counts as in the order shown, which is that of the best order known.
    """

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        m = min(n, depth)
        preferences = Preferences(m)
        best = list(range(n))
        windows = _unseen(m, window)
        while windows:
            answers = yield Step(windows, tuple(best))
            for shown, answer in zip(windows, answers, strict=True):
                preferences.learn(reorder(shown, answer))
            best[:m] = preferences.in_order()
            chosen = _open(preferences, best[:m], window, top)
            windows = [tuple(at for at in best if at in chosen)] if chosen else []
        return best

    return run


def most_windows(n: int, window: int, top: int) -> int:
    """Windows that may be asked for over ``n`` candidates, whatever the answers.

    Of the candidates whose betters are all settled, ``window - 1`` drop out with every window, until one is left,
    which is settled. Each window that showed it then brings up one candidate at most. Never are there more windows
    than pairs.
    """
    if n < 2:
        return 0
    most = -(-(n - 1) // (window - 1))
    for _ in range(min(top, n) - 1):
        most += -(-(most - 1) // (window - 1))
    return min(most, n * (n - 1) // 2)


def _unseen(n: int, window: int) -> list[tuple[int, ...]]:
    """Windows over ``n`` candidates that have none in common, all of the full size; one if there are fewer."""
    if n < 2:
        return []
    return [tuple(range(start, min(start + window, n))) for start in range(0, max(n - window, 0) + 1, window)]


def _open(preferences: Preferences, candidates: Sequence[int], window: int, top: int) -> set[int]:
    """Whom to compare next: those whose relations are not all known, of whom the fewest are known to be better; one
    for each tie. Nobody, once the relations of the best ``top`` are known."""
    ranked = sorted(
        candidates, key=lambda at: (preferences.above(at).bit_count(), preferences.below(at).bit_count(), at)
    )
    unsettled = [at for at in ranked if preferences.known(at).bit_count() < len(ranked)]
    chosen: set[int] = set()
    if not set(unsettled).isdisjoint(ranked[:top]):
        seen = 0
        for at in unsettled:
            if len(chosen) < window and not seen >> at & 1:
                chosen.add(at)
                seen |= preferences.tied(at)
    return chosen
