"""Our own: read only what can still change the top, and stop when it is settled.

Each candidate has a believed worth with an error bar (`listwise.strategies.beliefs`): at first from the prior's
scores, then from every window that shows it. From these follows its chance to belong to the top. A step asks, all
at once:

- the candidates that were not read yet and have a fair chance, the first time at least a window full. Several
  windows get equal shares of the prior's best, so that they can be compared;
- once something was read, the believed top and those next to it, together in one window: what decides the result.

While the model promotes passages from the edge of what was read, more is read beyond it; where it agrees with the
prior, little is. It stops when a step has hardly changed the order
of the top, or after `STEPS` of them. The result is the order of believed worth, in which prior and answers all have
their weight; so noise in single answers weighs less than in strategies that believe the last answer. What was not
read stays where the prior has it, unless read passages have fallen behind it.

Without scores there is nothing to reckon with: the play is `listwise.strategies.topdown`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

from listwise.strategies import topdown
from listwise.strategies.base import Play, Step, Strategy, reorder
from listwise.strategies.beliefs import Beliefs, tell_apart
from listwise.strategies.movement import moved

CHANCE = 0.2
"""An unread candidate is worth reading if its chance to belong to the top is at least this."""
FEWEST_NEW = 5
"""So many of them are worth a window."""
EDGE = 5
"""The edge is this part of what was read, its last by the prior. Where more than this part of the top comes from
the edge, the prior tells nothing there, and another window full is read beyond it."""
FIRST_MARGIN, MARGIN = 8, 2
"""How many beyond the top are shown with it: the first time, and when they are shown again."""
SETTLED = 0.25
"""Of the discounted gain of the top, what a step may have moved at most for the top to be settled."""
STEPS = 4
NO_SCORES = "no scores tell the candidates apart: played as topdown"
LOCAL_TRUST, FIRST_STAGE_TRUST = 0.6, 0.25
"""How far to trust scores of a model that has read query and passage together, and of a first stage."""


def adaptive(window: int = 20, depth: int = 100, top: int = 10, trust: float = LOCAL_TRUST) -> Strategy:
    """Order the best ``top`` of the first ``depth`` candidates.

    Args:
        trust: the correlation to expect between the prior's scores and the model's opinion, from 0 to below 1.
    """

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        within = min(n, depth)
        if within < 2:
            return tuple(range(n))
        if scores is None or not tell_apart(scores[:within]):
            return (yield from _without_scores(topdown.topdown(window, top, depth)(n)))
        beliefs, below = Beliefs(scores[:within], trust), range(within, n)
        few = min(top, within - 1)
        order: tuple[int, ...] = beliefs.order()
        before: tuple[int, ...] | None = None
        for _ in range(STEPS):
            settled = before is not None and moved(before, order, few) < SETTLED
            again = 0 if settled else few + (FIRST_MARGIN if before is None else MARGIN)
            windows = _windows(beliefs, order, window, few, again)
            if not windows:
                break
            answers = yield Step(windows, (*order, *below))
            told = [
                reorder(shown, answer) for shown, answer in zip(windows, answers, strict=True) if answer is not None
            ]
            if not told:
                break
            seen_together = any(beliefs.read) or len(windows) == 1
            beliefs.learn(told)
            before, order = (order if seen_together else None), beliefs.order()
        return (*order, *below)

    return run


def _without_scores(play: Play) -> Play:
    """The same play, which says at once why it is another one."""
    try:
        step = next(play)
        step = step._replace(notes=(*step.notes, NO_SCORES))
        while True:
            step = play.send((yield step))
    except StopIteration as end:
        order: Sequence[int] = end.value
        return order


def most_windows(n: int, window: int = 20, top: int = 10) -> int:
    """How many windows a play over ``n`` candidates asks for at most: every candidate in one, and the top again in
    every later step; or as many as `topdown`, where there are no scores."""
    if n < 2:
        return 0
    again = ceil(min(n, top + FIRST_MARGIN) / window)
    widened = n > window
    return max(ceil(n / window) + (STEPS - 1) * (again + widened), topdown.most_windows(n, window, top))


def _windows(beliefs: Beliefs, order: Sequence[int], window: int, top: int, again: int) -> list[tuple[int, ...]]:
    """What to read next: what is new, and the best so many ``again``; nothing, if all is said."""
    first = not any(beliefs.read)
    chances = beliefs.chances(top)
    new = [at for at in order if not beliefs.read[at] and chances[at] > CHANCE]
    if first and len(new) < window:
        new = list(order[:window])
    elif not first and _promotes_from_edge(beliefs, order[:top]):
        new = [at for at, read in enumerate(beliefs.read) if not read][:window]
    elif not first and len(new) < FEWEST_NEW:
        new = []
    shares = ceil(len(new) / window)
    windows = [tuple(new[share::shares]) for share in range(shares)]
    if not first and again:
        best = [at for at in order if beliefs.read[at]][:again]
        parts = ceil(len(best) / window)
        ends = [len(best) * part // parts for part in range(parts + 1)]
        windows += [tuple(best[start:end]) for start, end in pairwise(ends)]
    return [shown for shown in windows if len(shown) > 1]


def _promotes_from_edge(beliefs: Beliefs, top: Sequence[int]) -> bool:
    read = [at for at, known in enumerate(beliefs.read) if known]
    edge = read[len(read) - len(read) // EDGE :]
    return sum(at in edge for at in top) * EDGE > len(top)
