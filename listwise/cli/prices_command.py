"""``listwise prices``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from listwise.spend.prices import PriceBook


@dataclass(frozen=True, slots=True)
class Shown:
    """A model's price, as it is printed."""

    model: str
    rates: str
    tiers: dict[str, str]
    """The rates of service tiers that have their own."""
    source: str
    as_of: str | None
    old: bool


@click.command("prices")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--prices", type=click.Path(path_type=Path), metavar="FILE", help="Your own prices, as for rerank.")
@click.option(
    "--price", multiple=True, metavar="MODEL=IN,OUT", help="One such price; of a rerank API, MODEL=search_unit:USD."
)
@click.option(
    "--base-url", metavar="URL", help="Where the model is served: the table is for providers' own servers."
)
@click.option("--json", "as_json", is_flag=True, help="An object a line.")
def command(
    models: tuple[str, ...], prices: Path | None, price: tuple[str, ...], base_url: str | None, as_json: bool
) -> int:
    """What a model costs, who says so, and since when. Exits with 2 where nobody knows.

    Where batches or OpenAI's flex tier are billed at other rates, those are shown, too.

    \b
    Examples:
      listwise prices openai/gpt-4o anthropic/claude-sonnet-4-5
      listwise prices vllm/rank-zephyr --price vllm/rank-zephyr=0.1,0.4 --json
      listwise prices cohere/rerank-v3.5 --price cohere/rerank-v3.5=search_unit:0.002
    """
    from listwise.spend.prices import PriceBook

    book = PriceBook.of(prices, price)
    for shown in [_found(book, model, base_url) for model in models]:
        click.echo(json.dumps(asdict(shown)) if as_json else _lines(shown))
    return 0


def _found(book: PriceBook, model: str, base_url: str | None) -> Shown:
    from datetime import date

    from listwise.errors import ConfigError
    from listwise.spend.prices import is_old, names_like

    price = book.find(model, base_url)
    if price is None:
        where = f" at {base_url}" if base_url else ""
        by_search = "rerank" in model
        near, form = ("", "search_unit:USD") if by_search else (names_like(model), "INPUT,OUTPUT")
        raise ConfigError(f'no price is known for {model}{where}{near}; state one with --price "{model}={form}"')
    rates = price.rates()
    tiers = {tier: words for tier in ("flex", "batch") if (words := price.rates(tier)) != rates}
    as_of = str(price.as_of) if price.as_of else None
    return Shown(model, rates, tiers, price.source, as_of, is_old(price, date.today()))


def _lines(shown: Shown) -> str:
    since = f", as of {shown.as_of}" if shown.as_of else ""
    tiers = "".join(f"\n  {tier}: {rates}" for tier, rates in shown.tiers.items())
    lines = f"{shown.model}\n  {shown.rates}{tiers}\n  {shown.source}{since}"
    if shown.old:
        lines += "\n  OLD: check it, and state it yourself or update the table: pip install -U genai-prices"
    return lines
