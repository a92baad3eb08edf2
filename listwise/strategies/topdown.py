"""Top-down partitioning: the head first, then everything else against a pivot from it, all at once.

The first window is put in order; its passage at the cutoff becomes the pivot. The other candidates are shown in
partitions, each with the pivot. Those that come out above it go on, with those above it in the first window, and
the same is done with them, until they fit into one window or nothing comes out above the pivot.

Source: Parry, MacAvaney and Ganguly 2024, "Top-Down Partitioning for Efficient List-Wise Ranking", arXiv
2405.14589, algorithm 1. Unlike there, all partitions of a round are one step, however many candidates they find,
and nothing is asked that follows from earlier answers: those known to be worse than the pivot are not compared
with it, and those known to be worse than as many as are wanted do not go on.
"""

from __future__ import annotations

from collections.abc import Sequence

from listwise.strategies.base import Play, Step, Strategy, reorder
from listwise.strategies.preferences import Preferences


def topdown(window: int = 20, top: int = 10, depth: int = 100) -> Strategy:
    """Find the best ``top`` of the first ``depth`` candidates, or the best half a window of them if that is less:
    the cutoff is half the window at most, as in the paper.
    """
    cutoff = _cutoff(window, top)

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        going, out = list(range(min(n, depth))), list(range(min(n, depth), n))
        preferences = Preferences(len(going))
        while len(going) > 1:
            (answer,) = yield Step((tuple(going[:window]),), (*going, *out))
            head, others = reorder(going[:window], answer), going[window:]
            preferences.learn(head)
            if not others:
                return (*head, *out)
            above, pivot, below = head[: cutoff - 1], head[cutoff - 1], head[cutoff:]
            raised: list[int] = []
            fresh: list[int] = []
            if partitions := _partitions(pivot, others, preferences, window):
                answers = yield Step(partitions, (*head, *others, *out))
                for shown, answer in zip(partitions, answers, strict=True):
                    ranked = reorder(shown, answer)
                    preferences.learn(ranked)
                    raised += ranked[: ranked.index(pivot)]
                    fresh += ranked[: min(ranked.index(pivot), cutoff)]
            betters = {at: preferences.above(at).bit_count() for at in fresh}
            fresh = sorted((at for at in fresh if betters[at] < cutoff), key=lambda at: (betters[at], at))
            spare = [at for at in raised if at not in fresh]
            going = [*above, *fresh]
            out = [*spare, pivot, *below, *(at for at in others if at not in raised), *out]
            if not fresh:
                break
        return (*going, *out)

    return run


def _partitions(pivot: int, others: Sequence[int], preferences: Preferences, window: int) -> list[tuple[int, ...]]:
    """The pivot with those who may be better, in windows."""
    open_ = [at for at in others if not preferences.below(pivot) >> at & 1]
    return [(pivot, *open_[start : start + window - 1]) for start in range(0, len(open_), window - 1)]


def most_windows(n: int, window: int, top: int) -> int:
    """Windows that may be asked for over ``n`` candidates: as many go on from every partition as are wanted."""
    cutoff, most = _cutoff(window, top), 0
    while n > window:
        whole, rest = divmod(n - window, window - 1)
        most += 1 + whole + (rest > 0)
        n = cutoff - 1 + whole * min(cutoff, window - 1) + min(cutoff, rest)
    return most + (n > 1)


def _cutoff(window: int, top: int) -> int:
    return min(top, window // 2)
