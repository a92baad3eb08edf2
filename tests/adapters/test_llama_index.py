"""The postprocessor in the real LlamaIndex."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("llama_index.core", reason="needs llama-index-core: make test-adapters")

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.base import BaseEvent
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from pydantic import ValidationError

from listwise import InputError, Receipt, Reranker
from listwise.adapters.llama_index import ListwisePostprocessor
from tests.adapters.contract import TEXTS, AdapterContract, Ranked
from tests.loopback import ScriptedServer

pytestmark = pytest.mark.adapters


def of(texts: Sequence[str]) -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(id_=f"n{at}", text=text), score=-at) for at, text in enumerate(texts)]


def seen(nodes: Sequence[NodeWithScore]) -> Ranked:
    return [(each.node.get_content(), each.score or 0.0) for each in nodes]


class TestContract(AdapterContract):
    def rank(self, reranker: Reranker, texts: Sequence[str], query: str = "why", top: int | None = None) -> Ranked:
        postprocessor = ListwisePostprocessor(reranker=reranker, top_n=top)
        return seen(postprocessor.postprocess_nodes(of(texts), query_str=query))

    async def arank(
        self, reranker: Reranker, texts: Sequence[str], query: str = "why", top: int | None = None
    ) -> Ranked:
        postprocessor = ListwisePostprocessor(reranker=reranker, top_n=top)
        return seen(await postprocessor.apostprocess_nodes(of(texts), QueryBundle(query)))


def test_nodes_stay_as_they_are_and_scores_are_new(reranker: Reranker) -> None:
    given = of(TEXTS[:3])
    found = ListwisePostprocessor(reranker=reranker).postprocess_nodes(given, query_str="why")
    assert [each.node for each in found] == [each.node for each in reversed(given)]
    assert found[0].node is given[2].node
    assert [each.score for each in given] == [0, -1, -2]


def test_what_an_embedding_model_reads_is_read(reranker: Reranker, server: ScriptedServer) -> None:
    node = TextNode(
        text="text 1", metadata={"title": "Skies", "path": "/secret"}, excluded_embed_metadata_keys=["path"]
    )
    ListwisePostprocessor(reranker=reranker).postprocess_nodes(
        [NodeWithScore(node=node), *of(["text 2"])], query_str="why"
    )
    (asked,) = server.asked
    assert "title: Skies" in asked.prompt
    assert "/secret" not in asked.prompt


def test_the_receipt_goes_where_it_is_asked_for(reranker: Reranker) -> None:
    receipts: list[Receipt] = []
    postprocessor = ListwisePostprocessor(reranker=reranker, on_receipt=receipts.append)
    postprocessor.postprocess_nodes(of(TEXTS[:2]), query_str="why")
    asyncio.run(postprocessor.apostprocess_nodes(of(TEXTS[:2]), query_str="why not"))
    assert [(each.route, each.calls) for each in receipts] == [("llm", 1), ("llm", 1)]


def test_a_query_is_needed(reranker: Reranker) -> None:
    with pytest.raises(InputError, match="there is no query to re-rank for: pass query_bundle or query_str"):
        ListwisePostprocessor(reranker=reranker).postprocess_nodes(of(TEXTS[:2]))


class Fixed(BaseRetriever):
    """Finds the same nodes for every query."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return of(TEXTS[:6])


@pytest.fixture
def engine(reranker: Reranker) -> BaseQueryEngine:
    return RetrieverQueryEngine.from_args(
        Fixed(), llm=MockLLM(), node_postprocessors=[ListwisePostprocessor(reranker=reranker, top_n=2)]
    )


@pytest.mark.parametrize("how", ["query", "aquery"])
def test_in_a_query_engine(engine: BaseQueryEngine, how: str) -> None:
    answer: Any = engine.query("why") if how == "query" else asyncio.run(engine.aquery("why"))
    assert seen(answer.source_nodes) == [("text 5", 1.0), ("text 4", 5 / 6)]


class Kept(BaseEventHandler):
    events: list[BaseEvent] = []  # noqa: RUF012 - a pydantic field

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.events.append(event)


def test_observers_of_both_kinds_are_told(reranker: Reranker) -> None:
    kept, debug = Kept(), LlamaDebugHandler(print_trace_on_end=False)
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(kept)
    try:
        postprocessor = ListwisePostprocessor(reranker=reranker, top_n=1, callback_manager=CallbackManager([debug]))
        postprocessor.postprocess_nodes(of(TEXTS[:3]), query_str="why")
    finally:
        dispatcher.event_handlers.remove(kept)
    (started,) = (each for each in kept.events if isinstance(each, ReRankStartEvent))
    (ended,) = (each for each in kept.events if isinstance(each, ReRankEndEvent))
    assert (started.query, started.top_n, started.model_name) == ("why", 1, "vllm/loopback-1")
    assert seen(ended.nodes) == [("text 2", 1.0)]
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 1


def test_settings(reranker: Reranker) -> None:
    postprocessor = ListwisePostprocessor(reranker=reranker, top_n=3)
    assert postprocessor.to_dict() == {"top_n": 3, "class_name": "ListwisePostprocessor"}
    for wrong in ({"top_n": 0}, {"reranker": "balanced"}):
        with pytest.raises(ValidationError):
            ListwisePostprocessor(**{"reranker": reranker, **wrong})
