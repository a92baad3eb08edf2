"""Strategies played on a simulated ranker: what each would cost and how good it would be, with nothing spent.

`SimulatedRanker` is the same one that ``--llm sim/...`` asks. Here it is asked without prompts and answers in
between, so that thousands of queries can be played in a minute. **Every figure from here is of a simulation.**
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from listwise.models.simulated.ranker import Bias, SimulatedRanker, Traits
from listwise.strategies.base import Question, Step, Strategy

__all__ = ["Bias", "Played", "Prior", "SimulatedRanker", "Traits", "replay", "simulate"]


@dataclass(frozen=True, slots=True)
class Prior:
    """The candidates of a query in the order that a strategy gets, best first, with the scores that made it."""

    qid: str
    docids: tuple[str, ...]
    scores: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """What came of playing a strategy for one query."""

    prior: Prior
    steps: tuple[Step, ...]
    """All that were asked, without the end."""
    order: tuple[int, ...]
    """Candidates, best first."""

    @property
    def docids(self) -> tuple[str, ...]:
        """The ranking."""
        return tuple(self.prior.docids[at] for at in self.order)

    @property
    def calls(self) -> int:
        """Windows asked."""
        return sum(len(step.windows) for step in self.steps)

    @property
    def reads(self) -> int:
        """Passages read: the sum of the window sizes."""
        return sum(len(window) for step in self.steps for window in step.windows)

    @property
    def depth(self) -> int:
        """Steps that depend on one another."""
        return sum(1 for step in self.steps if step.windows)


def simulate(strategy: Strategy, prior: Prior, ranker: SimulatedRanker, question: Question = "order") -> Played:
    """Play a strategy for one query."""
    return _played(strategy, prior, lambda window, sample: _answer(ranker, prior, window, sample, question))


def replay(strategy: Strategy, prior: Prior, docids: Sequence[str]) -> Played:
    """Play a strategy against a recorded ranking, as the opinion of a model that never changes its mind; what it
    does not hold comes last, as shown."""
    places = {docid: place for place, docid in enumerate(docids)}
    return _played(
        strategy,
        prior,
        lambda window, _: sorted(
            range(len(window)), key=lambda at: places.get(prior.docids[window[at]], len(places))
        ),
    )


def _played(strategy: Strategy, prior: Prior, answer: Callable[[tuple[int, ...], int], Sequence[int]]) -> Played:
    running = strategy(len(prior.docids), prior.scores)
    steps: list[Step] = []
    try:
        step = next(running)
        while True:
            steps.append(step)
            samples = step.samples or (0,) * len(step.windows)
            step = running.send([answer(*asked) for asked in zip(step.windows, samples, strict=True)])
    except StopIteration as end:
        return Played(prior, tuple(steps), tuple(end.value))


def _answer(
    ranker: SimulatedRanker, prior: Prior, window: Sequence[int], sample: int, question: Question
) -> Sequence[int]:
    docids = [prior.docids[at] for at in window]
    if question == "relevance":
        return ranker.grade(prior.qid, docids, sample)
    order = ranker.rank(prior.qid, docids, sample)
    if question == "choice":
        best = order[0]
        return (best, *(at for at in range(len(order)) if at != best))
    return order
