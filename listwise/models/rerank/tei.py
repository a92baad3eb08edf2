"""Text Embeddings Inference: ``POST /rerank`` (huggingface.github.io/text-embeddings-inference)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict, Field, RootModel

from listwise.models.answers import MOST_TOKENS, Body, read_body
from listwise.models.failures import Failures
from listwise.models.rerank.vendor import Limits, Ranked, Vendor

TOKENS_HEADER = "x-compute-tokens"
"""Where it says what it read; its body does not."""
CLIENT_BATCH = 32
"""Its ``--max-client-batch-size``, unless it was started with another one."""


class _Rank(Body):
    index: int
    score: float = Field(allow_inf_nan=False)


class _Ranks(RootModel[list[_Rank]]):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


def _request(model: str, query: str, documents: Sequence[str]) -> dict[str, Any]:
    """It serves one model, whose name it is not told. ``truncate`` cuts at the model's own length."""
    return {"query": query, "texts": list(documents), "truncate": True, "raw_scores": False, "return_text": False}


def _read(content: bytes, headers: Mapping[str, str], failures: Failures) -> Ranked:
    body = read_body(_Ranks, content, failures)
    said = headers.get(TOKENS_HEADER, "")
    tokens = int(said) if said.isascii() and said.isdecimal() and len(said) < 10 else None
    return Ranked(
        [(rank.index, rank.score) for rank in body.root],
        tokens=tokens if tokens is not None and tokens <= MOST_TOKENS else None,
    )


TEI = Vendor(
    keys=("TEI_API_KEY",),
    needs_key=False,
    address="TEI_BASE_URL",
    base_url=None,
    default_path="",
    hosts=(),
    limits=lambda _: Limits(CLIENT_BATCH),
    request=_request,
    read=_read,
)
