"""A transformer for PyTerrier: re-ranks the results of what comes before it in a pipeline. Needs no Java."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import isfinite
from typing import TYPE_CHECKING, Any

from listwise.errors import InputError, MissingExtra
from listwise.reranker import Reranker
from listwise.scores import score_at
from listwise.types import Candidate, Query, Receipt, Request

try:
    import pyterrier as pt
except ImportError as error:
    raise MissingExtra("the PyTerrier adapter", "pyterrier") from error

if TYPE_CHECKING:
    import pandas as pd


class ListwiseTransformer(pt.Transformer):
    """Re-ranks results (``qid``, ``query``, ``docno`` and a text), query by query; goes after ``pt.text.get_text``.

    Every row comes back once with all its columns, queries in the order in which they came, best document first;
    ``score`` is that of `listwise.scores`, of the rank, and ``rank`` begins with PyTerrier's own first rank. The
    first stage's order is that of ``rank`` where there is such a column, else of ``score``, else of the rows; its
    scores are passed on to policies that fuse them. All queries of a frame are ranked together, several at a time,
    so a policy that escalates a share of them sees them all.

    The reranker is yours to close.
    """

    def __init__(
        self,
        reranker: Reranker,
        *,
        text_field: str = "text",
        on_receipt: Callable[[Receipt], None] | None = None,
    ) -> None:
        """Args: ``text_field`` is the column to read; ``on_receipt`` is called with each ranking's receipt."""
        super().__init__()
        self.reranker = reranker
        self.text_field = text_field
        self.on_receipt = on_receipt

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Re-rank the results of one query or many.

        Raises:
            InputValidationError: a column is missing (PyTerrier's own error).
            InputError: a text is none, a query has a document twice, or rows of one qid have different queries.
        """
        pt.validate.result_frame(inp, extra_columns=["query", self.text_field], context=self)
        rows = _by_query(inp)
        requests = [self._request(str(qid), inp.iloc[places]) for qid, places in rows.items()]
        order: list[int] = []
        ranks: list[int] = []
        scores: list[float] = []
        for places, request, ranking in zip(
            rows.values(), requests, self.reranker.rerank_many(requests), strict=True
        ):
            if self.on_receipt is not None:
                self.on_receipt(ranking.receipt)
            place_of = {each.docid: at for each, at in zip(request.candidates, places, strict=True)}
            order += [place_of[docid] for docid in ranking.docids]
            ranks += range(pt.model.FIRST_RANK, pt.model.FIRST_RANK + len(places))
            scores += [score_at(rank, len(places)) for rank in range(len(places))]
        return (
            inp.iloc[order]
            .reset_index(drop=True)
            .assign(score=scores, rank=ranks)
            .astype({"score": float, "rank": int})
        )

    def _request(self, qid: str, rows: pd.DataFrame) -> Request:
        """One query's rows, best first, as a request."""
        queries = set(rows["query"])
        if len(queries) != 1:
            raise InputError("its rows have different queries", qid=qid)
        scores = rows["score"] if "score" in rows.columns else [None] * len(rows)
        return Request(
            Query(qid, str(queries.pop())),
            tuple(
                Candidate(str(docno), self._text(qid, docno, text), _number(score))
                for docno, text, score in zip(rows["docno"], rows[self.text_field], scores, strict=True)
            ),
        )

    def _text(self, qid: str, docno: object, text: object) -> str:
        if not isinstance(text, str):
            raise InputError(
                f"document {docno!r} has no text in the column {self.text_field!r} (found {text!r}): "
                "put pt.text.get_text(...) before, or leave such documents out",
                qid=qid,
            )
        return text

    def __repr__(self) -> str:
        policy = self.reranker.policy
        return f"ListwiseTransformer(local={policy.scorers}, llm={policy.llm!r}, text_field={self.text_field!r})"


def _by_query(results: pd.DataFrame) -> dict[Hashable, list[int]]:
    """The rows of each qid by their place, from 0, in first-stage order; qids as they first come."""
    rows: dict[Hashable, list[int]] = {}
    for at, qid in enumerate(results["qid"]):
        rows.setdefault(qid, []).append(at)
    for column, best in (("rank", 1), ("score", -1)):
        if column in results.columns:
            values = results[column].tolist()
            for places in rows.values():
                places.sort(key=lambda at: best * values[at])
            break
    return rows


def _number(score: Any) -> float | None:
    return float(score) if score is not None and isfinite(score) else None
