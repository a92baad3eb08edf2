"""Every passage graded by itself.

All candidates are shown alone, all at once, and ordered by the scores. Nothing is compared, so a model's grades
must mean the same from one prompt to the next.

Source: Liang et al. 2022, "Holistic Evaluation of Language Models", arXiv 2211.09110 (the probability of "yes" to
the question whether a passage answers the query).
"""

from __future__ import annotations

from collections.abc import Sequence

from listwise.strategies.base import Graded, Play, Step, Strategy


def pointwise(depth: int = 100) -> Strategy:
    """Order the first ``depth`` candidates by score: one step, one window of one passage for each.

    Equal scores keep the prior order. A candidate without a score stays at its place, and the others are sorted
    around it.
    """

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        order = list(range(n))
        shown = range(min(n, depth))
        if len(shown) < 2:
            return order
        answers = yield Step([(at,) for at in shown], order)
        graded = {
            at: answer.scores[0] for at, answer in zip(shown, answers, strict=True) if isinstance(answer, Graded)
        }
        for place, at in zip(graded, sorted(graded, key=lambda at: -graded[at]), strict=True):
            order[place] = at
        return order

    return run


def most_windows(n: int) -> int:
    """Windows over ``n`` candidates: always as many."""
    return n if n > 1 else 0
