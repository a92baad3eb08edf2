"""Cohere: ``POST /v2/rerank`` (docs.cohere.com, "Rerank API (v2)"). Billed by search units, by tokens since v5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from pydantic import Field

from listwise.models.answers import MOST_TOKENS, Believable, Body, read_body
from listwise.models.failures import Failures
from listwise.models.rerank.ranks import Rank
from listwise.models.rerank.vendor import Limits, Ranked, Vendor
from listwise.spend.search_units import LONGEST_DOCUMENT


class _Billed(Body):
    """Cohere's schema has numbers with a point for both."""

    search_units: float | None = Field(default=None, ge=0, le=MOST_TOKENS, allow_inf_nan=False)
    input_tokens: float | None = Field(default=None, ge=0, le=MOST_TOKENS, allow_inf_nan=False)


class _Meta(Body):
    billed_units: Believable[_Billed] = None


class _Reranked(Body):
    results: list[Rank]
    meta: Believable[_Meta] = None


def _request(model: str, query: str, documents: Sequence[str]) -> dict[str, Any]:
    return {
        "model": model,
        "query": query,
        "documents": list(documents),
        "top_n": len(documents),
        "max_tokens_per_doc": LONGEST_DOCUMENT,
    }


def _read(content: bytes, headers: Mapping[str, str], failures: Failures) -> Ranked:
    body = read_body(_Reranked, content, failures)
    billed = (body.meta and body.meta.billed_units) or _Billed()
    return Ranked(
        [(rank.index, rank.relevance_score) for rank in body.results],
        tokens=None if billed.input_tokens is None else ceil(billed.input_tokens),
        search_units=None if billed.search_units is None else ceil(billed.search_units),
    )


COHERE = Vendor(
    keys=("COHERE_API_KEY", "CO_API_KEY"),
    needs_key=True,
    address="COHERE_BASE_URL",
    base_url="https://api.cohere.com/v2",
    default_path="/v2",
    hosts=("cohere.com", "cohere.ai"),
    limits=lambda _: Limits(1000, LONGEST_DOCUMENT),
    request=_request,
    read=_read,
)
