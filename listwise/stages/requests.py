"""How candidates become requests to a rerank API. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from listwise.calls import Call, Message, Sampling
from listwise.models.rerank.vendor import Limits
from listwise.spend.tokens import COMMON_VOCABULARY, TokenCounter
from listwise.spend.vocabularies import tokens
from listwise.types import Candidate, Query

WIDEST_TOKEN = 16
"""Characters of a token at most, but for runs of spaces and the like."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """One request."""

    positions: tuple[int, ...]
    """Which of the candidates it shows, in this order."""
    call: Call


@dataclass(frozen=True, slots=True)
class Requests:
    """All that must be asked to score some candidates."""

    each: tuple[ScoreRequest, ...]
    cut: int = 0
    """Candidates of which the end is not sent."""
    blank: int = 0
    """Candidates that are not sent: there is nothing in them, and the servers refuse what is empty."""
    blank_query: bool = False
    """Whether nothing is sent, as there is nothing in the query."""


def requests_for(query: Query, candidates: Sequence[Candidate], limits: Limits, counter: TokenCounter) -> Requests:
    """Requests of as many candidates as one may hold, in the order given. A blank query makes none."""
    asked = _sendable(query.text)
    if not asked.strip():
        return Requests((), blank_query=True)
    texts, cut = {}, 0
    for at, candidate in enumerate(candidates):
        whole = _sendable(candidate.content)
        if whole.strip():
            texts[at] = _beginning(whole, limits.document_tokens)
            cut += len(texts[at]) < len(whole)
    each = tuple(
        ScoreRequest(positions, _call(query, asked, [(candidates[at].docid, texts[at]) for at in positions]))
        for positions in _split(asked, texts, limits, counter)
    )
    return Requests(each, cut, len(candidates) - len(texts))


def _split(query: str, texts: dict[int, str], limits: Limits, counter: TokenCounter) -> list[tuple[int, ...]]:
    """The positions of each request. Tokens are bounded, so that no request is refused for its size."""
    groups: list[list[int]] = []
    room = 0
    with_query = counter.bound(query)
    for at, text in texts.items():
        size = with_query + counter.bound(text) if limits.request_tokens else 0
        if not groups or len(groups[-1]) == limits.documents or size > room:
            groups.append([])
            room = limits.request_tokens or 0
        groups[-1].append(at)
        room -= size
    return [tuple(group) for group in groups]


def _call(query: Query, asked: str, passages: Sequence[tuple[str, str]]) -> Call:
    return Call(
        (Message("user", asked), *(Message("user", text) for _, text in passages)),
        Sampling(max_output_tokens=0, temperature=None),
        form="scores",
        passages=len(passages),
        qid=query.qid,
        docids=tuple(docid for docid, _ in passages),
    )


def _beginning(text: str, limit: int | None) -> str:
    """A text's beginning of at most so many tokens of a common vocabulary, and about that many if it has more."""
    if limit is None or len(text.encode()) <= limit:
        return text
    text = text[: limit * WIDEST_TOKEN]
    while (size := len(tokens(text, COMMON_VOCABULARY))) > limit:
        text = text[: len(text) * limit // size]
    return text


def _sendable(text: str) -> str:
    """The text as UTF-8 can carry it: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode()
