"""Scores fall strictly, and say the order."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from listwise.serve.scores import scores_of, strictly
from listwise.types import Candidate, Query, Ranking, Receipt

probabilities = st.lists(st.floats(0, 1), max_size=60)


def ranking(likely: list[float] | None, n: int, **receipt: dict[str, int]) -> Ranking:
    candidates = tuple(Candidate(str(at), "") for at in range(n))
    return Ranking(
        Query("q", ""),
        candidates,
        Receipt("q", "local", "", n, **receipt),  # type: ignore[arg-type]
        probabilities=None if likely is None else tuple(likely),
    )


@given(st.one_of(probabilities, st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=60)))
def test_scores_fall_strictly_and_move_by_almost_nothing(scores: list[float]) -> None:
    sunk = sorted(scores, reverse=True)
    found = strictly(sunk)
    assert all(first > then for first, then in pairwise(found))
    assert all(0 <= score <= 1 for score in found)
    assert all(abs(one - other) < 1e-12 for one, other in zip(found, sunk, strict=True))


def test_ties_move_apart() -> None:
    assert strictly([1.0, 1.0]) == [1.0, 0.9999999999999999]
    assert strictly([0.0, 0.0]) == [5e-324, 0.0]


def test_probabilities_are_given_only_where_they_decided() -> None:
    assert scores_of(ranking([0.9, 0.2], 2)) == ("probability", [0.9, 0.2])
    assert scores_of(ranking([0.2, 0.9], 2)) == ("rank", [1.0, 0.5])
    assert scores_of(ranking(None, 4)) == ("rank", [1.0, 0.75, 0.5, 0.25])
    assert scores_of(ranking([0.9, 0.2], 2, ordered_by={"m": 1})) == ("rank", [1.0, 0.5])
    assert scores_of(ranking([], 0)) == ("rank", [])
