"""Search units: what rerank APIs bill by instead of tokens.

Cohere's definition: one unit is a query with up to 100 documents; a document that is longer than 500 tokens
together with the query is split, and each part counts as a document. Cohere states its prices for 1,000 units,
listwise for one.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

DOCUMENTS_A_UNIT = 100
TOKENS_A_DOCUMENT = 500
"""Those of the query included."""
LONGEST_DOCUMENT = 4096
"""Tokens of a document that Cohere reads and bills: its default of ``max_tokens_per_doc``, which is sent all the
same."""


def most_search_units(query_tokens: int, document_tokens: Iterable[int]) -> int:
    """How many units one request for these documents is billed at most.

    As many as there are if the query is repeated with each part of a document that is split. It is a bound if the
    tokens are one each. What the API cuts off (`LONGEST_DOCUMENT`) does not count.
    """
    room = max(1, TOKENS_A_DOCUMENT - query_tokens)
    documents = sum(max(1, ceil(min(tokens, LONGEST_DOCUMENT) / room)) for tokens in document_tokens)
    return max(1, ceil(documents / DOCUMENTS_A_UNIT))
