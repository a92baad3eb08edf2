"""What an answer costs: the user's own prices first, then the price table of ``genai-prices``, then our own of
rerank APIs.

Prices change over time; the table knows since when each holds, and the day of the call decides.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import urlsplit

from pydantic import ValidationError

from listwise.errors import InputError, Unpriced
from listwise.spend.rates import Rates, first_problem, rates_stated
from listwise.spend.rerank_prices import RERANK_PRICES
from listwise.spend.table import TablePrice, names_like, table_price
from listwise.types import Usage

OLD = timedelta(days=180)
"""Prices older than this are warned of."""
SIMULATED = Rates(input=Decimal(1), output=Decimal(4), source="simulation: nothing is paid")
"""What a simulated model is taken to cost, so that budgets can be studied with it."""


class Price(Protocol):
    """Turns usage into nano-dollars."""

    @property
    def source(self) -> str:
        """Where the rates come from, for the receipt and the user."""
        ...

    @property
    def as_of(self) -> date | None:
        """The day on which the rates were right for certain; None where nobody says."""
        ...

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for an answer with this usage, rounded up; by the service tier that it states."""
        ...

    def rates(self, service_tier: str = "") -> str:
        """The rates in words; the ordinary ones where nobody states others for the tier."""
        ...


def bound(price: Price, input_tokens: int, output_tokens: int, search_units: int = 0) -> int:
    """Nano-dollars that an answer can cost at most, at the dearest rate that its input can be billed at.

    That is an ordinary rate: a request for a cheaper service tier may be served at the ordinary one.
    """
    i, o = input_tokens, output_tokens
    return max(
        price.cost(Usage(i, cached, written, o, reasoned, search_units))
        for cached, written in ((0, 0), (i, 0), (0, i))
        for reasoned in (0, o)
    )


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
        if is_simulated(name):
            return SIMULATED
        return None if _self_hosted(name, base_url) else table_price(name) or RERANK_PRICES.get(name)

    @classmethod
    def of(cls, path: Path | None, stated: Sequence[str]) -> Self:
        """The prices ``stated`` one by one, then those of a file, then the table's.

        Raises:
            InputError, ConfigError: see `read` and `rates_stated`.
        """
        own = cls.read(path)._own if path else {}
        return cls({**own, **dict(map(rates_stated, stated))})

    @classmethod
    def read(cls, path: Path) -> Self:
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
                raise InputError(f"[{name}] {first_problem(error)}", path=path) from error
        return cls(own)


def is_simulated(name: str) -> bool:
    """Whether a model is a simulation, whose dollars are nobody's."""
    return name.startswith("sim/")


def is_old(price: Price, today: date) -> bool:
    """Whether nobody vouches for a price of today."""
    return price.as_of is not None and today - price.as_of > OLD


_PROVIDERS_OWN_HOSTS = {
    *("api.openai.com", "api.anthropic.com"),
    *("api.cohere.com", "api.cohere.ai", "api.jina.ai", "api.voyageai.com"),
}
_SERVED_BY_ONESELF = ("vllm/", "tei/")


def _self_hosted(name: str, base_url: str | None) -> bool:
    if name.startswith(_SERVED_BY_ONESELF):
        return True
    return base_url is not None and urlsplit(base_url).hostname not in _PROVIDERS_OWN_HOSTS


def require_price(book: PriceBook, name: str, base_url: str | None) -> Price:
    """The price of a model, which a dollar cap cannot do without.

    Raises:
        Unpriced: nobody states one.
    """
    price = book.find(name, base_url)
    if price is None:
        raise Unpriced(
            f"no price is known for {name}" + (f" at {base_url}" if base_url else "") + ", so a dollar budget "
            f'cannot hold: give one with --price "{name}={form_of_price(name)}" (USD per million tokens, or per '
            f'search unit), or with --prices FILE, a TOML file with ["{name}"], input = ..., output = ..., or '
            "leave the dollar budget out"
        )
    return price


def form_of_price(name: str) -> str:
    """What the price of a model looks like in one word: Cohere's rerankers are billed by search units."""
    return "search_unit:USD" if name.startswith("cohere/") and "rerank" in name else "INPUT,OUTPUT"


__all__ = [
    "Price",
    "PriceBook",
    "Rates",
    "TablePrice",
    "bound",
    "form_of_price",
    "is_old",
    "names_like",
    "rates_stated",
    "require_price",
]
