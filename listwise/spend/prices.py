"""What a model's tokens cost: the user's own prices first, then the price table of ``genai-prices``.

The table ships inside that package, so nothing is fetched. Prices change over time; the table knows since when
each holds, and the day of the call decides.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from listwise.errors import InputError, Unpriced
from listwise.spend.money import nano_usd_up
from listwise.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

PER_MILLION = Decimal(10) ** 6


class Price(Protocol):
    """Turns tokens into nano-dollars."""

    @property
    def source(self) -> str:
        """Where the rates come from, for the receipt and the user."""
        ...

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for an answer with this usage, rounded up."""
        ...


class Rates(BaseModel):
    """A user's own price of one model, in USD per million tokens.

    ``cached_input`` and ``cache_write`` default to the rate of ordinary input, which is never too low for cached
    input; ``call`` is USD per request.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cached_input: Decimal | None = Field(default=None, ge=0)
    cache_write: Decimal | None = Field(default=None, ge=0)
    call: Decimal = Field(default=Decimal(0), ge=0)
    source: str = "price file"

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for an answer with this usage, rounded up."""
        cached, written = usage.cached_input_tokens, usage.cache_write_tokens
        plain = usage.input_tokens - cached - written
        usd = (
            plain * self.input
            + cached * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + usage.output_tokens * self.output
        ) / PER_MILLION
        return nano_usd_up(usd + self.call)


@dataclass(frozen=True, slots=True)
class TablePrice:
    """The price of a model in the table of ``genai-prices``."""

    price: ModelPrice
    source: str

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for an answer with this usage, rounded up."""
        from genai_prices import Usage as TableUsage

        charged = self.price.calc_price(
            TableUsage(
                input_tokens=usage.input_tokens,
                cache_read_tokens=usage.cached_input_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                output_tokens=usage.output_tokens,
            )
        )
        return nano_usd_up(charged["total_price"])


def bound(price: Price, input_tokens: int, output_tokens: int) -> int:
    """Nano-dollars that an answer can cost at most, at the dearest rate that its input can be billed at."""
    i, o = input_tokens, output_tokens
    return max(price.cost(usage) for usage in (Usage(i, 0, 0, o), Usage(i, i, 0, o), Usage(i, 0, i, o)))


class PriceBook:
    """Finds the price of a model by its name, ``provider/name``."""

    def __init__(self, own: Mapping[str, Rates] | None = None) -> None:
        self._own = dict(own or {})

    def find(self, name: str, base_url: str | None = None) -> Price | None:
        """The price of a model, or None where nobody states one.

        The table's prices are those of the providers' own servers: a model behind another ``base_url`` has
        a price only if the user gives it one.
        """
        if name in self._own:
            return self._own[name]
        return None if _self_hosted(name, base_url) else _table_price(name)

    @classmethod
    def read(cls, path: Path) -> PriceBook:
        """Read a TOML file with a table a model: ``["openai/gpt-4o"]``, ``input = 2.5``, ``output = 10``.

        Raises:
            InputError: the file is missing or malformed; names the model and the field.
        """
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"cannot read the price file: {error.strerror}", path=path) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"not a TOML file: {error}", path=path) from error
        own: dict[str, Rates] = {}
        for name, table in tables.items():
            if not isinstance(table, dict) or "/" not in name:
                raise InputError(f'expected a table ["provider/model"], found {name!r}', path=path)
            try:
                own[name] = Rates.model_validate({"source": str(path), **table})
            except ValidationError as error:
                first = error.errors()[0]
                field = ".".join(str(part) for part in first["loc"])
                raise InputError(f"[{name}] {field}: {first['msg']}", path=path) from error
        return cls(own)


_PROVIDERS_OWN_HOSTS = {"api.openai.com", "api.anthropic.com"}


def _self_hosted(name: str, base_url: str | None) -> bool:
    if name.startswith("vllm/"):
        return True
    return base_url is not None and urlsplit(base_url).hostname not in _PROVIDERS_OWN_HOSTS


@lru_cache(maxsize=256)
def _table_price(name: str) -> TablePrice | None:
    from genai_prices import Usage as TableUsage
    from genai_prices import calc_price

    provider, _, model = name.partition("/")
    try:
        found = calc_price(TableUsage(input_tokens=1, output_tokens=1), model, provider_id=provider)
    except LookupError:
        return None
    return TablePrice(found.model_price, f"genai-prices: {found.provider.id}/{found.model.id}")


def require_price(book: PriceBook, name: str, base_url: str | None) -> Price:
    """The price of a model, which a dollar cap cannot do without.

    Raises:
        Unpriced: nobody states one.
    """
    price = book.find(name, base_url)
    if price is None:
        raise Unpriced(
            f"no price is known for {name}" + (f" at {base_url}" if base_url else "") + ", so a dollar budget "
            f'cannot hold: give one with --prices FILE, a TOML file with ["{name}"], input = ..., output = ... '
            "(USD per million tokens), or leave the dollar budget out"
        )
    return price


__all__ = ["Price", "PriceBook", "Rates", "TablePrice", "bound", "require_price"]
