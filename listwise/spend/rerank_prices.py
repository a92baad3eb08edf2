"""Prices of rerank APIs, which ``genai-prices`` does not know: few, and each with who says so and since when.

Cohere's own page states none per search (October 2026), so its figures are those that resellers and guides give.
Where the source bears no date, neither does the price here. A model that is not listed has no price: its user
states one, or goes without a dollar cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

from listwise.spend.rates import Rates

_COHERE_4 = "https://developer.puter.com/tutorials/cohere-api-pricing/"
_COHERE_3_5 = "https://docs.memberjunction.org/api/classes/_memberjunction_search-engine.CohereReRanker.html"
_VOYAGE = "https://openrouter.ai/voyageai, as at https://docs.voyageai.com/docs/pricing"
_JINA = "https://www.getmaxim.ai/bifrost/llm-cost-calculator/provider/jina_ai/model/jina-reranker-m0.md"


def _by_search(usd: str, source: str, as_of: date) -> Rates:
    return Rates.model_validate({"search_unit": usd, "source": source, "as_of": as_of})


def _by_token(usd_a_million: str, source: str, as_of: date | None) -> Rates:
    return Rates.model_validate({"input": usd_a_million, "output": 0, "source": source, "as_of": as_of})


RERANK_PRICES: Mapping[str, Rates] = MappingProxyType(
    {
        "cohere/rerank-v4.0-pro": _by_search("0.0025", _COHERE_4, date(2026, 6, 1)),
        "cohere/rerank-v4.0-fast": _by_search("0.002", _COHERE_4, date(2026, 6, 1)),
        "cohere/rerank-v3.5": _by_search("0.002", _COHERE_3_5, date(2026, 4, 1)),
        "voyage/rerank-2.5": _by_token("0.05", _VOYAGE, date(2026, 7, 27)),
        "voyage/rerank-2.5-lite": _by_token("0.02", _VOYAGE, date(2026, 7, 27)),
        "jina/jina-reranker-m0": _by_token("0.05", _JINA, None),
    }
)
