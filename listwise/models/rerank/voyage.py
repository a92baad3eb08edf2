"""Voyage: ``POST /v1/rerank`` (docs.voyageai.com, "Rerankers"), with its limits as stated there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from listwise.models.rerank.ranks import read_ranks
from listwise.models.rerank.vendor import Limits, Vendor

_DOCUMENT_TOKENS = {
    "rerank-2.5": 32_000,
    "rerank-2.5-lite": 32_000,
    "rerank-2": 16_000,
    "rerank-2-lite": 8_000,
    "rerank-1": 8_000,
    "rerank-lite-1": 4_000,
}
"""Of the query and any one document together."""
_SMALLER_REQUESTS = {"rerank-1", "rerank-lite-1"}


def _limits(model: str) -> Limits:
    return Limits(1000, _DOCUMENT_TOKENS.get(model, 32_000), 300_000 if model in _SMALLER_REQUESTS else 600_000)


def _request(model: str, query: str, documents: Sequence[str]) -> dict[str, Any]:
    return {
        "model": model,
        "query": query,
        "documents": list(documents),
        "top_k": len(documents),
        "return_documents": False,
        "truncation": True,
    }


VOYAGE = Vendor(
    keys=("VOYAGE_API_KEY",),
    needs_key=True,
    address="VOYAGE_BASE_URL",
    base_url="https://api.voyageai.com/v1",
    default_path="/v1",
    hosts=("voyageai.com", "mongodb.com"),
    limits=_limits,
    request=_request,
    read=read_ranks,
)
