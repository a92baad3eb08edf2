"""The compressor in the real LangChain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="needs langchain-core: make test-adapters")

from langchain_core.callbacks import BaseCallbackHandler, CallbackManager
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import RunnableLambda
from pydantic import ValidationError

from listwise import Candidate, Reranker
from listwise.adapters.langchain import ListwiseCompressor
from tests.adapters.contract import TEXTS, AdapterContract, Ranked

pytestmark = pytest.mark.adapters


def of(texts: Sequence[str]) -> list[Document]:
    return [Document(text, metadata={"source": at}, id=f"id-{at}") for at, text in enumerate(texts)]


def seen(documents: Sequence[Document]) -> Ranked:
    return [(each.page_content, each.metadata["relevance_score"]) for each in documents]


class TestContract(AdapterContract):
    def rank(self, reranker: Reranker, texts: Sequence[str], query: str = "why", top: int | None = None) -> Ranked:
        return seen(ListwiseCompressor(reranker=reranker, top_n=top).compress_documents(of(texts), query))

    async def arank(
        self, reranker: Reranker, texts: Sequence[str], query: str = "why", top: int | None = None
    ) -> Ranked:
        compressor = ListwiseCompressor(reranker=reranker, top_n=top)
        return seen(await compressor.acompress_documents(of(texts), query))


def test_documents_are_copies_that_keep_what_they_had(reranker: Reranker) -> None:
    given = of(TEXTS[:3])
    given[1] = Document("text 7", metadata={"source": {"a": [1]}, "relevance_score": 99}, id="mine")
    before = [each.model_dump() for each in given]
    best, *_ = ListwiseCompressor(reranker=reranker).compress_documents(given, "why")
    assert [each.model_dump() for each in given] == before
    assert (best.id, best.page_content, best.metadata["source"]) == ("mine", "text 7", {"a": [1]})
    assert best.metadata["relevance_score"] == 1.0


def test_the_receipt_is_plain_and_on_every_document(reranker: Reranker) -> None:
    first, second = ListwiseCompressor(reranker=reranker).compress_documents(of(TEXTS[:2]), "why")
    receipt = first.metadata["listwise_receipt"]
    assert receipt == second.metadata["listwise_receipt"]
    assert json.loads(json.dumps(receipt)) == receipt
    assert (receipt["route"], receipt["model"], receipt["calls"]) == ("llm", "vllm/loopback-1", 1)
    assert "listwise_probability" not in first.metadata


def test_the_same_document_twice_comes_back_twice(reranker: Reranker) -> None:
    twice = of(["text 1", "text 5"]) + of(["text 1", "text 5"])
    found = ListwiseCompressor(reranker=reranker).compress_documents(twice, "why")
    assert [each.page_content for each in found] == ["text 5", "text 5", "text 1", "text 1"]


def test_a_calibrated_local_model_says_how_likely() -> None:
    with Reranker(ledger="off") as local:
        found = ListwiseCompressor(reranker=local).compress_documents(
            of(["Paint dries slowly.", "The sky is blue because air scatters blue light."]), "why is the sky blue"
        )
    likely = [each.metadata["listwise_probability"] for each in found]
    assert found[0].page_content.startswith("The sky")
    assert 1 >= likely[0] > likely[1] >= 0


def test_callbacks_are_taken_as_retrievers_give_them(reranker: Reranker) -> None:
    handlers: list[BaseCallbackHandler] = []
    compressor = ListwiseCompressor(reranker=reranker)
    for callbacks in (None, handlers, CallbackManager(handlers)):
        assert len(compressor.compress_documents(of(TEXTS[:2]), "why", callbacks)) == 2
        assert len(asyncio.run(compressor.acompress_documents(of(TEXTS[:2]), "why", callbacks=callbacks))) == 2


def test_in_a_chain(reranker: Reranker) -> None:
    compressor = ListwiseCompressor(reranker=reranker, top_n=1)
    assert isinstance(compressor, BaseDocumentCompressor)

    async def both(query: str) -> list[Document]:
        return await compressor.acompress_documents(of(TEXTS[:4]), query)

    chain: Any = RunnableLambda(lambda query: compressor.compress_documents(of(TEXTS[:4]), query), afunc=both)
    assert [each.page_content for each in chain.invoke("why")] == ["text 3"]
    batches = chain.batch([f"why {at}" for at in range(8)])
    assert [[each.page_content for each in batch] for batch in batches] == [["text 3"]] * 8
    batches = asyncio.run(chain.abatch([f"why not {at}" for at in range(8)]))
    assert [[each.page_content for each in batch] for batch in batches] == [["text 3"]] * 8


def test_a_subclass_of_a_document_stays_one(reranker: Reranker) -> None:
    class Page(Document):
        number: int

    best, *_ = ListwiseCompressor(reranker=reranker).compress_documents(
        [Page(page_content="text 1", number=1), Page(page_content="text 2", number=2)], "why"
    )
    assert isinstance(best, Page)
    assert best.number == 2


@pytest.mark.parametrize("wrong", [{"top_n": 0}, {"top_k": 3}, {"reranker": Candidate("d", "t")}])
def test_wrong_settings_are_refused(reranker: Reranker, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ListwiseCompressor(**{"reranker": reranker, **wrong})
