"""The contract of a strategy.

A strategy is pure: a generator over candidate indices that yields a `Step` and is sent the permutations of
its windows. It knows no model, no money, no clock and no text, so a lambda is model enough to test it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Literal, NamedTuple, Protocol, Self

Question = Literal["order", "first", "choice", "relevance"]
"""What a strategy asks of a window: its order; its order, by the probabilities of the answer's first token; which
passage is the most relevant (the answer has it first, the others follow as shown); how relevant the one passage is
(the answer is `Graded`)."""

ORDERS: tuple[Question, ...] = ("order", "first")
"""Questions whose answers are orders of any window."""


class Step(NamedTuple):
    """What a strategy wants to know next."""

    windows: Sequence[tuple[int, ...]]
    """Candidate indices to be ordered, in the order to show them; independent of one another."""
    best: Sequence[int]
    """The best order of all candidates known now: the result if nothing more can be bought."""
    samples: Sequence[int] = ()
    """The sample number of each window, for windows that are asked more than once on purpose; empty: all 0."""
    wary: bool = False
    """Whether the windows are to be shown without what might be an order to the model."""
    notes: Sequence[str] = ()
    """What the strategy has noticed since its last step and the caller should know, in plain words."""


class Graded(tuple[int, ...]):
    """A permutation (positions in the window, best first) by a model that also says how good each passage is."""

    scores: tuple[float, ...]
    """Of each position in the window; higher is better. Those of windows of one passage compare over a query,
    others only within their window."""

    def __new__(cls, order: Iterable[int], scores: Iterable[float]) -> Self:
        """An order and the scores behind it."""
        self = super().__new__(cls, order)
        self.scores = tuple(scores)
        return self

    @classmethod
    def by(cls, scores: Sequence[float]) -> Self:
        """The order that scores make; equals keep the order shown."""
        return cls(sorted(range(len(scores)), key=lambda at: -scores[at]), scores)


Answers = Sequence[Sequence[int] | None]
"""One entry a window: positions *in the window*, best first (a `Graded` one, where the model grades); None where it
could not be answered."""

Play = Generator[Step, Answers, Sequence[int]]
"""A running strategy; returns the final order of all candidate indices."""


class Strategy(Protocol):
    """Starts plays."""

    def __call__(self, n: int, scores: Sequence[float] | None = None) -> Play:
        """Start a play over candidates ``0 .. n-1``, given in prior order, best first.

        ``scores`` are the prior's, higher is better, where it has any; not comparable over queries.
        """
        ...


def reorder(window: Sequence[int], answer: Sequence[int] | None) -> tuple[int, ...]:
    """Apply a window's answer; None keeps the order."""
    return tuple(window) if answer is None else tuple(window[position] for position in answer)


def play(
    strategy: Strategy,
    n: int,
    rank: Callable[[tuple[int, ...]], Sequence[int] | None],
    scores: Sequence[float] | None = None,
) -> list[Step]:
    """Play a strategy against a function, as tests and estimates do; the last step has no windows and the
    final order as ``best``."""
    steps: list[Step] = []
    running = strategy(n, scores)
    try:
        step = next(running)
        while True:
            steps.append(step)
            step = running.send([rank(window) for window in step.windows])
    except StopIteration as end:
        final: Sequence[int] = end.value
        return [*steps, Step((), final)]


def windows_of(steps: Iterable[Step]) -> list[tuple[int, ...]]:
    """All windows of a play, in the order asked."""
    return [window for step in steps for window in step.windows]
