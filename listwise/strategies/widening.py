"""Our own: one window at the head, and more only where it disagrees with the prior; one to four calls a query.

The first window shows the head. Where the model picks most of its top from what was the top already, the prior is
good here, and the play ends. Where it brings up more than `AGREES` of its top from below, what lies further down
may belong there, too: the next passages are read, together with the top so far, and so on while a window brings
in more than `FRESH` of the top; `STEPS` windows at most.

Where the prior has scores, the order is that of believed worth (`listwise.strategies.beliefs`), as in
`listwise.strategies.adaptive`: prior and answers both have their weight. That mends what is wrong with inserting
from the top down: every window is another chance for a passage to be overrated, and with a noisy model the top
fills with those that were. Where there are no scores, answers are believed as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from listwise.strategies.adaptive import LOCAL_TRUST
from listwise.strategies.base import Play, Step, Strategy, reorder
from listwise.strategies.beliefs import Beliefs, tell_apart

AGREES = 0.3
"""Of the top that the first window gives, the share from below the prior's top with which it still agrees. With
windows of twice the top, half would come from below if the model knew nothing of the prior."""
FRESH = 0.1
"""Of the top, the share that a later window may bring in without another being read."""
STEPS = 4


def widening(window: int = 20, depth: int = 100, top: int = 10, trust: float = LOCAL_TRUST) -> Strategy:
    """Order the best ``top`` of the first ``window`` candidates, and of as many more of the first ``depth`` as the
    model's disagreement calls for; at least half of a window is for the new.

    Args:
        trust: the correlation to expect between the prior's scores and the model's opinion, from 0 to below 1.
    """
    few = _kept(window, top)

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        within = min(n, depth)
        order, below = list(range(within)), range(within, n)
        known = scores is not None and within > 1 and tell_apart(scores[:within])
        beliefs = Beliefs(scores[:within], trust) if scores is not None and known else None
        new = range(min(window, within))
        for step in range(STEPS if within > 1 else 0):
            best = [at for at in order if at < new.start][:few]
            shown = tuple(at for at in order if at in best or at in new)
            (answer,) = yield Step((shown,), (*order, *below))
            if answer is None:
                break
            said = reorder(shown, answer)
            if beliefs is not None:
                beliefs.learn([said])
                order = list(beliefs.order())
            else:
                order = _inserted(order, said, few, new)
            if step == 0:
                settled = sum(at >= few for at in said[:few]) <= AGREES * few
            else:
                settled = sum(at in new for at in order[:few]) <= FRESH * few
            new = range(new.stop, min(new.stop + window - few, within))
            if settled or not new:
                break
        return (*order, *below)

    return run


def _inserted(order: Sequence[int], said: Sequence[int], few: int, new: range) -> list[int]:
    """The order after an answer that is believed: its head goes first, what is new and not in it comes behind all
    that was read."""
    head, fallen = said[:few], said[few:]
    shown = set(said)
    return [
        *head,
        *(at for at in fallen if at not in new),
        *(at for at in order if at not in shown and at < new.start),
        *(at for at in fallen if at in new),
        *(at for at in order if at >= new.stop),
    ]


def most_windows(n: int, window: int = 20, top: int = 10) -> int:
    """How many windows a play over ``n`` candidates asks for at most."""
    if n < 2:
        return 0
    return min(STEPS, 1 + ceil(max(0, n - window) / (window - _kept(window, top))))


def _kept(window: int, top: int) -> int:
    """How many of the top so far a window shows again."""
    return min(top, window // 2)
