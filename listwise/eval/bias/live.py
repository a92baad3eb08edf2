"""A live study: which windows it asks for, through the public re-ranker, its cache, ledger and caps.

Each order of a window is a request of its own, read once, as it stands. Answers are kept in the cache under their
prompts, so that a study that was interrupted, or is enlarged, asks only for what is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from listwise.errors import InputError
from listwise.eval.bias.mending import Played
from listwise.eval.bias.observations import Observation
from listwise.eval.bias.orders import Shown, arranged, shuffles
from listwise.policy import Policy
from listwise.strategies import StrategyName
from listwise.types import Candidate, Ranking, Request

ONE_ANSWER = "one answer"
STARTS = 2
"""Random orders of the candidates from which each system begins."""


@dataclass(frozen=True, slots=True)
class Design:
    """What a study asks."""

    window: int = 20
    """Passages in a window."""
    depth: int = 20
    """Candidates of a query that are cut into windows."""
    sizes: tuple[int, ...] = ()
    """Other window sizes that are compared with it."""
    shuffles: int = 10
    """Random orders of each window."""
    votes: int = 1
    """If more: so many votes, of random and of balanced orders, are compared with one answer."""
    strategies: tuple[StrategyName, ...] = ()
    """Compared with one answer, each from shuffled candidates."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """A window in one order, and the request that asks for it."""

    request: Request
    shown: Shown


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask, of those whose rankings are compared."""

    name: str
    policy: Policy


def windows_asked(
    requests: Sequence[Request], design: Design, grades: Mapping[str, Mapping[str, int]]
) -> list[Asked]:
    """Every order of every window; only those of the main size are also arranged on purpose.

    Raises:
        InputError: no query has as many candidates as one window.
    """
    found = [asked for each in requests for asked in _of_query(each, design, grades.get(each.query.qid, {}))]
    if not found:
        raise InputError(f"no query has {design.window} candidates: take smaller windows with --window")
    return found


def _of_query(request: Request, design: Design, grades: Mapping[str, int]) -> Iterator[Asked]:
    qid, head = request.query.qid, request.candidates[: design.depth]
    for size in (design.window, *design.sizes):
        for start in range(0, len(head) - size + 1, size):
            window = {each.docid: each for each in head[start : start + size]}
            seed = f"{design.seed} {qid} {size} {start}"
            orders = shuffles(tuple(window), design.shuffles, seed)
            if size == design.window:
                orders += arranged(tuple(window), grades, seed)
            for shown in orders:
                yield Asked(_in_order(request, window, shown.docids), shown)


def _in_order(request: Request, passages: Mapping[str, Candidate], docids: Sequence[str]) -> Request:
    """Without scores, which would speak of another order."""
    return Request(request.query, tuple(replace(passages[docid], score=None) for docid in docids))


def window_policy(design: Design, settings: Mapping[str, Any]) -> Policy:
    """How single windows are asked.

    Raises:
        ConfigError: a setting cannot be.
    """
    largest = max(design.window, *design.sizes, 2)
    return Policy.of(None, **settings, **_PLAIN, strategy="single", window=largest, stride=1, depth=largest)


def ways(design: Design, settings: Mapping[str, Any]) -> list[list[Way]]:
    """The ways to ask whose rankings are compared: votes with one answer to the head window, strategies over all
    candidates with the first of them. Each group begins with what the others are compared with."""
    one = Way(ONE_ANSWER, window_policy(replace(design, sizes=()), settings))
    votes = [
        Way(f"{design.votes} {shuffle} votes", Policy.of(one.policy, votes=design.votes, shuffle=shuffle))
        for shuffle in ("random", "balanced")
    ]
    sizes = {"window": design.window, "stride": max(1, design.window // 2), "depth": design.depth}
    strategies = [
        Way(name, Policy.of(None, **settings, **_PLAIN, strategy=name, **sizes)) for name in design.strategies
    ]
    return [group for group in ([one, *votes] if design.votes > 1 else [], strategies) if group]


_PLAIN: Mapping[str, Any] = {"local": "none", "escalate": "always", "guard": "off", "duplicates": "apart"}
"""Nothing stands between the order shown and the model."""


def starts_asked(requests: Sequence[Request], design: Design, way: Way) -> list[Request]:
    """Each query's candidates in `STARTS` random orders: the head window's, or all, as deep as the way reads.

    Those of the head window are the first of the orders that it is shown in anyway.
    """
    depth = design.window if way.policy.strategy == "single" else design.depth
    found = []
    for request in requests:
        head = {each.docid: each for each in request.candidates[:depth]}
        if len(head) == depth:
            seed = f"{design.seed} {request.query.qid} {depth} 0"
            found += [_in_order(request, head, each.docids) for each in shuffles(tuple(head), STARTS, seed)]
    return found


def observation_of(asked: Asked, ranking: Ranking) -> Observation | None:
    """What came of a window; ``ranking`` carries its trace. None where no answer came: the budget was spent, or the
    model cannot be reached."""
    if not ranking.windows or ranking.windows[-1].answer is None:
        return None
    last, shown = ranking.windows[-1], asked.shown
    return Observation(
        last.model, ranking.query.qid, last.docids, last.permutation, last.repairs, shown.order, shown.sample
    )


def played_of(ranking: Ranking) -> Played | None:
    """A ranking that is compared with others of its query; ``ranking`` carries its trace. None where some window
    got no answer, so that the order is not the model's."""
    if not ranking.windows or any(window.answer is None for window in ranking.windows):
        return None
    return Played(ranking.query.qid, ranking.docids, ranking.receipt.calls)


def whole(played: Mapping[str, Sequence[Played]]) -> dict[str, list[Played]]:
    """Of the systems of a group, the rankings of queries that each of them ranked from all `STARTS`."""
    counts = Counter(each.qid for rankings in played.values() for each in rankings)
    kept = {qid for qid, count in counts.items() if count == STARTS * len(played)}
    return {name: [each for each in rankings if each.qid in kept] for name, rankings in played.items()}
