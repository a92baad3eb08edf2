"""The contract of a strategy.

A strategy is pure: a generator over candidate indices that yields a `Step` and is sent the permutations of
its windows. It knows no model, no money, no clock and no text, so a lambda is model enough to test it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple


class Step(NamedTuple):
    """What a strategy wants to know next."""

    windows: Sequence[tuple[int, ...]]
    """Candidate indices to be ordered, in the order to show them; independent of one another."""
    best: Sequence[int]
    """The best order of all candidates known now: the result if nothing more can be bought."""


Answers = Sequence[Sequence[int] | None]
"""One entry a window: positions *in the window*, best first; None where it could not be answered."""

Play = Generator[Step, Answers, Sequence[int]]
"""A running strategy; returns the final order of all candidate indices."""

Strategy = Callable[[int], Play]
"""Starts a play over candidates ``0 .. n-1``, given in prior order, best first."""


def reorder(window: Sequence[int], answer: Sequence[int] | None) -> tuple[int, ...]:
    """Apply a window's answer; None keeps the order."""
    return tuple(window) if answer is None else tuple(window[position] for position in answer)


def play(strategy: Strategy, n: int, rank: Callable[[tuple[int, ...]], Sequence[int] | None]) -> list[Step]:
    """Play a strategy against a function, as tests and estimates do; the last step has no windows and the
    final order as ``best``."""
    steps: list[Step] = []
    running = strategy(n)
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
