"""A component for Haystack: re-ranks documents in a pipeline that can be saved and loaded again."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from listwise.errors import ConfigError, InputError, MissingExtra
from listwise.policy import Policy
from listwise.reranker import Reranker
from listwise.scores import by_position, check_top_n, placed, receipt_record
from listwise.types import Ranking, Request

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as error:
    raise MissingExtra("the Haystack adapter", "haystack") from error

_KEY_IN_ADDRESS = re.compile(r"://[^/\s]*@|[?&][^=\s]*(key|token|secret)[^=\s]*=", re.IGNORECASE)


@component
class ListwiseRanker:
    """Puts documents in order for a query; every one comes back once, or the best ``top_k`` do.

    As Haystack's rankers do, it takes of documents with the same id the first only. Documents that come out are
    copies with a ``score`` of `listwise.scores`, of the rank; the socket ``receipt`` has the ranking's receipt as a
    plain dict.

    Args:
        policy: the name of a shipped policy or a TOML file; the defaults if left out.
        settings: replace the policy's, by name, in values that YAML has: ``{"llm": "openai/gpt-4o"}``. Keys come
            from the environment and are never saved.
        top_k: how many documents come out; None is all. ``run`` may ask for another number.
        meta_fields_to_embed: of a document's meta, read before its content, one a line.

    Raises:
        ConfigError: a setting is unknown or cannot work.
        InputError: ``top_k`` is less than 1.
    """

    def __init__(
        self,
        policy: str | None = None,
        settings: dict[str, Any] | None = None,
        top_k: int | None = None,
        meta_fields_to_embed: list[str] | None = None,
    ) -> None:
        check_top_n(top_k)
        self.policy = policy
        self.settings = dict(settings or {})
        self.top_k = top_k
        self.meta_fields_to_embed = list(meta_fields_to_embed or [])
        self._policy = Policy.of(policy, **self.settings)
        self._reranker: Reranker | None = None
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Load the local model and open cache and ledger; happens by itself at the first run."""
        self._ready()

    async def warm_up_async(self) -> None:
        """The same, without holding up the event loop."""
        await asyncio.to_thread(self._ready)

    def close(self) -> None:
        """Close connections, cache and ledger; another run opens them again."""
        with self._lock:
            reranker, self._reranker = self._reranker, None
        if reranker is not None:
            reranker.close()

    async def close_async(self) -> None:
        """The same, without holding up the event loop."""
        await asyncio.to_thread(self.close)

    def to_dict(self) -> dict[str, Any]:
        """For ``Pipeline.dumps``.

        Raises:
            ConfigError: an address among the settings holds a key.
        """
        _check_keyless(self.settings, "settings")
        saved: dict[str, Any] = default_to_dict(
            self,
            policy=self.policy,
            settings=self.settings,
            top_k=self.top_k,
            meta_fields_to_embed=self.meta_fields_to_embed,
        )
        return saved

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ListwiseRanker:
        """What `to_dict` saved."""
        loaded: ListwiseRanker = default_from_dict(cls, data)
        return loaded

    @component.output_types(documents=list[Document], receipt=dict[str, Any])
    def run(self, query: str, documents: list[Document], top_k: int | None = None) -> dict[str, Any]:
        """Re-rank documents, given best first.

        Args:
            query: its text.
            documents: all of them with content.
            top_k: instead of the component's.

        Returns:
            ``documents``, best first, and ``receipt``.

        Raises:
            InputError: a document has no content, or ``top_k`` is less than 1.
            AnswerError: a bad answer, under the policy ``raise`` only.
        """
        check_top_n(top_k)
        once = _once(documents)
        return self._out(once, self._ready().rerank(self._request(query, once)), top_k)

    @component.output_types(documents=list[Document], receipt=dict[str, Any])
    async def run_async(self, query: str, documents: list[Document], top_k: int | None = None) -> dict[str, Any]:
        """The same as `run`, without holding up the event loop."""
        check_top_n(top_k)
        once = _once(documents)
        reranker = await asyncio.to_thread(self._ready)
        return self._out(once, await reranker.arerank_anywhere(self._request(query, once)), top_k)

    def _ready(self) -> Reranker:
        with self._lock:
            if self._reranker is None:
                self._reranker = Reranker(self._policy)
            return self._reranker

    def _request(self, query: str, documents: Sequence[Document]) -> Request:
        return by_position(
            query, [self._text(document) for document in documents], [document.score for document in documents]
        )

    def _text(self, document: Document) -> str:
        if document.content is None:
            raise InputError(f"document {document.id!r} has no content: only texts can be re-ranked")
        told = [document.meta.get(name) for name in self.meta_fields_to_embed]
        return "\n".join([*(str(each) for each in told if each is not None), document.content])

    def _out(self, documents: Sequence[Document], ranking: Ranking, top_k: int | None) -> dict[str, Any]:
        best = placed(ranking, self.top_k if top_k is None else top_k)
        ranked = [replace(documents[place.index], score=place.score) for place in best]
        return {"documents": ranked, "receipt": receipt_record(ranking.receipt)}


def _once(documents: Sequence[Document]) -> list[Document]:
    """The first document of each id."""
    first: dict[str, Document] = {}
    for document in documents:
        first.setdefault(document.id, document)
    return list(first.values())


def _check_keyless(setting: object, place: str) -> None:
    match setting:
        case str() if _KEY_IN_ADDRESS.search(setting):
            raise ConfigError(
                f"{place}: an address that seems to hold a key is not saved; give the address in the provider's "
                "environment variable instead (OPENAI_BASE_URL, VLLM_BASE_URL, ...)"
            )
        case Mapping():
            for name, each in setting.items():
                _check_keyless(each, f"{place}.{name}")
        case list() | tuple():
            for at, each in enumerate(setting):
                _check_keyless(each, f"{place}.{at}")
