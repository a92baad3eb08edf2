"""A document compressor for LangChain: what its retrievers call a re-ranker."""

from __future__ import annotations

from collections.abc import Sequence

from listwise.errors import MissingExtra
from listwise.reranker import Reranker
from listwise.scores import by_position, placed, receipt_record
from listwise.types import Ranking, Request

try:
    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import BaseDocumentCompressor, Document
except ImportError as error:
    raise MissingExtra("the LangChain adapter", "langchain") from error

from pydantic import ConfigDict, Field


class ListwiseCompressor(BaseDocumentCompressor):
    """Puts documents in order for a query; every one comes back once, or the best ``top_n`` do.

    Documents are copies of those given, whose metadata gains ``relevance_score`` (`listwise.scores`: of the rank),
    ``listwise_receipt`` (the ranking's, one dict that all documents of a query share) and, where the local model is
    calibrated and was given the document, ``listwise_probability``.

    Both methods may be called from any thread and any event loop; the reranker is yours to close.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    reranker: Reranker
    """Says how, with what and for how much."""
    top_n: int | None = Field(default=None, ge=1)
    """How many documents come back; None is all."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Re-rank documents, given best first. No event is sent to the callbacks.

        Raises:
            ConfigError: the reranker is closed.
            AnswerError: a bad answer, under the policy ``raise`` only.
        """
        return self._in_order(documents, self.reranker.rerank(_request(query, documents)))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """The same, without holding up the event loop; cancelling it cancels what is asked."""
        return self._in_order(documents, await self.reranker.arerank_anywhere(_request(query, documents)))

    def _in_order(self, documents: Sequence[Document], ranking: Ranking) -> list[Document]:
        receipt = receipt_record(ranking.receipt)
        ranked = []
        for place in placed(ranking, self.top_n):
            document = documents[place.index]
            told = {"relevance_score": place.score, "listwise_receipt": receipt}
            if place.probability is not None:
                told["listwise_probability"] = place.probability
            ranked.append(document.model_copy(update={"metadata": {**document.metadata, **told}}))
        return ranked


def _request(query: str, documents: Sequence[Document]) -> Request:
    return by_position(query, [document.page_content for document in documents])
