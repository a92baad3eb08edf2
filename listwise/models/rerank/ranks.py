"""What several rerank APIs answer alike: ranks, the model, and tokens used."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AliasChoices, Field

from listwise.models.answers import Believable, Body, Tokens, read_body
from listwise.models.failures import Failures
from listwise.models.rerank.vendor import Ranked


class Rank(Body):
    """One document's place."""

    index: int
    relevance_score: float = Field(allow_inf_nan=False)


class _Usage(Body):
    total_tokens: Tokens


class _Reranked(Body):
    results: list[Rank] = Field(validation_alias=AliasChoices("results", "data"))
    model: Believable[str] = None
    usage: Believable[_Usage] = None


def read_ranks(content: bytes, _: Mapping[str, str], failures: Failures) -> Ranked:
    """An answer of Jina and vLLM, whose ranks are ``results``, or of Voyage, whose are ``data``.

    Raises:
        Garbled: it is no such answer; billable.
    """
    body = read_body(_Reranked, content, failures)
    return Ranked(
        [(rank.index, rank.relevance_score) for rank in body.results],
        served_by=body.model,
        tokens=body.usage.total_tokens if body.usage else None,
    )
