"""The rerank APIs that the tests run over, and calls to put to them."""

from __future__ import annotations

from dataclasses import dataclass

from listwise.calls import Call, Message, Sampling
from listwise.models.rerank import load_rerank_model
from listwise.models.rerank.model import RerankModel
from tests.loopback import ScriptedServer

KEY = "rerank-very-secret-0123456789"


@dataclass(frozen=True)
class Api:
    """One vendor's interface."""

    name: str
    path: str

    def at(self, server: ScriptedServer) -> RerankModel:
        """As it is loaded by an address without a path."""
        return load_rerank_model(self.name, base_url=server.root, api_key=KEY)


APIS = (
    Api("cohere/rerank-v3.5", "/v2/rerank"),
    Api("jina/jina-reranker-v2-base-multilingual", "/v1/rerank"),
    Api("voyage/rerank-2.5", "/v1/rerank"),
    Api("tei/bge-reranker-base", "/rerank"),
    Api("vllm/BAAI/bge-reranker-v2-m3", "/v1/rerank"),
)


def scoring(*passages: str, query: str = "why is the sky blue") -> Call:
    """A call for scores."""
    return Call(
        tuple(Message("user", text) for text in (query, *(passages or ("grass", "scattering", "paint")))),
        Sampling(0, None),
        form="scores",
        passages=len(passages) or 3,
    )
