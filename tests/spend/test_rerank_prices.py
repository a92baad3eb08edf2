"""Prices of rerank APIs, and the bounds that are reserved by them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.calls import Call, Message, Sampling
from listwise.spend.prices import PriceBook, bound
from listwise.spend.rerank_prices import RERANK_PRICES
from listwise.spend.tokens import BY_BYTES, COMMON_VOCABULARY, counter_for
from listwise.spend.vocabularies import count
from listwise.types import Usage
from tests.loopback import dialects, reranks
from tests.loopback.turns import Asked


def scoring(query: str, *passages: str) -> Call:
    messages = tuple(Message("user", text) for text in (query, *passages))
    return Call(messages, Sampling(0, None), form="scores", passages=len(passages))


def test_each_price_says_who_says_so_and_holds_at_the_vendors_own_host_alone() -> None:
    book = PriceBook()
    own = {"cohere": "https://api.cohere.com/v2", "jina": "https://api.jina.ai/v1"}
    for name, price in RERANK_PRICES.items():
        assert price.source.startswith("https://")
        assert price.as_of is None or date(2026, 1, 1) < price.as_of < date(2027, 1, 1)
        assert book.find(name) == price
        assert book.find(name, own.get(name.partition("/")[0], "https://api.voyageai.com/v1")) == price
        assert book.find(name, "http://127.0.0.1:8000/v1") is None
    assert book.find("tei/cohere/rerank-v3.5") is None
    assert book.find("cohere/rerank-v5.0-pro") is None


def test_prices_are_what_the_vendors_bill() -> None:
    assert RERANK_PRICES["cohere/rerank-v3.5"].cost(Usage(search_units=1000)) == 2 * 10**9
    assert RERANK_PRICES["voyage/rerank-2.5"].cost(Usage(10**6)) == 5 * 10**7


passages = st.lists(st.text(max_size=2000), min_size=1, max_size=12)


@given(st.text(max_size=300), passages)
def test_tokens_are_bounded_by_the_rule_that_voyage_and_jina_bill_by(query: str, texts: list[str]) -> None:
    asked = Asked("POST", "/v1/rerank", {}, {"query": query, "documents": texts})
    billed = reranks.tokens(asked, dialects.tokens_of)
    counted = counter_for("voyage/rerank-2.5").count(scoring(query, *texts))
    assert billed <= counted.bound
    estimate = len(texts) * count(query, COMMON_VOCABULARY) + sum(count(text, COMMON_VOCABULARY) for text in texts)
    assert counted.estimate == estimate


@given(st.text(max_size=600), passages, st.integers(1, 4))
def test_search_units_are_bounded_however_a_tokenizer_splits(
    query: str, texts: list[str], bytes_a_token: int
) -> None:
    """Parts of 500 tokens, the query in each; no tokenizer makes more tokens than bytes."""

    def size(text: str) -> int:
        return -(-len(text.encode()) // bytes_a_token)

    room = max(1, 500 - size(query))
    parts = sum(max(1, -(-min(size(text), 4096) // room)) for text in texts)
    assert BY_BYTES.count(scoring(query, *texts)).search_units >= max(1, -(-parts // 100))


@pytest.mark.parametrize("name", RERANK_PRICES)
def test_a_bound_is_never_below_a_bill_within_it(name: str) -> None:
    price = RERANK_PRICES[name]
    counted = counter_for(name).count(scoring("why", *("x" * 700 for _ in range(150))))
    assert counted.search_units == 3
    most = bound(price, counted.bound, 0, counted.search_units)
    assert most >= price.cost(Usage(counted.bound, search_units=3)) > 0


def test_other_calls_have_no_search_units() -> None:
    assert BY_BYTES.count(Call((Message("user", "x"),), Sampling(1))).search_units == 0
