"""``listwise spend``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from listwise.errors import ConfigError, InputError

if TYPE_CHECKING:
    from listwise.spend.history import Filter, Grouping, History, Leftover, Line, RunRecord
    from listwise.spend.ledger import ScopeKind

EXAMPLES = """What was spent, by day, run, account, model or route.

\b
Examples:
  listwise spend                                what each day cost
  listwise spend --by model --since 2026-11-01
  listwise spend --run 20261123-101500-3f2a9c   one run, and how far its plan was off
  listwise spend --by run --format csv > runs.csv
  listwise spend cap team-search --total 200 --day 20
  listwise spend reconcile                      what processes that died left behind

Attempts that failed cost nothing; those whose outcome nobody knows count as the most they could cost. Days are UTC.
By route, attempts of queries that were never ranked are "(unfinished)". In CSV, a name that a spreadsheet would
take for a formula (=, +, - or @ first) has an apostrophe before it.
"""


@click.group("spend", invoke_without_command=True, help=EXAMPLES, short_help="What was spent, on what, by whom.")
@click.option("--ledger", metavar="FILE", help="[the ledger in the user's state folder]")
@click.option("--by", type=click.Choice(["day", "run", "account", "model", "route"]), help="[day; model for --run]")
@click.option("--run", metavar="ID", help="Only this run, with its plan against its bill.")
@click.option("--account", metavar="NAME", help="Only this account.")
@click.option("--model", metavar="PROVIDER/NAME", help="Only this model.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="From this day on.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Up to and with this day.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table")
@click.pass_context
def command(context: click.Context, /, ledger: str | None, **options: Any) -> None:
    """See ``EXAMPLES``."""
    from listwise.spend.schema import default_path

    context.obj = Path(ledger) if ledger else default_path()
    if context.invoked_subcommand is None:
        _report(context.obj, **options)


@command.command("reconcile")
@click.option("--charge", is_flag=True, help="Count them as spent in full, for good.")
@click.option("--release", is_flag=True, help="Count them as free: the provider's bill does not show them.")
@click.option("--usd", metavar="USD", help="Count each at this amount, from the provider's bill.")
@click.option("--id", "ids", type=int, multiple=True, metavar="N", help="Only this one; may be repeated.")
@click.pass_obj
def reconcile(path: Path, charge: bool, release: bool, usd: str | None, ids: tuple[int, ...]) -> None:
    """Close what processes that died left reserved.

    Until then it counts as spent. Without an option it is listed, and nothing is changed. Attempts that are still
    under way are never touched.
    """
    from listwise.spend.history import History
    from listwise.spend.money import plain

    if sum((charge, release, usd is not None)) > 1:
        raise ConfigError("give one of --charge, --release and --usd")
    each = Decimal(0) if release else usd_given(usd, "--usd") if usd is not None else None
    history = History(path)
    leftovers = history.leftovers()
    if unknown := set(ids) - {leftover.id for leftover in leftovers}:
        raise InputError(f"nothing left behind under id {', '.join(map(str, sorted(unknown)))}", path=path)
    chosen = [leftover for leftover in leftovers if not ids or leftover.id in ids]
    if not chosen:
        click.echo("nothing was left behind")
        return
    if not (charge or release or usd is not None):
        _show_leftovers(chosen)
        return
    closed = history.reconcile(chosen, each)
    click.echo(f"{closed.attempts} attempts closed; they count as ${plain(closed.usd)}")
    if closed.attempts < len(chosen):
        click.echo(f"{len(chosen) - closed.attempts} were settled meanwhile, and stay as they are")


@command.command("cap")
@click.argument("account", required=False)
@click.option("--total", metavar="USD|none", help="The most the account may ever spend.")
@click.option("--day", metavar="USD|none", help="The most it may spend in a day (UTC).")
@click.option("--month", metavar="USD|none", help="The most it may spend in a calendar month (UTC).")
@click.pass_obj
def cap(path: Path, /, account: str | None, **given: str | None) -> None:
    """Keep caps for an account, which hold for every process that uses this ledger; or show those kept.

    They come on top of --budget-account and --budget-day: the lower one holds.
    """
    from listwise.policy import Policy
    from listwise.spend.history import History
    from listwise.spend.schema import connect

    chosen = {name: text for name, text in given.items() if text is not None}
    if not chosen:
        _show_caps(History(path), account)
        return
    if account is None:
        raise ConfigError("whose cap? Give the account's name")
    Policy.of(account=account)  # which says what is no name: no run could spend from it
    amounts = {name: _cap(text, f"--{name}") for name, text in chosen.items()}
    connect(path).close()
    history = History(path)
    kinds: dict[str, ScopeKind] = {"total": "account", "day": "day", "month": "month"}
    for name, amount in amounts.items():
        history.keep_cap(account, kinds[name], amount)
    _show_caps(history, account)


def _report(
    path: Path,
    *,
    by: Grouping | None,
    run: str | None,
    account: str | None,
    model: str | None,
    since: datetime | None,
    until: datetime | None,
    form: str,
) -> None:
    from listwise.spend.history import Filter, History
    from listwise.spend.money import plain

    history = History(path)
    chosen = Filter(
        run=run,
        account=account,
        model=model,
        since=since and since.replace(tzinfo=UTC),
        until=until and _after(until),
    )
    grouping: Grouping = by or ("model" if run else "day")
    lines = history.report(grouping, chosen)
    record = history.run(run) if run is not None else None
    if run is not None and not lines and record is None:
        raise InputError(f"no run {run!r} in it; `listwise spend --by run` lists them", path=path)
    match form:
        case "json":
            click.echo(json.dumps([asdict(line) for line in lines], default=plain, indent=2))
        case "csv":
            _write_csv(lines)
        case _:
            if lines:
                _show(grouping, lines)
            else:
                click.echo(_nothing(chosen, path))
            if run is not None:
                _show_plan(history, run, record)
                _show_run_cap(history, record)
            _remind(history)


def _after(day: datetime) -> datetime | None:
    """The first moment after a day; None after the last one that there is."""
    return None if day.date() == date.max else day.replace(tzinfo=UTC) + timedelta(days=1)


def _nothing(chosen: Filter, path: Path) -> str:
    if any(getattr(chosen, field.name) is not None for field in fields(chosen)):
        return f"nothing was spent that fits these options; `listwise spend` shows all that is in {path}"
    return f"nothing was spent yet: {path} is empty"


def _write_csv(lines: Sequence[Line]) -> None:
    from listwise.spend.history import Line
    from listwise.spend.money import plain

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(field.name for field in fields(Line))
    for line in lines:
        _, *figures = asdict(line).values()
        writer.writerow(
            (_cell(line.name), *(plain(each) if isinstance(each, Decimal) else each for each in figures))
        )


def _cell(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def _show(by: str, lines: Sequence[Line]) -> None:
    from rich.table import Table

    from listwise.cli.screen import output
    from listwise.spend.money import dollars

    rare = ("rejected", "unknown", "open", "retries", "cached", "fell_back")
    numbers = [
        *("queries", "answered"),
        *(name for name in rare if any(getattr(line, name) for line in lines)),
        *("input_tokens", "output_tokens"),
        *(["search_units"] if any(line.search_units for line in lines) else []),
    ]
    held = any(line.reserved_usd for line in lines)
    table = Table(box=None, pad_edge=False)
    table.add_column(by if by != "day" else "day (UTC)")
    for name in (*numbers, "USD", *(["reserved"] if held else [])):
        table.add_column(name.replace("_tokens", " tok").replace("_", " "), justify="right")

    def row(name: str, those: Sequence[Line]) -> None:
        counts = [f"{sum(getattr(line, number) for line in those):,}" for number in numbers]
        settled = sum((line.usd for line in those), Decimal(0))
        reserved = sum((line.reserved_usd for line in those), Decimal(0))
        table.add_row(name or "(none)", *counts, dollars(settled), *([dollars(reserved)] if held else []))

    for line in lines:
        row(line.name, [line])
    if len(lines) != 1:
        row("all", lines)
    output().print(table)


def _show_plan(history: History, run: str, record: RunRecord | None) -> None:
    from listwise.cli.screen import output
    from listwise.spend.money import dollars

    figures = record and record.plan
    if not figures:
        output().print(
            "no plan was made before this run: `listwise plan` with the same options makes one", style="dim"
        )
        return
    expected, high = Decimal(str(figures["expected_usd"])), Decimal(str(figures["high_usd"]))
    bill = sum((line.usd for line in history.report("model", _of(run))), Decimal(0))
    if not expected:
        output().print(f"planned $0, billed {dollars(bill)}")
        return
    error = float((bill - expected) / expected)
    within = "not above" if bill <= high else "ABOVE"
    output().print(
        f"planned ${expected:.6f}, billed ${bill:.6f}: {error:+.1%}; {within} the high figure, ${high:.6f}"
    )


def _show_run_cap(history: History, record: RunRecord | None) -> None:
    from listwise.cli.screen import output
    from listwise.spend.money import dollars

    if record is not None and record.settings.get("budget_total_usd") is not None:
        cap = Decimal(str(record.settings["budget_total_usd"]))
        left = max(Decimal(0), cap - history.held("run", record.name))
        output().print(f"it began with a cap of {dollars(cap)}, of which {dollars(left)} is left")


def _of(run: str) -> Any:
    from listwise.spend.history import Filter

    return Filter(run=run)


def _remind(history: History) -> None:
    from listwise.cli.screen import console
    from listwise.spend.money import plain

    if leftovers := history.leftovers():
        total = sum((leftover.usd for leftover in leftovers), Decimal(0))
        console().print(
            f"{len(leftovers)} attempts of processes that died still count as spent (${plain(total)}): "
            "see `listwise spend reconcile`",
            style="yellow",
        )


def _show_leftovers(leftovers: Sequence[Leftover]) -> None:
    from rich.table import Table

    from listwise.cli.screen import output
    from listwise.spend.money import plain

    table = Table("id", "when (UTC)", "run", "query", "model", "USD", "why", box=None, pad_edge=False)
    for leftover in leftovers:
        when = f"{leftover.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(
            str(leftover.id), when, leftover.run, leftover.qid, leftover.model, plain(leftover.usd), leftover.why
        )
    output().print(table)
    total = sum((leftover.usd for leftover in leftovers), Decimal(0))
    output().print(f"{len(leftovers)} attempts, ${plain(total)}: close them with --charge, --release or --usd")


def _show_caps(history: History, account: str | None) -> None:
    from listwise.spend.money import plain

    kept = history.caps()
    for name in sorted(kept) if account is None else [account]:
        caps = kept.get(name, {})
        now = datetime.now(UTC)
        day, month = f"{name} {now:%Y-%m-%d}", f"{name} {now:%Y-%m}"
        for kind, words, scope in (
            ("account", "in all", name),
            ("month", "a month", month),
            ("day", "a day", day),
        ):
            if kind in caps:
                held = history.held(kind, scope)  # type: ignore[arg-type]
                click.echo(f"{name}: at most ${plain(caps[kind])} {words}; ${plain(held)} spent or reserved so far")
    if not kept or (account is not None and account not in kept):
        click.echo("no caps are kept" if account is None else f"{account}: no caps are kept")


def _cap(text: str | None, option: str) -> Decimal | None:
    return None if text is None or text == "none" else usd_given(text, option)


def usd_given(text: str, option: str) -> Decimal:
    """An amount in dollars that an option names.

    Raises:
        ConfigError: it is none that the ledger can count.
    """
    from listwise.spend.money import MOST_USD, plain

    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ConfigError(f"{option}: {text!r} is no amount in dollars") from None
    if not amount.is_finite() or amount < 0:
        raise ConfigError(f"{option}: {text!r} is no amount in dollars")
    if amount > MOST_USD:
        raise ConfigError(f"{option}: {text} dollars are more than the ledger counts: at most {plain(MOST_USD)}")
    return amount
