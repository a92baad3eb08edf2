"""Jina (``POST /v1/rerank``, jina.ai/reranker), and vLLM, which speaks the same (docs.vllm.ai, "Re-rank API")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from listwise.models.rerank.ranks import read_ranks
from listwise.models.rerank.vendor import Limits, Vendor

LONGEST_DOCUMENT = 8192
"""Tokens of a document that are sent to Jina: its models read no more of one, its interface states no limit."""


def _jina_request(model: str, query: str, documents: Sequence[str]) -> dict[str, Any]:
    return {
        "model": model,
        "query": query,
        "documents": list(documents),
        "top_n": len(documents),
        "return_documents": False,
    }


def _vllm_request(model: str, query: str, documents: Sequence[str]) -> dict[str, Any]:
    """``truncate_prompt_tokens`` of -1 keeps as much as the model reads, where vLLM would refuse the request."""
    return {
        "model": model,
        "query": query,
        "documents": list(documents),
        "top_n": len(documents),
        "truncate_prompt_tokens": -1,
        "truncation_side": "right",
    }


JINA = Vendor(
    keys=("JINA_API_KEY",),
    needs_key=True,
    address="JINA_BASE_URL",
    base_url="https://api.jina.ai/v1",
    default_path="/v1",
    hosts=("jina.ai",),
    limits=lambda _: Limits(1000, LONGEST_DOCUMENT),
    request=_jina_request,
    read=read_ranks,
)
VLLM = Vendor(
    keys=("VLLM_API_KEY",),
    needs_key=False,
    address="VLLM_BASE_URL",
    base_url=None,
    default_path="/v1",
    hosts=(),
    limits=lambda _: Limits(1000),
    request=_vllm_request,
    read=read_ranks,
)
