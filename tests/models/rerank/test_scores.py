"""Scores are read back as they were written, or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.models.rerank.scores import in_order, read_scores, written

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, max_size=50).flatmap(lambda s: st.tuples(st.just(s), st.permutations(range(len(s))))))
def test_any_order_of_an_answer_gives_the_scores_in_order(case: tuple[list[float], Sequence[int]]) -> None:
    scores, order = case
    found = in_order([(at, scores[at]) for at in order], len(scores))
    assert found == scores
    assert read_scores(written(found), len(scores)) == tuple(scores)


@given(st.lists(st.tuples(st.integers(-2, 6), st.floats()), max_size=8), st.integers(0, 5))
def test_what_is_not_one_finite_score_each_is_refused(pairs: list[tuple[int, float]], n: int) -> None:
    whole = sorted(at for at, _ in pairs) == list(range(n)) and all(math.isfinite(score) for _, score in pairs)
    if whole:
        assert len(in_order(pairs, n)) == n
        return
    with pytest.raises(ValueError, match="score"):
        in_order(pairs, n)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.integers(0, 4))
def test_reading_never_raises_and_never_gives_anything_else(value: Any, n: int) -> None:
    scores = read_scores(json.dumps(value), n)
    if scores is not None:
        assert len(scores) == n
        assert all(isinstance(score, float) and math.isfinite(score) for score in scores)
        assert [float(each) for each in value] == list(scores)


@given(st.text(), st.integers(0, 3))
def test_text_that_is_no_json_is_no_scores(text: str, n: int) -> None:
    scores = read_scores(text, n)
    assert scores is None or json.loads(text) == list(scores)


@pytest.mark.parametrize(
    "text", ["[NaN]", "[Infinity]", "[1e999]", "[true]", '["1"]', "[" * 9999, f"[{'9' * 400}]"]
)
def test_odd_numbers_are_no_scores(text: str) -> None:
    assert read_scores(text, 1) is None
