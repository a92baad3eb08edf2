"""What a model's tokens cost: the user's own prices first, then the price table of ``genai-prices``.

The table ships inside that package, so nothing is fetched. Prices change over time; the table knows since when
each holds, and the day of the call decides.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_UP, Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from listwise.errors import ConfigError, InputError, Unpriced
from listwise.resources import did_you_mean
from listwise.spend.money import nano_usd_up
from listwise.types import Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice

PER_MILLION = Decimal(10) ** 6
SECONDS_AN_HOUR = 3600
OLD = timedelta(days=180)
"""Prices older than this are warned of."""


class Price(Protocol):
    """Turns tokens into nano-dollars."""

    @property
    def source(self) -> str:
        """Where the rates come from, for the receipt and the user."""
        ...

    @property
    def as_of(self) -> date | None:
        """The day on which the rates were right for certain; None where nobody says."""
        ...

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for an answer with this usage, rounded up."""
        ...

    def rates(self) -> str:
        """The rates in words."""
        ...


class Rates(BaseModel):
    """A user's own price of one model, in USD per million tokens.

    ``cached_input`` and ``cache_write`` default to the rate of ordinary input, which is never too low for cached
    input, ``reasoning`` to that of output; ``call`` is USD per request. A server of one's own can be priced by
    ``gpu_hour``, the dollars that all its GPUs cost an hour, with the tokens that it reads and writes a second when
    it is busy: ``input_tokens_per_s``, ``output_tokens_per_s``. An idle server costs as much and is on no receipt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cached_input: Decimal | None = Field(default=None, ge=0)
    cache_write: Decimal | None = Field(default=None, ge=0)
    reasoning: Decimal | None = Field(default=None, ge=0)
    call: Decimal = Field(default=Decimal(0), ge=0)
    gpu_hour: Decimal | None = Field(default=None, ge=0)
    input_tokens_per_s: Decimal | None = Field(default=None, gt=0)
    output_tokens_per_s: Decimal | None = Field(default=None, gt=0)
    as_of: date | None = None
    source: str = "price file"

    @model_validator(mode="before")
    @classmethod
    def _by_the_hour(cls, given: Any) -> Any:
        """Input and output from what an hour costs and how much is done in it."""
        hour = given.get("gpu_hour") if isinstance(given, dict) else None
        if hour is None:
            return given
        worked_out = {}
        for kind in ("input", "output"):
            speed = given.get(f"{kind}_tokens_per_s")
            if speed is None or kind in given:
                raise ValueError(
                    "gpu_hour goes with input_tokens_per_s and output_tokens_per_s, instead of input and output"
                )
            worked_out[kind] = _per_million(hour, speed)
        return {**given, **worked_out}

    def cost(self, usage: Usage) -> int:
        """Nano-dollars for an answer with this usage, rounded up."""
        cached, written = usage.cached_input_tokens, usage.cache_write_tokens
        plain = usage.input_tokens - cached - written
        usd = (
            plain * self.input
            + cached * (self.input if self.cached_input is None else self.cached_input)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + (usage.output_tokens - usage.reasoning_tokens) * self.output
            + usage.reasoning_tokens * (self.output if self.reasoning is None else self.reasoning)
        ) / PER_MILLION
        return nano_usd_up(usd + self.call)

    def rates(self) -> str:
        """The rates in words."""
        per_million = ("input", "cached_input", "cache_write", "output", "reasoning")
        stated = [(name, getattr(self, name)) for name in per_million]
        words = [f"${rate:.6g}/{name.replace('_', ' ')} MTok" for name, rate in stated if rate is not None]
        words += [f"${self.call:.6g}/call"] if self.call else []
        words += [f"from ${self.gpu_hour:.6g}/GPU-hour"] if self.gpu_hour is not None else []
        return ", ".join(words)


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

    @property
    def as_of(self) -> date | None:
        """The table's newest dated change."""
        return _newest_change()

    def rates(self) -> str:
        """The rates in words."""
        return str(self.price)


def bound(price: Price, input_tokens: int, output_tokens: int) -> int:
    """Nano-dollars that an answer can cost at most, at the dearest rate that its input can be billed at."""
    i, o = input_tokens, output_tokens
    return max(
        price.cost(Usage(i, cached, written, o, reasoned))
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
        return None if _self_hosted(name, base_url) else _table_price(name)

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
                raise InputError(f"[{name}] {_first_problem(error)}", path=path) from error
        return cls(own)


STATED = (
    "PROVIDER/NAME=INPUT,OUTPUT or PROVIDER/NAME=input:2.5,output:10,cached_input:1.25 (USD per million tokens)"
)
"""What a price given as one word looks like."""


def rates_stated(word: str) -> tuple[str, Rates]:
    """A model and its price: ``openai/gpt-4o=2.5,10``, or by the names of `Rates`, ``openai/gpt-4o=input:2.5,...``.

    Raises:
        ConfigError: it is neither.
    """
    name, _, said = word.rpartition("=")
    parts = [part.strip() for part in said.split(",")]
    fields = {key: value for key, _, value in (part.partition(":") for part in parts)}
    if not any(":" in part for part in parts) and len(parts) == 2:
        fields = dict(zip(("input", "output"), parts, strict=True))
    if "/" not in name or "" in fields.values():
        raise ConfigError(f"{word!r} is no price; write {STATED}")
    try:
        return name, Rates.model_validate({"source": "stated with --price", **fields})
    except ValidationError as error:
        raise ConfigError(f"{word!r} is no price: {_first_problem(error)}; write {STATED}") from error


def is_old(price: Price, today: date) -> bool:
    """Whether nobody vouches for a price of today."""
    return price.as_of is not None and today - price.as_of > OLD


def names_like(name: str) -> str:
    """The end of an error message: the closest model of the table, if there is one."""
    provider, _, _ = name.partition("/")
    return did_you_mean(name, tuple(f"{provider}/{model.id}" for model in _models(provider)))


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else first["msg"]


def _per_million(hour: object, tokens_per_s: object) -> Decimal:
    """USD per million tokens.

    Raises:
        ValueError: one of them is no number, or the speed is none.
    """
    try:
        usd, speed = Decimal(str(hour)), Decimal(str(tokens_per_s))
        return (usd / SECONDS_AN_HOUR / speed * PER_MILLION).quantize(Decimal("1e-9"), ROUND_UP)
    except ArithmeticError as error:
        raise ValueError("gpu_hour and tokens a second must be numbers, and the latter above zero") from error


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


def require_price(book: PriceBook, name: str, base_url: str | None) -> Price:
    """The price of a model, which a dollar cap cannot do without.

    Raises:
        Unpriced: nobody states one.
    """
    price = book.find(name, base_url)
    if price is None:
        raise Unpriced(
            f"no price is known for {name}" + (f" at {base_url}" if base_url else "") + ", so a dollar budget "
            f'cannot hold: give one with --price "{name}=INPUT,OUTPUT" (USD per million tokens), or with --prices '
            f'FILE, a TOML file with ["{name}"], input = ..., output = ..., or leave the dollar budget out'
        )
    return price


__all__ = [
    "Price",
    "PriceBook",
    "Rates",
    "TablePrice",
    "bound",
    "is_old",
    "names_like",
    "rates_stated",
    "require_price",
]
