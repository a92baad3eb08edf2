"""How candidates become requests: each once, in order, and never more than an API takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from listwise.models.rerank.vendor import Limits
from listwise.spend.tokens import BY_BYTES, COMMON_VOCABULARY
from listwise.spend.vocabularies import tokens
from listwise.stages.requests import requests_for
from listwise.types import Candidate, Query

QUERY = Query("q1", "why is the sky blue")


def candidates(*texts: str) -> list[Candidate]:
    return [Candidate(f"d{at}", text) for at, text in enumerate(texts)]


@given(
    st.lists(st.text(max_size=30), max_size=40),
    st.integers(1, 7),
    st.none() | st.integers(1, 12),
    st.none() | st.integers(1, 400),
)
def test_every_candidate_with_text_is_asked_once_and_within_the_limits(
    texts: list[str], documents: int, document_tokens: int | None, request_tokens: int | None
) -> None:
    limits = Limits(documents, document_tokens, request_tokens)
    requests = requests_for(QUERY, candidates(*texts), limits, BY_BYTES)
    blank = [at for at, text in enumerate(texts) if not text.strip()]
    shown = [at for request in requests.each for at in request.positions]
    assert sorted([*shown, *blank]) == list(range(len(texts)))
    assert shown == sorted(shown)
    assert requests.blank == len(blank)
    cut = 0
    for request in requests.each:
        query, *passages = (message.content for message in request.call.messages)
        assert query == QUERY.text
        assert (request.call.form, request.call.passages) == ("scores", len(passages))
        assert request.call.docids == tuple(f"d{at}" for at in request.positions)
        assert 1 <= len(passages) <= documents
        for at, passage in zip(request.positions, passages, strict=True):
            assert texts[at].startswith(passage)
            cut += passage != texts[at]
            assert document_tokens is None or len(tokens(passage, COMMON_VOCABULARY)) <= document_tokens
        if request_tokens and len(passages) > 1:
            assert sum(len(query) + len(passage.encode()) for passage in passages) <= request_tokens
    assert requests.cut == cut


def test_a_long_text_is_cut_close_to_the_limit_and_soon() -> None:
    text = "Rayleigh scattering makes the sky blue; paint dries. " * 20_000  # a megabyte
    (request,) = requests_for(QUERY, candidates(text), Limits(10, 4096), BY_BYTES).each
    assert 3900 <= len(tokens(request.call.messages[1].content, COMMON_VOCABULARY)) <= 4096


def test_surrogates_are_made_sendable_and_titles_are_read() -> None:
    found = requests_for(QUERY, [Candidate("d", "b\ud800", title="A")], Limits(10), BY_BYTES)
    assert found.each[0].call.messages[1].content == "A b?"


def test_a_blank_query_asks_nothing() -> None:
    assert requests_for(Query("q", " \n"), candidates("a"), Limits(10), BY_BYTES).each == ()
