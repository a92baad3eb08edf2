"""The price table of ``genai-prices``. It ships inside that package, so nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from listwise.resources import did_you_mean
from listwise.spend.money import nano_usd_up
from listwise.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

BILLED = (
    *("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok"),
    *("rerank_searches_kcount", "requests_kcount"),
)
"""The table's names for what our calls are billed by; it also prices images, speech and tools."""

TIERS: Mapping[str, Mapping[str, str]] = {
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast"},
    "batch": {"processing": "batch"},
}
"""How the table is asked for the rates of a service tier, by the name that a provider's answer states."""


@dataclass(frozen=True, slots=True)
class TablePrice:
    """The price of a model in the table."""

    price: ModelPrice
    source: str
    by_tier: Mapping[str, ModelPrice] = field(default_factory=dict)
    """Where the table knows other rates for a service tier."""

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for an answer with this usage, rounded up."""
        from genai_prices import Usage as TableUsage

        charged = self._at(usage.service_tier).calc_price(
            TableUsage(
                input_tokens=usage.input_tokens,
                cache_read_tokens=usage.cached_input_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                output_tokens=usage.output_tokens,
                rerank_searches=usage.search_units,
            )
        )
        return nano_usd_up(charged["total_price"])

    @property
    def as_of(self) -> date | None:
        """The table's newest dated change."""
        return _newest_change()

    def rates(self, service_tier: str = "") -> str:
        """See `listwise.spend.prices.Price.rates`."""
        from genai_prices.types import ModelPrice

        price = self._at(service_tier)
        return str(ModelPrice(**{name: getattr(price, name) for name in BILLED}))

    def _at(self, service_tier: str) -> ModelPrice:
        return self.by_tier.get(service_tier, self.price)


@lru_cache(maxsize=256)
def table_price(name: str) -> TablePrice | None:
    """The price of ``provider/name`` today, or None where the table does not know it."""
    from genai_prices import Usage as TableUsage
    from genai_prices import calc_price

    provider, _, model = name.partition("/")
    nothing = TableUsage(input_tokens=1, output_tokens=1)
    try:
        found = calc_price(nothing, model, provider_id=provider)
    except LookupError:
        return None
    by_tier = {
        tier: calc_price(nothing, model, provider_id=provider, price_context=context).model_price
        for tier, context in TIERS.items()
    }
    return TablePrice(found.model_price, f"genai-prices: {found.provider.id}/{found.model.id}", by_tier)


def names_like(name: str) -> str:
    """The end of an error message: the closest model of the table, if there is one."""
    provider, _, _ = name.partition("/")
    return did_you_mean(name, tuple(f"{provider}/{model.id}" for model in _models(provider)))


def _models(provider: str) -> Sequence[Any]:
    from genai_prices.data_snapshot import get_snapshot

    return [model for each in get_snapshot().providers if each.id == provider for model in each.models]


@cache
def _newest_change() -> date | None:
    """The newest day from which on the table knows a price of the providers that we can ask."""
    return max(_changes(), default=None)


def _changes() -> Iterator[date]:
    for provider in ("openai", "anthropic"):
        for model in _models(provider):
            for priced in model.prices if isinstance(model.prices, list) else ():
                begins = getattr(priced.constraint, "start_date", None)
                if begins is not None and begins <= date.today():
                    yield begins
