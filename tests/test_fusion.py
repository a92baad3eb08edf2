"""Fusion with the first stage, by its definitions."""

from __future__ import annotations

from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.fusion import Fusion, fuse

SCORES = st.lists(st.none() | st.floats(-1e6, 1e6), max_size=30)


def order(scores: list[float | None]) -> list[int]:
    known = [at for at, score in enumerate(scores) if score is not None]
    return sorted(known, key=lambda at: -(scores[at] or 0.0))


@given(SCORES)
def test_without_fusion_scores_stay_as_they_are(own: list[float | None]) -> None:
    assert fuse("none", 0.7, own, range(len(own)), [None] * len(own)) == own


@pytest.mark.parametrize("how", ["rrf", "sum"])
@given(own=SCORES, weight=st.floats(0, 1))
def test_who_has_no_score_gets_none(how: Fusion, own: list[float | None], weight: float) -> None:
    fused = fuse(how, weight, own, range(len(own)), [float(-at) for at in range(len(own))])
    assert [score is None for score in fused] == [score is None for score in own]


@pytest.mark.parametrize("how", ["rrf", "sum"])
@given(own=st.lists(st.integers(-1000, 1000), min_size=1, max_size=30, unique=True))
def test_all_the_weight_on_one_side_is_that_sides_order(how: Fusion, own: list[int]) -> None:
    mine: list[float | None] = [float(score) for score in own]
    theirs = [float(-at) for at in range(len(own))]
    assert order(fuse(how, 0.0, mine, range(len(own)), theirs)) == order(mine)
    assert order(fuse(how, 1.0, mine, range(len(own)), theirs)) == list(range(len(own)))


def test_reciprocal_ranks_are_those_of_the_paper() -> None:
    first, second, third = fuse("rrf", 0.5, [0.1, 0.3, None], [0, 4, 1], [None] * 3)
    assert third is None
    assert first is not None
    assert second is not None
    assert isclose(2 * first, 1 / 62 + 1 / 61)
    assert isclose(2 * second, 1 / 61 + 1 / 65)


def test_the_sum_is_of_standard_deviations() -> None:
    assert fuse("sum", 0.25, [10.0, 30.0], [0, 1], [3.0, 1.0]) == [-0.75 + 0.25, 0.75 - 0.25]
    assert fuse("sum", 0.25, [5.0, 5.0], [0, 1], [3.0, 1.0]) == [0.25, -0.25], "no spread says nothing"


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=20), st.integers(1, 1000), st.integers(-1000, 1000))
def test_a_scorers_scale_does_not_count(own: list[int], factor: int, shift: int) -> None:
    theirs = [float(-at) for at in range(len(own))]
    plain = fuse("sum", 0.5, [float(score) for score in own], range(len(own)), theirs)
    scaled = fuse("sum", 0.5, [float(factor * score + shift) for score in own], range(len(own)), theirs)
    assert plain == pytest.approx(scaled, abs=1e-6)
