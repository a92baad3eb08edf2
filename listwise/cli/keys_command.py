"""``listwise keys``."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from listwise.serve.keys import KeyFile
    from listwise.spend.ledger import ScopeKind


@click.group("keys")
@click.option("--keys", type=click.Path(path_type=Path), metavar="FILE", help="[keys.json in the state folder]")
@click.pass_context
def command(context: click.Context, keys: Path | None) -> None:
    """Make, list and revoke the keys that clients of `listwise serve` show.

    A key's name is the account that it spends from; what that may spend is kept in the ledger, and the same as by
    `listwise spend cap`. Changes hold at once for services that run.

    \b
    Examples:
      listwise keys add search-team --budget-day 5 --budget-month 100 --rate 600 --concurrency 20
      listwise keys list
      listwise keys revoke search-team
    """
    from listwise.serve.keys import KeyFile, default_path

    context.obj = KeyFile(keys or default_path())


@command.command("add")
@click.argument("name")
@click.option("--budget-day", metavar="USD", help="Dollars that the account may spend in a day (UTC).")
@click.option("--budget-month", metavar="USD", help="In a calendar month (UTC).")
@click.option("--rate", type=click.IntRange(1), metavar="N", help="Requests in a minute.")
@click.option("--concurrency", type=click.IntRange(1), metavar="N", help="Requests at a time.")
@click.option("--ledger", type=click.Path(path_type=Path), metavar="FILE", help="[the ledger in the state folder]")
@click.pass_obj
def add(
    file: KeyFile,
    name: str,
    budget_day: str | None,
    budget_month: str | None,
    rate: int | None,
    concurrency: int | None,
    ledger: Path | None,
) -> None:
    """Make a key for the account NAME, and show it: once, and nowhere else.

    Several keys may have the same name: they share its caps, so that one can replace another.
    """
    from listwise.cli.spend_command import usd_given
    from listwise.spend.history import History
    from listwise.spend.schema import connect
    from listwise.spend.schema import default_path as usual_ledger

    caps: dict[ScopeKind, Decimal] = {}
    if budget_day is not None:
        caps["day"] = usd_given(budget_day, "--budget-day")
    if budget_month is not None:
        caps["month"] = usd_given(budget_month, "--budget-month")
    path = ledger or usual_ledger()
    if caps:
        connect(path).close()
    key, text = file.add(name, rate=rate, concurrency=concurrency)
    for kind, usd in caps.items():
        History(path).keep_cap(name, kind, usd)
    click.echo(f"key {key.id} for {name}: keep it now, it is not shown again", err=True)
    click.echo(text)


@command.command("list")
@click.option("--ledger", type=click.Path(path_type=Path), metavar="FILE", help="[the ledger in the state folder]")
@click.pass_obj
def show(file: KeyFile, ledger: Path | None) -> None:
    """The keys, with their limits and their accounts' caps. Secrets are not kept, and so not shown."""
    from rich.table import Table

    from listwise.cli.screen import output
    from listwise.spend.history import History
    from listwise.spend.money import dollars
    from listwise.spend.schema import default_path as usual_ledger

    keys = file.read()
    if not keys:
        click.echo(f"there are no keys in {file.path}")
        return
    path = ledger or usual_ledger()
    caps = History(path).caps() if path.is_file() else {}
    table = Table("id", "name", "made (UTC)", "rate", "at a time", "USD a day", "USD a month", "state", box=None)
    for key in keys:
        kept = caps.get(key.name, {})
        amounts = (dollars(kept[kind]) if kind in kept else "-" for kind in ("day", "month"))
        limits = (str(each) if each is not None else "-" for each in (key.rate, key.concurrency))
        state = "valid" if key.revoked is None else f"revoked {key.revoked}"
        table.add_row(key.id, key.name, key.made, *limits, *amounts, state)
    output().print(table)


@command.command("revoke")
@click.argument("name")
@click.pass_obj
def revoke(file: KeyFile, name: str) -> None:
    """Revoke the key with the id NAME, or all keys of the account NAME. What it spent stays in the ledger."""
    for key in file.revoke(name):
        click.echo(f"revoked {key.id} of {key.name}")
