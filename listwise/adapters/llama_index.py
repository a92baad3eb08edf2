"""A node postprocessor for LlamaIndex: what its query engines call a re-ranker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from listwise.errors import InputError, MissingExtra
from listwise.reranker import Reranker
from listwise.scores import by_position, placed
from listwise.types import Ranking, Receipt, Request

try:
    from llama_index.core.callbacks import CBEventType, EventPayload
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
except ImportError as error:
    raise MissingExtra("the LlamaIndex adapter", "llama-index") from error

from pydantic import Field

_dispatcher = get_dispatcher(__name__)


class ListwisePostprocessor(BaseNodePostprocessor):
    """Puts nodes in order for a query; every one comes back once, or the best ``top_n`` do.

    The nodes themselves are those given, untouched: what is added to a node's metadata would be read by the LLM
    that answers. Their scores are those of `listwise.scores`, of the rank. What the re-ranker reads of a node is
    what an embedding model would (``MetadataMode.EMBED``).

    May be called from any thread and any event loop; the reranker is yours to close.
    """

    reranker: Reranker = Field(exclude=True)
    """Says how, with what and for how much."""
    top_n: int | None = Field(default=None, ge=1)
    """How many nodes come back; None is all."""
    on_receipt: Callable[[Receipt], None] | None = Field(default=None, exclude=True)
    """Called with the receipt of each ranking."""

    @classmethod
    def class_name(cls) -> str:
        """The name that it is serialized by."""
        return "ListwisePostprocessor"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        request = _request(nodes, query_bundle)
        with self._told(nodes, request) as ranked:
            ranked.extend(self._in_order(nodes, self.reranker.rerank(request)))
        return ranked

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        request = _request(nodes, query_bundle)
        with self._told(nodes, request) as ranked:
            ranked.extend(self._in_order(nodes, await self.reranker.arerank_anywhere(request)))
        return ranked

    def _in_order(self, nodes: list[NodeWithScore], ranking: Ranking) -> list[NodeWithScore]:
        if self.on_receipt is not None:
            self.on_receipt(ranking.receipt)
        return [
            NodeWithScore(node=nodes[place.index].node, score=place.score) for place in placed(ranking, self.top_n)
        ]

    @contextmanager
    def _told(self, nodes: list[NodeWithScore], request: Request) -> Iterator[list[NodeWithScore]]:
        """Tell LlamaIndex's two kinds of observers of the nodes before and, as put into the list, after."""
        query, model, top_n = request.query.text, self._model, self.top_n or len(nodes)
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: model,
            EventPayload.QUERY_STR: query,
            EventPayload.TOP_K: top_n,
        }
        ranked: list[NodeWithScore] = []
        _dispatcher.event(ReRankStartEvent(query=query, nodes=nodes, top_n=top_n, model_name=model))
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            yield ranked
            event.on_end(payload={EventPayload.NODES: ranked})
        _dispatcher.event(ReRankEndEvent(nodes=ranked))

    @property
    def _model(self) -> str:
        """What may decide the order, for observers."""
        policy = self.reranker.policy
        return " > ".join((*policy.scorers, *([policy.llm] if policy.llm else []))) or "first stage"


def _request(nodes: list[NodeWithScore], query: QueryBundle | None) -> Request:
    if query is None:
        raise InputError("there is no query to re-rank for: pass query_bundle or query_str")
    texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
    return by_position(query.query_str, texts, [node.score for node in nodes])
