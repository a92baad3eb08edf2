"""Search units, by Cohere's definition."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.spend.search_units import most_search_units


@pytest.mark.parametrize(
    ("query", "documents", "units"),
    [
        (10, [100], 1),
        (10, [100] * 100, 1),
        (10, [100] * 101, 2),
        (10, [490] * 100, 1),
        (10, [491] * 51, 2),
        (10, [5 * 490] * 20, 1),
        (10, [5 * 490 + 1] * 20, 2),
        (10, [0] * 100, 1),
        (10, [], 1),
        (499, [200], 2),
        (2000, [200], 2),
    ],
)
def test_examples(query: int, documents: list[int], units: int) -> None:
    assert most_search_units(query, documents) == units


@given(query=st.integers(0, 1000), documents=st.lists(st.integers(0, 5000), min_size=1, max_size=300))
def test_it_is_a_bound_whether_or_not_the_query_is_repeated_in_each_part(query: int, documents: list[int]) -> None:
    parts = sum(ceil((query + tokens) / 500) if tokens else 1 for tokens in documents)
    if query < 500:
        assert ceil(parts / 100) <= most_search_units(query, documents)
    assert most_search_units(query, documents) >= ceil(len(documents) / 100)


@given(query=st.integers(0, 600), documents=st.lists(st.integers(0, 5000), max_size=50), more=st.integers(0, 500))
def test_more_to_read_is_never_cheaper(query: int, documents: list[int], more: int) -> None:
    units = most_search_units(query, documents)
    assert units <= most_search_units(query + more, documents)
    assert units <= most_search_units(query, [*documents, more])
    assert units <= most_search_units(query, [tokens + more for tokens in documents])
