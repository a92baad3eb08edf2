"""Shuffle and vote, around any strategy: what a model says because of where a passage stands is voted down.

Every window is asked several times, its passages shown in another order each time, and one order is made of the
answers (permutation self-consistency, Tang et al. 2023, arXiv 2310.07712; there whole lists are shuffled and
aggregated: to vote on every window costs the same calls in as many steps, and a wrong answer does no harm further
up). The first vote shows the strategy's own order, so that one vote is the strategy itself.

``auto`` asks every window twice, and then votes on what counts: it shows the head of the result again, in orders
not seen yet, until a vote hardly moves it. It never reads more than half of what five votes on everything would.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Literal

from listwise.errors import ConfigError
from listwise.strategies.aggregate import Aggregate, aggregate
from listwise.strategies.base import ORDERS, Answers, Graded, Play, Question, Step, Strategy, reorder
from listwise.strategies.movement import moved

Shuffle = Literal["balanced", "random", "none"]
"""``balanced``: over the votes, every passage is shown at the head, in the middle and at the tail equally often.
``random``: any order is as likely. ``none``: the same order again, for replicates at a temperature above 0."""
Votes = int | Literal["auto"]

MOST_VOTES = 100
"""Votes on one sample of a strategy's own have so many sample numbers to themselves."""
FIRST_VOTES = 2
"""How often ``auto`` asks every window."""
HEAD_VOTES = 8
"""How often it asks for the head again, at most,"""
HEAD_SHARE = 0.5
"""and how many passages those votes may show: this share of what one vote on every window shows."""
HEAD_MARGIN = 5
"""How many beyond the top belong to the head."""
SETTLED = 0.03
"""Of the discounted gain of the top, what a vote may have moved at most for it to be settled."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """How votes are held."""

    votes: Votes = 1
    shuffle: Shuffle = "balanced"
    rule: Aggregate = "borda"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.votes != "auto" and not 1 <= self.votes <= MOST_VOTES:
            raise ConfigError(f"votes is {self.votes}: neither auto nor a number from 1 to {MOST_VOTES}")

    def most_windows(self, windows: int, question: Question) -> int:
        """How many windows become of so many, at most."""
        if self.votes != "auto":
            return windows * self.votes
        settles = windows > 0 and question in ORDERS
        return windows * FIRST_VOTES + settles * HEAD_VOTES

    def shown(self, window: Sequence[int], vote: int, votes: int) -> tuple[int, ...]:
        """The order in which a vote, counted from 0, shows a window."""
        if vote == 0 or self.shuffle == "none":
            return tuple(window)
        draw = random.Random(f"{self.seed} {vote} {tuple(window)}")
        if self.shuffle == "random":
            return tuple(draw.sample(window, len(window)))
        return tuple(_balanced(window, vote, votes, draw))


ONE_VOTE = Ballot()


def vote(strategy: Strategy, ballot: Ballot, *, window: int, top: int, question: Question = "order") -> Strategy:
    """Ask every window of a strategy several times, and make one answer of what comes back.

    Args:
        window: the most passages of a window.
        top: how many at the top are to be right; `auto` stops when they are settled.
        question: what the strategy asks: where only the best passage is told, it is voted on alone.
    """
    if ballot.votes == 1:
        return strategy
    votes = FIRST_VOTES if ballot.votes == "auto" else ballot.votes
    combined = {"choice": _plurality, "relevance": _mean}.get(question, _aggregated(ballot.rule))

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        play = strategy(n, scores)
        shown_once = 0
        try:
            step = next(play)
            while True:
                asked = [[ballot.shown(each, at, votes) for at in range(votes)] for each in step.windows]
                shown_once += sum(map(len, step.windows))
                samples = step.samples or (0,) * len(asked)
                answers = yield step._replace(
                    windows=[shown for ballots in asked for shown in ballots],
                    samples=[each * MOST_VOTES + at for each in samples for at in range(votes)],
                )
                cast = [answers[at * votes : (at + 1) * votes] for at in range(len(asked))]
                step = play.send(
                    [
                        combined(each, ballots, given)
                        for each, ballots, given in zip(step.windows, asked, cast, strict=True)
                    ]
                )
        except StopIteration as end:
            order: Sequence[int] = end.value
        if ballot.votes == "auto" and question in ORDERS:
            size = min(window, top + HEAD_MARGIN, n)
            most = min(HEAD_VOTES, int(HEAD_SHARE * shown_once / max(1, size)))
            order = yield from _settle(order, ballot, size, top, most)
        return order

    return run


def _settle(order: Sequence[int], ballot: Ballot, size: int, top: int, most: int) -> Play:
    """Vote on the head of an order until it holds still, or ``most`` votes are held."""
    head, rest = order[:size], order[size:]
    orders: list[Sequence[int]] = [head]
    current: Sequence[int] = head
    for at in range(1, most + 1 if size > 1 else 1):
        shown = ballot.shown(head, at, HEAD_VOTES + 1)
        (answer,) = yield Step((shown,), (*current, *rest), (FIRST_VOTES + at,))
        if answer is None:
            break
        orders.append(reorder(shown, answer))
        before, current = current, aggregate(ballot.rule, orders)
        if moved(before, current, min(top, size)) < SETTLED:
            break
    return (*current, *rest)


_Combined = Callable[[Sequence[int], Sequence[Sequence[int]], Answers], Sequence[int] | None]
"""Makes one answer (positions in the window) of those that came to the orders in which it was shown."""


def _aggregated(rule: Aggregate) -> _Combined:
    def combined(window: Sequence[int], shown: Sequence[Sequence[int]], answers: Answers) -> Sequence[int] | None:
        places = {each: at for at, each in enumerate(window)}
        orders = [
            [places[each] for each in reorder(order, answer)]
            for order, answer in zip(shown, answers, strict=True)
            if answer is not None
        ]
        return aggregate(rule, orders) if orders else None

    return combined


def _plurality(window: Sequence[int], shown: Sequence[Sequence[int]], answers: Answers) -> Sequence[int] | None:
    """The passage that was best most often, the earliest of several."""
    firsts = [order[answer[0]] for order, answer in zip(shown, answers, strict=True) if answer is not None]
    if not firsts:
        return None
    best = max(range(len(window)), key=lambda at: firsts.count(window[at]))
    return (best, *(at for at in range(len(window)) if at != best))


def _mean(window: Sequence[int], shown: Sequence[Sequence[int]], answers: Answers) -> Sequence[int] | None:
    """The mean score of the one passage of the window."""
    scores = [answer.scores[0] for answer in answers if isinstance(answer, Graded)]
    return Graded.by([sum(scores) / len(scores)]) if scores else None


def _balanced(window: Sequence[int], vote: int, votes: int, draw: random.Random) -> list[int]:
    """As many blocks as votes; each vote begins with another one, and shuffles within the blocks.

    The votes go through the beginnings in steps of about the golden section, so that they are spread over the
    window however few are held.
    """
    n = len(window)
    votes = min(votes, n)
    blocks = [list(window[n * at // votes : n * (at + 1) // votes]) for at in range(votes)]
    first = vote * _stride(votes) % votes
    shown: list[int] = []
    for block in (*blocks[first:], *blocks[:first]):
        shown += draw.sample(block, len(block))
    return shown


def _stride(votes: int) -> int:
    """The number next to the golden section of ``votes`` that has no divisor in common with it."""
    wanted = votes * 0.618
    return min((at for at in range(1, votes + 1) if gcd(at, votes) == 1), key=lambda at: abs(at - wanted))
