"""What clients are answered, in each vendor's shape: pure."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

from listwise.scores import receipt_record
from listwise.serve.bodies import CohereV2, RerankV1, Tei, Voyage
from listwise.serve.naming import shown_scorer
from listwise.serve.service import Ranked
from listwise.spend.money import plain
from listwise.spend.search_units import DOCUMENTS_A_UNIT
from listwise.types import Receipt


def cohere_v2(ranked: Ranked, body: CohereV2) -> dict[str, Any]:
    """Cohere's second version."""
    return {
        "id": ranked.request_id,
        "results": _results(ranked, body),
        "meta": _meta(ranked, "2"),
        "listwise": extra(ranked),
    }


def rerank_v1(ranked: Ranked, body: RerankV1) -> dict[str, Any]:
    """Cohere's first version, Jina's and vLLM's in one."""
    return {
        "id": ranked.request_id,
        "object": "list",
        "model": ranked.policy,
        "results": _results(ranked, body),
        "usage": {"total_tokens": ranked.tokens, "prompt_tokens": ranked.tokens},
        "meta": _meta(ranked, "1"),
        "listwise": extra(ranked),
    }


def voyage(ranked: Ranked, body: Voyage) -> dict[str, Any]:
    """Voyage's."""
    data = [
        {
            "index": at,
            "relevance_score": score,
            **({"document": body.documents[at]} if body.return_documents else {}),
        }
        for at, score in zip(ranked.places, ranked.scores, strict=False)
    ]
    return {
        "object": "list",
        "data": data,
        "model": ranked.policy,
        "usage": {"total_tokens": ranked.tokens},
        "listwise": extra(ranked),
    }


def tei(ranked: Ranked, body: Tei) -> list[dict[str, Any]]:
    """That of Text Embeddings Inference, which has no room for a receipt: see `headers`."""
    raw = ranked.ranking.local_scores if body.raw_scores and ranked.score_type == "probability" else None
    scores = ranked.scores if raw is None else raw
    return [
        {"index": at, "score": score, **({"text": body.texts[at]} if body.return_text else {})}
        for at, score in zip(ranked.places, scores, strict=False)
    ]


def headers(ranked: Ranked) -> dict[str, str]:
    """The receipt in short, for all shapes."""
    receipt = ranked.ranking.receipt
    return {
        "x-listwise-policy": ranked.policy,
        "x-listwise-route": receipt.route,
        "x-listwise-score-type": ranked.score_type,
        "x-listwise-usd": plain(receipt.usd),
        "x-listwise-degraded": str(len(receipt.degraded)),
        "x-compute-tokens": str(ranked.tokens),
    }


def extra(ranked: Ranked) -> dict[str, Any]:
    """What no vendor's shape has: how the scores are to be read, and the receipt."""
    return {
        "policy": ranked.policy,
        "score_type": ranked.score_type,
        "receipt": receipt_of(ranked.ranking.receipt),
    }


def receipt_of(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON, with local models without the folders in which they lie."""
    stages = tuple(replace(stage, scorer=shown_scorer(stage.scorer)) for stage in receipt.stages)
    return receipt_record(replace(receipt, local=receipt.local and shown_scorer(receipt.local), stages=stages))


def _results(ranked: Ranked, body: CohereV2 | RerankV1) -> list[dict[str, Any]]:
    return [
        {"index": at, "relevance_score": score, **({"document": body.shown(at)} if body.return_documents else {})}
        for at, score in zip(ranked.places, ranked.scores, strict=False)
    ]


def _meta(ranked: Ranked, version: str) -> dict[str, Any]:
    """Search units are Cohere's measure of the work, and no bill: that is the receipt."""
    units = ceil(len(ranked.ranking.candidates) / DOCUMENTS_A_UNIT)
    return {
        "api_version": {"version": version},
        "billed_units": {"search_units": units},
        "tokens": {"input_tokens": ranked.tokens},
    }
