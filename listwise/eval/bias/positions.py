"""Rank given and top spot by position shown, for one model and one window size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from listwise.eval.bias.effects import Effects, effects_of
from listwise.eval.bias.estimates import Estimate, by_query, p_value, ratios
from listwise.eval.bias.evidence import Design, Evidence, graded, reordered
from listwise.eval.bias.observations import BY_CHANCE, Floats, Ints, Observation, Windows, sets_of

Grades = Mapping[tuple[str, str], float]
"""By qid and docid."""
FEWEST_QUERIES = 6
"""For a test that goes by queries: of five, none can be significant at .05."""


@dataclass(frozen=True, slots=True)
class TopSpot:
    """Where the passages were shown that were answered first."""

    share: tuple[Estimate, ...]
    """Of the windows, by position shown."""
    expected: tuple[float, ...]
    """Did position not matter: 1/n for a confounded design, which says nothing of quality."""
    excess: tuple[Estimate, ...]
    """Share over the one expected."""
    p: float | None
    """Of position not mattering: of so large a sum of (observed - expected)² / expected."""


@dataclass(frozen=True, slots=True)
class Positions:
    """What a position goes together with and, where the design tells it from quality, what it does."""

    design: Design
    size: int
    """Passages in a window."""
    windows: int
    """Answered, of this size."""
    sets: int
    """Sets of passages that were shown in several orders."""
    queries: int
    matrix: tuple[tuple[float, ...], ...]
    """``matrix[shown][given]``: the share of passages shown there that got this rank; both from 0."""
    mean_rank: tuple[Estimate, ...]
    """Mean rank given, from 1, by position shown: position and quality together, unless orders are by chance."""
    top: TopSpot
    effects: Effects | None
    """None for a confounded design."""


def reordered_positions(observations: Sequence[Observation], size: int, seed: int) -> Positions | None:
    """Of sets of passages that were shown in several orders; None if there are none."""
    windows = Windows.of([each for each in observations if each.order in BY_CHANCE], size)
    sets = [each for each, _ in sets_of(windows)]
    if not sets:
        return None
    queries = sorted({int(at) for each in sets for at in each.query})
    number = {at: new for new, at in enumerate(queries)}
    kept = [each.of_queries(number) for each in sets]
    evidence = reordered(kept, size, len(queries), seed)
    query = np.concatenate([np.repeat(each.query, each.rank.shape[1]) for each in kept])
    given = np.concatenate([np.take_along_axis(each.rank, each.shown, axis=2).reshape(-1, size) for each in kept])
    return _positions(evidence, query, given, sum(len(each.query) for each in kept), seed)


def unshuffled_positions(
    observations: Sequence[Observation], size: int, grades: Grades | None, seed: int
) -> Positions | None:
    """Of windows in the first stage's order, adjusted by grade where there are grades; None if too few queries have
    any. Those that a strategy asked after an answer are left out: where a passage stands there is the model's own
    doing."""
    kept = [each for each in observations if each.order in ("asked", "first_stage") and each.step == 0]
    windows = Windows.of(kept, size)
    if len(windows.qids) < FEWEST_QUERIES:
        return None
    evidence = None if grades is None else graded(windows, windows.by_passage(grades), seed)
    if evidence is None:
        evidence = _confounded(windows)
    return _positions(evidence, windows.query, windows.given, 0, seed)


def _confounded(windows: Windows) -> Evidence:
    queries, size = len(windows.qids), windows.size
    top = by_query(windows.query, (windows.given == 0).astype(float), queries)
    nothing = np.zeros((0, size))
    expected = np.broadcast_to(top.sum(axis=1, keepdims=True) / size, top.shape)
    return Evidence(
        "confounded", np.zeros((queries, 0, 0)), np.zeros((queries, size)), top, expected, nothing, nothing
    )


def _positions(evidence: Evidence, query: Ints, given: Ints, sets: int, seed: int) -> Positions:
    queries, size = evidence.cross.shape
    answered = by_query(query, np.ones(len(query)), queries)
    ranks = by_query(query, given.astype(float) + 1, queries)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.broadcast_to(np.arange(size), given.shape), given), 1.0)
    return Positions(
        design=evidence.design,
        size=size,
        windows=len(query),
        sets=sets,
        queries=queries,
        matrix=tuple(tuple(line) for line in (matrix / len(query)).tolist()),
        mean_rank=tuple(ratios(ranks, answered, seed)),
        top=_top(evidence, answered, seed),
        effects=None if evidence.design == "confounded" else effects_of(evidence, seed),
    )


def _top(evidence: Evidence, answered: Floats, seed: int) -> TopSpot:
    expected, found = evidence.expected.sum(axis=0), evidence.top.sum(axis=0)
    possible = expected > 0
    p = None
    if len(evidence.chance_top):
        distance, *by_chance = (
            ((each - expected)[..., possible] ** 2 / expected[possible]).sum(axis=-1)
            for each in (found, evidence.chance_top)
        )
        p = p_value(float(distance), by_chance[0])
    return TopSpot(
        share=tuple(ratios(evidence.top, answered, seed)),
        expected=tuple((expected / answered.sum()).tolist()),
        excess=tuple(ratios(evidence.top - evidence.expected, answered, seed)),
        p=p,
    )
