"""Strategies by name: how each is made, what it asks of a window, and how many windows it may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, NotRequired, Self, TypedDict, Unpack, get_args

from listwise.errors import ConfigError
from listwise.strategies import adaptive, blitz, pairwise, pointwise, setwise, topdown, tournament, widening
from listwise.strategies.base import Question, Strategy
from listwise.strategies.first import first
from listwise.strategies.single import full, single
from listwise.strategies.sliding import sliding, window_starts
from listwise.strategies.vote import ONE_VOTE, Ballot, vote

StrategyName = Literal[
    "sliding",
    "single",
    "full",
    "first",
    "pointwise",
    "pairwise",
    "pairwise-all",
    "setwise",
    "adaptive",
    "widening",
    "topdown",
    "tournament",
    "blitz",
]


class Measures(TypedDict):
    """What every strategy can be made to measure by."""

    window: int
    """Passages in a window, at most."""
    stride: int
    """Passages that a window moves up."""
    depth: int
    """Candidates that are looked at, from the head."""
    top: NotRequired[int]
    """Candidates at the head that are to be right; by default 10."""
    trust: NotRequired[float]
    """How well the prior's scores are expected to go together with the model's opinion, as a correlation."""
    ballot: NotRequired[Ballot]
    """How often each window is asked, and how one answer is made of several; by default once."""


class Sizes(NamedTuple):
    """What strategies are made to measure by, in passages. Each heeds those that mean something to it."""

    window: int
    """In a window, at most."""
    stride: int
    """That a window moves up."""
    depth: int
    """That are looked at, from the head."""
    top: int
    """At the head that are to be right."""
    trust: float
    """How far the prior's scores are to be trusted, as a correlation."""

    @classmethod
    def of(cls, measures: Measures) -> Self:
        """From measures, with what is usual where they say nothing.

        Raises:
            ConfigError: they do not go together.
        """
        window, stride, depth = measures["window"], measures["stride"], measures["depth"]
        top, trust = measures.get("top", 10), measures.get("trust", adaptive.LOCAL_TRUST)
        if window < 2:
            raise ConfigError(f"window is {window}: a window orders at least 2 passages")
        if not 1 <= stride < window:
            raise ConfigError(f"stride is {stride}: it must be at least 1 and less than the window, {window}")
        if depth < 1:
            raise ConfigError(f"depth is {depth}: at least one candidate must be looked at")
        if top < 1:
            raise ConfigError(f"top is {top}: at least one candidate is to be right")
        if not 0 <= trust < 1:
            raise ConfigError(f"trust is {trust}: a correlation to expect, from 0 to below 1")
        return cls(window, stride, depth, top, trust)

    @property
    def children(self) -> int:
        """Of a node of a heap whose windows are within the limit."""
        return min(setwise.CHILDREN, self.window - 1)


class Known(NamedTuple):
    """A strategy that has a name."""

    make: Callable[[Sizes], Strategy]
    most_windows: Callable[[int, Sizes], int]
    """That it asks for over so many candidates, none below the depth, whatever the answers."""
    question: Question = "order"
    adapts: bool = False
    """Whether what it asks depends on the answers."""
    by_scores: bool = False
    """Whether what it asks depends on the prior's scores."""


_STRATEGIES: dict[StrategyName, Known] = {
    "sliding": Known(
        lambda s: sliding(s.window, s.stride, s.depth), lambda n, s: len(window_starts(n, s.window, s.stride))
    ),
    "single": Known(lambda s: single(min(s.window, s.depth)), lambda n, s: int(n > 1)),
    "full": Known(lambda s: full(s.depth), lambda n, s: int(n > 1)),
    "first": Known(
        lambda s: first(s.window, s.stride, s.depth),
        lambda n, s: len(window_starts(n, s.window, s.stride)),
        "first",
    ),
    "pointwise": Known(lambda s: pointwise.pointwise(s.depth), lambda n, s: pointwise.most_windows(n), "relevance"),
    "pairwise": Known(
        lambda s: pairwise.bubbling(s.top, s.depth), lambda n, s: pairwise.most_windows(n, s.top), "choice", True
    ),
    "pairwise-all": Known(lambda s: pairwise.allpairs(s.depth), lambda n, s: pairwise.most_windows(n, n), "choice"),
    "setwise": Known(
        lambda s: setwise.setwise(s.children, s.top, s.depth),
        lambda n, s: setwise.most_windows(n, s.children, s.top),
        "choice",
        adapts=True,
    ),
    "adaptive": Known(
        lambda s: adaptive.adaptive(s.window, s.depth, s.top, s.trust),
        lambda n, s: adaptive.most_windows(n, s.window, s.top),
        adapts=True,
        by_scores=True,
    ),
    "widening": Known(
        lambda s: widening.widening(s.window, s.depth, s.top, s.trust),
        lambda n, s: widening.most_windows(n, s.window, s.top),
        adapts=True,
        by_scores=True,
    ),
    "topdown": Known(
        lambda s: topdown.topdown(s.window, s.top, s.depth),
        lambda n, s: topdown.most_windows(n, s.window, s.top),
        adapts=True,
    ),
    "tournament": Known(
        lambda s: tournament.tournament(s.window, s.depth), lambda n, s: tournament.most_windows(n, s.window)
    ),
    "blitz": Known(
        lambda s: blitz.blitz(s.window, s.top, s.depth),
        lambda n, s: blitz.most_windows(n, s.window, s.top),
        adapts=True,
    ),
}


def make(name: str, **measures: Unpack[Measures]) -> Strategy:
    """The strategy called ``name``, for the best ``top`` of the first ``depth`` candidates.

    Raises:
        ConfigError: the name is unknown, or the measures do not go together.
    """
    known, sizes = _known(name), Sizes.of(measures)
    ballot = measures.get("ballot", ONE_VOTE)
    return vote(known.make(sizes), ballot, window=sizes.window, top=sizes.top, question=known.question)


def question_of(name: str) -> Question:
    """What the strategy called ``name`` asks of a window.

    Raises:
        ConfigError: the name is unknown.
    """
    return _known(name).question


def adapts(name: str) -> bool:
    """Whether what the strategy called ``name`` asks depends on the answers.

    Raises:
        ConfigError: the name is unknown.
    """
    return _known(name).adapts


def by_scores(name: str) -> bool:
    """Whether what the strategy called ``name`` asks depends on the prior's scores.

    Raises:
        ConfigError: the name is unknown.
    """
    return _known(name).by_scores


def most_windows(name: str, n: int, **measures: Unpack[Measures]) -> int:
    """How many windows the strategy called ``name`` asks for over ``n`` candidates at most, whatever the answers.

    Raises:
        ConfigError: the name is unknown, or the measures do not go together.
    """
    known, sizes = _known(name), Sizes.of(measures)
    once = known.most_windows(min(n, sizes.depth), sizes)
    return measures.get("ballot", ONE_VOTE).most_windows(once, known.question)


def _known(name: str) -> Known:
    if name not in _STRATEGIES:
        raise ConfigError(f"no strategy {name!r}; there are: {', '.join(get_args(StrategyName))}")
    return _STRATEGIES[name]
