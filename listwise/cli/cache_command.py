"""``listwise cache``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from listwise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from listwise.cache.files import Aside
    from listwise.cache.salvage import Salvaged
    from listwise.cache.survey import Survey


@click.group("cache")
@click.option("--cache", "directory", metavar="DIR", help="The cache's directory. [user's cache folder]")
@click.pass_context
def command(context: click.Context, directory: str | None) -> None:
    """Look into the answer cache, keep it in order, or empty it.

    Every answer that was paid for is kept as it came, with its usage; it is found again by everything that was
    asked. A better reader of answers therefore needs no new spending.

    \b
    Examples:
      listwise cache info
      listwise cache verify                     look for damage, and mend it
      listwise cache trim --cache-size 500MB
      listwise cache clear --model openai/gpt-4o
    """
    from listwise.cache import default_directory

    context.obj = Path(directory) if directory else default_directory()


@command.command("info")
@click.option("--cache-size", metavar="SIZE", help="The limit to compare with. [4GiB]")
@click.option("--prices", type=click.Path(path_type=Path), metavar="FILE", help="Your own prices, as for rerank.")
@click.option("--json", "as_json", is_flag=True, help="One object, sizes in bytes.")
@click.pass_obj
def info(directory: Path, cache_size: str | None, prices: Path | None, as_json: bool) -> None:
    """Where it is, what it holds and what that would cost again, how large it is, and what was set aside."""
    from listwise.cache.survey import survey
    from listwise.spend.prices import PriceBook

    limit = _bytes(cache_size)
    found = survey(directory, PriceBook.read(prices) if prices else PriceBook())
    if as_json:
        click.echo(json.dumps(_as_json(found, limit), indent=2))
    else:
        _show(found, limit)


@command.command("verify")
@click.option("--keep", is_flag=True, help="Only report; change nothing.")
@click.pass_context
def verify(context: click.Context, keep: bool) -> None:
    """Check every answer against its checksum, and remove what is damaged.

    A file that is itself damaged is set aside, and what can be read is copied into a new one. The exit code is 1 if
    anything was damaged.
    """
    from listwise.cache.upkeep import verify as check

    verdict = check(context.obj, keep=keep)
    if verdict.broken:
        click.echo(f"the file is broken: {verdict.broken}")
    else:
        click.echo(f"{context.obj}: {verdict.answers:,} answers are sound, {verdict.damaged:,} entries damaged")
    if verdict.aside:
        click.echo(f"set aside: {verdict.aside}; {verdict.answers:,} answers could be read, and were copied")
    if verdict.damaged:
        click.echo("they are still there: run again without --keep" if keep else "they were removed")
    if not verdict.is_sound:
        context.exit(1)


@command.command("trim")
@click.option("--cache-size", metavar="SIZE", help="The size to come down to, e.g. 500MB or 2GiB. [4GiB]")
@click.pass_obj
def trim(directory: Path, cache_size: str | None) -> None:
    """Evict the answers stored longest ago until the cache is within its size."""
    from listwise.cache.upkeep import trim as evict

    limit = _bytes(cache_size)
    evicted = evict(directory, limit)
    click.echo(f"{evicted:,} answers evicted; {directory} keeps to {_size(limit)}")


@command.command("salvage")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def salvage(directory: Path, files: tuple[Path, ...]) -> None:
    """Copy answers into the cache from FILES: by default what was set aside, and an older version's cache.db.

    Nothing is changed in them, and an answer that is already there stays as it is.
    """
    from listwise.cache.upkeep import salvage_into

    salvaged = salvage_into(directory, files)
    _show_salvaged(salvaged)
    if not salvaged:
        click.echo("nothing was set aside")


@command.command("clear")
@click.option("--model", metavar="PROVIDER/NAME", help="Only this model's answers.")
@click.option("--broken", is_flag=True, help="Only the files that were set aside.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def clear(directory: Path, model: str | None, broken: bool, yes: bool) -> None:
    """Delete answers for good: asking again will cost money again."""
    from listwise.cache.files import set_aside
    from listwise.cache.upkeep import clear as delete
    from listwise.cache.upkeep import clear_aside

    if broken and model is not None:
        raise click.UsageError(
            "--model and --broken do not go together: a file that was set aside holds all models"
        )
    what = "what was set aside" if broken else f"the answers of {model}" if model else "all answers"
    if not yes:
        click.confirm(f"Delete {what} in {directory}?", abort=True)
    if broken:
        gone = clear_aside(directory)
        click.echo(f"{len(gone)} files deleted, {_size(sum(aside.size for aside in gone))}")
    else:
        click.echo(f"{delete(directory, model):,} answers deleted")
        if found := set_aside(directory):
            click.echo(f"{len(found)} files that were set aside hold more: `listwise cache clear --broken`")


def _show(found: Survey, limit: int) -> None:
    from rich.table import Table

    from listwise.cli.screen import output

    spelt = f" and the spellings of {found.spellings:,} queries" if found.spellings else ""
    click.echo(f"{found.directory}: {found.answers:,} answers{spelt}, {_size(found.size)} of {_size(limit)}")
    if found.oldest is not None:
        click.echo(
            f"oldest stored {_day(found.oldest)}; {found.evicted:,} evicted and {found.damaged:,} damaged so far"
        )
    if found.holdings:
        table = Table(box=None, pad_edge=False)
        table.add_column("model")
        for name in ("answers", "input tokens", "output tokens", "USD today"):
            table.add_column(name, justify="right")
        for model, answers, read, written, nano_usd in found.holdings:
            worth = "no price known" if nano_usd is None else f"{_usd(nano_usd):.4f}"
            table.add_row(model, f"{answers:,}", f"{read:,}", f"{written:,}", worth)
        output().print(table)
    _show_aside(found.aside)
    if found.version_1:
        click.echo(f"{found.version_1.path} is of an older version; its answers were copied, and it can be deleted")


def _show_aside(aside: Sequence[Aside]) -> None:
    for path, size in aside:
        click.echo(f"set aside: {path}, {_size(size)}")
    if aside:
        click.echo("`listwise cache salvage` copies what can be read, `listwise cache clear --broken` deletes them")


def _show_salvaged(salvaged: Sequence[Salvaged]) -> None:
    for one in salvaged:
        click.echo(f"{one.path}: {one.found:,} answers can be read, {one.copied:,} of them were copied just now")


def _as_json(found: Survey, limit: int) -> dict[str, object]:
    return {
        "directory": str(found.directory),
        "file": None if found.file is None else str(found.file),
        "answers": found.answers,
        "spellings": found.spellings,
        "bytes": found.size,
        "used_bytes": found.used,
        "limit_bytes": limit,
        "oldest": None if found.oldest is None else _day(found.oldest),
        "damaged": found.damaged,
        "evicted": found.evicted,
        "models": [
            {
                "model": model,
                "answers": answers,
                "input_tokens": read,
                "output_tokens": written,
                "usd": None if nano_usd is None else f"{_usd(nano_usd):f}",
            }
            for model, answers, read, written, nano_usd in found.holdings
        ],
        "set_aside": [{"file": str(path), "bytes": size} for path, size in found.aside],
        "version_1": None if found.version_1 is None else str(found.version_1.path),
    }


def _bytes(text: str | None) -> int:
    from listwise.cache.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise ConfigError(f"--cache-size: {error}") from None


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _usd(nano_usd: int) -> Decimal:
    from listwise.spend.money import usd_of

    return usd_of(nano_usd)
