"""Scores of ranks, and documents by their position."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise import InputError, Ranking, Receipt
from listwise.scores import by_position, placed, receipt_record, score_at

RECEIPT = Receipt("q", "local", "because", 3)


def ranking_of(order: list[int], probabilities: tuple[float | None, ...] | None = None) -> Ranking:
    request = by_position("what", ["same", "same", "other", "more"][: len(order)])
    return Ranking(
        request.query, tuple(request.candidates[at] for at in order), RECEIPT, probabilities=probabilities
    )


def test_documents_keep_their_position_and_the_score_is_that_of_the_rank() -> None:
    found = placed(ranking_of([2, 0, 3, 1], (0.1, None, 0.9, 0.2)))
    assert [(each.index, each.score, each.probability) for each in found] == [
        (2, 1.0, 0.1),
        (0, 0.75, None),
        (3, 0.5, 0.9),
        (1, 0.25, 0.2),
    ]


def test_the_first_ones_have_the_scores_they_would_have_among_all() -> None:
    ranking = ranking_of([2, 0, 1])
    assert placed(ranking, 2) == placed(ranking)[:2]
    assert placed(ranking, 9) == placed(ranking)
    assert placed(ranking_of([])) == ()


@pytest.mark.parametrize("top_n", [0, -1])
def test_no_fewer_than_one_can_be_asked_for(top_n: int) -> None:
    with pytest.raises(InputError, match=f"top_n is {top_n}: it must be at least 1"):
        placed(ranking_of([0]), top_n)


@given(st.integers(2, 10**6), st.data())
def test_scores_fall_with_the_rank_and_stay_positive(n: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, n - 2))
    assert 0 < score_at(rank + 1, n) < score_at(rank, n) <= 1 == score_at(0, n)


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=8))
def test_only_finite_scores_of_the_first_stage_are_taken(scores: list[float | None]) -> None:
    request = by_position("what", ["text"] * len(scores), scores)
    kept = [score if score is not None and abs(score) < float("inf") else None for score in scores]
    assert [each.score for each in request.candidates] == kept
    assert [each.docid for each in request.candidates] == [str(at) for at in range(len(scores))]


def test_a_receipt_is_plain_json() -> None:
    receipt = replace(
        RECEIPT, usd=Decimal("0.000000123"), signal=float("inf"), ordered_by={"sim/a": 2}, notes=("n",)
    )
    record = receipt_record(receipt)
    assert (record["usd"], record["signal"], record["ordered_by"], record["notes"]) == (
        1.23e-07,
        None,
        {"sim/a": 2},
        ["n"],
    )
    assert json.loads(json.dumps(record, allow_nan=False)) == record
