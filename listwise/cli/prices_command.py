"""``listwise prices``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from listwise.errors import ConfigError, InputError

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
@click.option(
    "--gpu-hour",
    metavar="USD",
    help="Work out a price from what an hour of your GPUs costs, and from what the models were seen to do in it.",
)
@click.option("--run", metavar="ID", help="With --gpu-hour, by this run alone. [all that the ledger knows]")
@click.option("--ledger", metavar="FILE", help="With --gpu-hour. [the ledger in the user's state folder]")
@click.option("--json", "as_json", is_flag=True, help="An object a line.")
def command(
    models: tuple[str, ...],
    prices: Path | None,
    price: tuple[str, ...],
    base_url: str | None,
    gpu_hour: str | None,
    run: str | None,
    ledger: str | None,
    as_json: bool,
) -> int:
    """What a model costs, who says so, and since when. Exits with 2 where nobody knows.

    Where batches or OpenAI's flex tier are billed at other rates, those are shown, too.

    \b
    Examples:
      listwise prices openai/gpt-4o anthropic/claude-sonnet-4-5
      listwise prices vllm/rank-zephyr --price vllm/rank-zephyr=0.1,0.4 --json
      listwise prices cohere/rerank-v3.5 --price cohere/rerank-v3.5=search_unit:0.002
      listwise prices vllm/rank-zephyr --gpu-hour 2.50 >> prices.toml    after a run that kept the server busy
    """
    from listwise.spend.prices import PriceBook

    if gpu_hour is not None:
        for model in models:
            click.echo(_by_the_hour(model, gpu_hour, run, ledger, as_json=as_json))
        return 0
    if run is not None or ledger is not None:
        raise ConfigError("--run and --ledger go with --gpu-hour")
    book = PriceBook.of(prices, price)
    for shown in [_found(book, model, base_url) for model in models]:
        click.echo(json.dumps(asdict(shown)) if as_json else _lines(shown))
    return 0


def _found(book: PriceBook, model: str, base_url: str | None) -> Shown:
    from datetime import date

    from listwise.spend.prices import form_of_price, is_old, names_like

    price = book.find(model, base_url)
    if price is None:
        where = f" at {base_url}" if base_url else ""
        near = "" if "rerank" in model else names_like(model)
        form = form_of_price(model)
        raise ConfigError(f'no price is known for {model}{where}{near}; state one with --price "{model}={form}"')
    rates = price.rates()
    tiers = {tier: words for tier in ("flex", "batch") if (words := price.rates(tier)) != rates}
    as_of = str(price.as_of) if price.as_of else None
    return Shown(model, rates, tiers, price.source, as_of, is_old(price, date.today()))


def _by_the_hour(model: str, gpu_hour: str, run: str | None, ledger: str | None, *, as_json: bool) -> str:
    """An entry of a price file, or its record."""
    from listwise.spend.history import History
    from listwise.spend.prices import rates_stated
    from listwise.spend.schema import default_path
    from listwise.spend.throughput import measured

    path = Path(ledger) if ledger else default_path()
    found = measured(History(path).served(model, run))
    if found is None:
        of = f" in run {run!r}" if run else ""
        raise InputError(f"{model} has answered nothing yet{of}: re-rank something with it first", path=path)
    speeds = {
        "input_tokens_per_s": float(f"{found.input_tokens_per_s:.4g}"),
        "output_tokens_per_s": float(f"{found.output_tokens_per_s:.4g}"),
    }
    _, rates = rates_stated(f"{model}=gpu_hour:{gpu_hour}," + ",".join(f"{k}:{v}" for k, v in speeds.items()))
    if as_json:
        return json.dumps({"model": model, "gpu_hour": float(gpu_hour), **speeds, **asdict(found)})
    note = f"# {found.answers} answers in {found.busy_s:.1f} busy seconds: {rates.rates()}"
    fields = "\n".join(f"{name} = {value:g}" for name, value in {"gpu_hour": float(gpu_hour), **speeds}.items())
    return f'{note}\n["{model}"]\n{fields}\n'


def _lines(shown: Shown) -> str:
    since = f", as of {shown.as_of}" if shown.as_of else ""
    tiers = "".join(f"\n  {tier}: {rates}" for tier, rates in shown.tiers.items())
    lines = f"{shown.model}\n  {shown.rates}{tiers}\n  {shown.source}{since}"
    if shown.old:
        lines += "\n  OLD: check it, and state it yourself or update the table: pip install -U genai-prices"
    return lines
