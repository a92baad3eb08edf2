"""A user's own price of a model: from a file, or stated as one word."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_UP, Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from listwise.errors import ConfigError
from listwise.spend.money import nano_usd_up
from listwise.types import Usage

PER_MILLION = Decimal(10) ** 6
SECONDS_AN_HOUR = 3600
BATCH_TIERS = frozenset({"batch", "flex"})
"""The service tiers that are billed at the rates of a batch (OpenAI's guide to Flex processing)."""


class Rates(BaseModel):
    """A user's own price of one model, in USD per million tokens.

    ``cached_input`` and ``cache_write`` default to the rate of ordinary input, which is never too low for cached
    input, ``reasoning`` to that of output; ``call`` is USD per request. ``batch`` is the share of all these token
    rates that an answer of a batch, or of OpenAI's flex tier, is billed at; left out, it is billed in full.

    A rerank API is priced by ``search_unit``, USD for one (see `listwise.spend.search_units`), and then needs no
    rates for tokens. A server of one's own can be priced by ``gpu_hour``, the dollars that all its GPUs cost an
    hour, with the tokens that it reads and writes a second when it is busy: ``input_tokens_per_s``,
    ``output_tokens_per_s``. An idle server costs as much and is on no receipt.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cached_input: Decimal | None = Field(default=None, ge=0)
    cache_write: Decimal | None = Field(default=None, ge=0)
    reasoning: Decimal | None = Field(default=None, ge=0)
    batch: Decimal = Field(default=Decimal(1), ge=0, le=1)
    call: Decimal = Field(default=Decimal(0), ge=0)
    search_unit: Decimal | None = Field(default=None, ge=0)
    gpu_hour: Decimal | None = Field(default=None, ge=0)
    input_tokens_per_s: Decimal | None = Field(default=None, gt=0)
    output_tokens_per_s: Decimal | None = Field(default=None, gt=0)
    as_of: date | None = None
    source: str = "price file"

    @model_validator(mode="before")
    @classmethod
    def _token_rates(cls, given: Any) -> Any:
        """Input and output where they are not given as such: by the hour, or nothing beside a search unit."""
        if not isinstance(given, dict):
            return given
        if given.get("gpu_hour") is not None:
            return {**given, **_by_the_hour(given)}
        return given if given.get("search_unit") is None else {"input": 0, "output": 0, **given}

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
        units = usage.search_units * (self.search_unit or 0)
        return nano_usd_up(usd * self._share(usage.service_tier) + units + self.call)

    def rates(self, service_tier: str = "") -> str:
        """See `listwise.spend.prices.Price.rates`."""
        share = self._share(service_tier)
        per_million = ("input", "cached_input", "cache_write", "output", "reasoning")
        stated = [(name, getattr(self, name)) for name in per_million]
        if self.search_unit is not None:
            stated = [(name, rate) for name, rate in stated if rate]
        words = [
            f"${float(rate * share):.6g}/{name.replace('_', ' ')} MTok" for name, rate in stated if rate is not None
        ]
        words += [f"${self.search_unit:.6g}/search unit"] if self.search_unit is not None else []
        words += [f"${self.call:.6g}/call"] if self.call else []
        words += [f"from ${self.gpu_hour:.6g}/GPU-hour"] if self.gpu_hour is not None else []
        return ", ".join(words)

    def _share(self, service_tier: str) -> Decimal:
        return self.batch if service_tier in BATCH_TIERS else Decimal(1)


STATED = (
    "PROVIDER/NAME=INPUT,OUTPUT or PROVIDER/NAME=input:2.5,output:10,cached_input:1.25 (USD per million tokens), "
    "or PROVIDER/NAME=search_unit:0.002 (USD)"
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
        raise ConfigError(f"{word!r} is no price: {first_problem(error)}; write {STATED}") from error


def first_problem(error: ValidationError) -> str:
    """What is wrong with a price, and in which field."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg']}" if field else first["msg"]


def _by_the_hour(given: dict[str, Any]) -> dict[str, Decimal]:
    """Rates of input and output from what an hour costs and how much is done in it.

    Raises:
        ValueError: a speed is missing or none, or a rate is given, too.
    """
    worked_out = {}
    for kind in ("input", "output"):
        speed = given.get(f"{kind}_tokens_per_s")
        if speed is None or kind in given:
            raise ValueError(
                "gpu_hour goes with input_tokens_per_s and output_tokens_per_s, instead of input and output"
            )
        worked_out[kind] = _per_million(given["gpu_hour"], speed)
    return worked_out


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
