"""What clients send, as each vendor documents it, and what is asked by it.

Types are strict and unknown fields are refused, so that a misspelt option is not silently ignored. Of the fields
that vendors know, those are taken that mean something here, or whose only possible meaning is what is done anyway.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from listwise.errors import InputError
from listwise.spend.vocabularies import size

CHUNK_TOKENS = 512
"""Of a chunk, in ``max_chunks_per_doc``: Cohere's v1 cuts documents so."""
VOCABULARY = "o200k_base"
"""By which ``max_tokens_per_doc`` and usage count: offline, and near enough to any vendor's."""


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""JSON has one kind of number: 3.0 is an integer, and some clients write it so."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Wish(_Body):
    """What a client may choose of how it is served; limits only ever tighten the policy's."""

    policy: str | None = None
    """One of those that the operator offers."""
    budget_usd: Decimal | None = Field(default=None, ge=0, strict=False, allow_inf_nan=False)
    deadline_s: float | None = Field(default=None, gt=0, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked, whatever the vendor's shape."""

    query: str
    texts: Sequence[str]
    """Of the documents, in the client's order."""
    model: str | None = None
    top: int | None = None
    """How many results are wanted; None for all."""
    wish: Wish | None = None
    document_tokens: int | None = None
    """How much of a document is read at most."""


class _Rerank(_Body):
    model: str | None = None
    query: str = Field(min_length=1)
    top_n: Annotated[int, Field(ge=0), WHOLE] | None = None
    listwise: Wish | None = None


class Text(_Body):
    """A document as an object."""

    text: str


class CohereV2(_Rerank):
    """``POST /v2/rerank`` of Cohere (docs.cohere.com, "Rerank API (v2)")."""

    documents: list[str | Text] = Field(min_length=1)
    max_tokens_per_doc: Annotated[int, Field(ge=1), WHOLE] | None = None
    return_documents: bool = False

    def ask(self) -> Ask:
        """What is asked."""
        texts = [each if isinstance(each, str) else each.text for each in self.documents]
        return Ask(self.query, texts, self.model, self.top_n or None, self.listwise, self.max_tokens_per_doc)

    def shown(self, at: int) -> Any:
        """A document as it is returned."""
        each = self.documents[at]
        return {"text": each if isinstance(each, str) else each.text}


class RerankV1(_Rerank):
    """``POST /v1/rerank`` of Cohere, of Jina (jina.ai/reranker) and of vLLM (docs.vllm.ai, "Re-rank API")."""

    documents: list[str | dict[str, str]] = Field(min_length=1)
    rank_fields: list[str] | None = Field(default=None, min_length=1)
    """The fields of documents that are objects, which are read; ``text`` if nothing is said."""
    return_documents: bool = False
    max_chunks_per_doc: Annotated[int, Field(ge=1), WHOLE] | None = None
    max_tokens_per_doc: Annotated[int, Field(ge=1), WHOLE] | None = None
    truncation: Literal[True] = True
    """Jina's: what is too long is cut."""
    truncate_prompt_tokens: Literal[-1] | None = None
    """vLLM's: what is too long is cut at the model's own length."""
    truncation_side: Literal["right"] | None = None

    def ask(self) -> Ask:
        """What is asked.

        Raises:
            InputError: a document has none of the fields that are to be read.
        """
        texts = [each if isinstance(each, str) else self._read(at, each) for at, each in enumerate(self.documents)]
        chunks = self.max_chunks_per_doc and self.max_chunks_per_doc * CHUNK_TOKENS
        bounds = [each for each in (chunks, self.max_tokens_per_doc) if each is not None]
        return Ask(self.query, texts, self.model, self.top_n or None, self.listwise, min(bounds, default=None))

    def shown(self, at: int) -> Any:
        """A document as it is returned."""
        each = self.documents[at]
        return {"text": each} if isinstance(each, str) else each

    def _read(self, at: int, document: dict[str, str]) -> str:
        fields = self.rank_fields or ["text"]
        found = {name: document[name] for name in fields if name in document}
        if not found:
            raise InputError(f"documents.{at}: it has none of the fields that are read: {', '.join(fields)}")
        return next(iter(found.values())) if len(fields) == 1 else "\n".join(f"{k}: {v}" for k, v in found.items())


class Voyage(_Body):
    """``POST /v1/rerank`` of Voyage (docs.voyageai.com, "Rerankers")."""

    model: str | None = None
    query: str = Field(min_length=1)
    documents: list[str] = Field(min_length=1)
    top_k: Annotated[int, Field(ge=1), WHOLE] | None = None
    return_documents: bool = False
    truncation: bool = True
    """Accepted either way: what is too long is cut."""
    listwise: Wish | None = None

    def ask(self) -> Ask:
        """What is asked."""
        return Ask(self.query, self.documents, self.model, self.top_k, self.listwise)


class Tei(_Body):
    """``POST /rerank`` of Text Embeddings Inference (huggingface.github.io/text-embeddings-inference)."""

    query: str = Field(min_length=1)
    texts: list[str] = Field(min_length=1)
    raw_scores: bool = False
    """The local model's own scores instead of probabilities, where these would be given."""
    return_text: bool = False
    truncate: bool = False
    """Accepted either way: what is too long is cut."""
    truncation_direction: Literal["right", "Right"] = "right"
    listwise: Wish | None = None

    def ask(self) -> Ask:
        """What is asked."""
        return Ask(self.query, self.texts, wish=self.listwise)


class Try(_Body):
    """``POST /try``: a ranking that is told as it is made; no vendor's."""

    query: str = Field(min_length=1)
    documents: list[str] = Field(min_length=1)
    listwise: Wish | None = None

    def ask(self) -> Ask:
        """What is asked."""
        return Ask(self.query, self.documents, wish=self.listwise)


def cut(text: str, most_tokens: int) -> str:
    """The beginning of a text, with so many tokens at most."""
    if len(text.encode("utf-8", "replace")) <= most_tokens:  # no token has less than a byte
        return text
    if size(text, VOCABULARY) <= most_tokens:
        return text
    places = range(1, len(text))
    fitting = bisect_right(places, most_tokens, key=lambda at: size(text[:at], VOCABULARY))
    return text[:fitting]


def tokens_of(ask: Ask) -> int:
    """Tokens as Voyage and Jina count them: those of the query with every document."""
    return len(ask.texts) * size(ask.query, VOCABULARY) + sum(size(text, VOCABULARY) for text in ask.texts)
