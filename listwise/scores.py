"""Scores for rankings, for callers that know a re-ranker as what gives each document a number: pure.

A listwise ranking is an order; nobody gave its candidates a number. So the score is that of a rank: 1 for the best
of n, then less by 1/n at every rank, and 1/n for the last. It says nothing of how relevant a candidate is, and does
not compare over queries. What does, where the local model is calibrated, is the probability beside it
(docs/cascades.md).

Callers also know documents by their position only: two may be the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from math import isfinite
from typing import Any

from listwise.errors import InputError
from listwise.types import Candidate, Query, Ranking, Receipt, Request

SCORE_TYPE = "rank"
"""What the scores are, for answers that say so."""


def score_at(rank: int, n: int) -> float:
    """The score at a rank, from 0, of ``n``: in (0, 1], and less at every next one."""
    return (n - rank) / n


@dataclass(frozen=True, slots=True)
class Placed:
    """A document where the ranking has it."""

    index: int
    """Its position among the documents as they were given, from 0."""
    score: float
    """In (0, 1], `score_at` its rank among all, whether they are returned or not."""
    probability: float | None = None
    """That it is relevant, as the local model has it: calibrated, in 0 to 1, and not by the order of the LLM. None
    where that model is not calibrated, or was not given the document."""


def by_position(
    query: str, texts: Sequence[str], scores: Sequence[float | None] | None = None, *, qid: str = "query"
) -> Request:
    """A request in which documents are named by their position, from 0, so that `placed` finds them again.

    Args:
        query: its text.
        texts: best first, as the first stage has them; two may be the same.
        scores: the first stage's, one a text, higher is better; one that is no finite number is left out.
        qid: names the query in receipts and in the ledger.
    """
    given: Sequence[float | None] = [None] * len(texts) if scores is None else scores
    return Request(
        Query(qid, query),
        tuple(
            Candidate(str(at), text, score if score is not None and isfinite(score) else None)
            for at, (text, score) in enumerate(zip(texts, given, strict=True))
        ),
    )


def placed(ranking: Ranking, top_n: int | None = None) -> tuple[Placed, ...]:
    """The documents of a request that was made `by_position`, best first, each with its score.

    Args:
        ranking: of that request.
        top_n: how many are wanted; None is all.

    Raises:
        InputError: ``top_n`` is less than 1.
    """
    check_top_n(top_n)
    n = len(ranking.candidates)
    likely = ranking.probabilities or (None,) * n
    return tuple(
        Placed(int(candidate.docid), score_at(rank, n), probability)
        for rank, (candidate, probability) in enumerate(zip(ranking.candidates, likely, strict=True))
    )[:top_n]


def check_top_n(top_n: int | None) -> None:
    """Whether so many documents can be returned.

    Raises:
        InputError: it is less than 1.
    """
    if top_n is not None and top_n < 1:
        raise InputError(f"top_n is {top_n}: it must be at least 1; leave it out for all documents")


def receipt_record(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON has it: dollars as numbers, exact to the nano-dollar; numbers that are none as None."""
    record: dict[str, Any] = _plain(asdict(receipt))
    return record


def _plain(value: object) -> Any:
    match value:
        case Decimal():
            return float(value)
        case float():
            return value if isfinite(value) else None
        case Mapping():
            return {str(name): _plain(each) for name, each in value.items()}
        case str():
            return value
        case Sequence():
            return [_plain(each) for each in value]
    return value
