"""``listwise route check``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from listwise.routing.drift import Check
    from listwise.routing.exploration import Explored


@click.command("check")
@click.option("--router", metavar="ROUTER", default="default", help="A name, or a file of `route fit`. [default]")
@click.option("--ledger", metavar="FILE", help="[the ledger in the user's state folder]")
@click.option("--account", metavar="NAME", help="Only this account.")
@click.option("--run", metavar="ID", help="Only this run.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="From this day on.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Up to and with this day.")
@click.option("--window", type=click.IntRange(50), default=200, help="Queries that are looked at together. [200]")
@click.option("--json", "as_json", is_flag=True, help="All figures, for programs.")
def check(
    router: str,
    ledger: str | None,
    account: str | None,
    run: str | None,
    since: datetime | None,
    until: datetime | None,
    window: int,
    as_json: bool,
) -> int:
    """Say whether the router still fits the queries that come in, or is to be fitted again.

    Compares the log of routes with what the router was fitted on: each signal's distribution, and gains and costs
    with those predicted. It alarms without cause at most once in twenty routers, however often it is run.

    Exit code: 0 nothing has changed, or too few queries to tell; 1 refit.

    \b
    Examples:
      listwise route check --router router.json
      listwise route check --router router.json --account team-search --since 2026-11-01 --json
    """
    from listwise.routing import drift
    from listwise.routing.exploration import DAY_S, explored
    from listwise.routing.gain import GainModel
    from listwise.spend.history import History
    from listwise.spend.routes import RouteFilter
    from listwise.spend.schema import default_path

    fitted = GainModel.read(router).fitted
    chosen = RouteFilter(
        run=run,
        account=account,
        since=None if since is None else since.replace(tzinfo=UTC).timestamp(),
        until=None if until is None else until.replace(tzinfo=UTC).timestamp() + DAY_S,
        router=fitted.router,
    )
    log = History(Path(ledger) if ledger else default_path()).routes(chosen)
    found, tried = drift.check(log, fitted, window), explored(log)
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps({**found.to_json(), "exploration": asdict(tried)}, indent=2))
    else:
        for line in (found.verdict, *_figures(found), _exploration(tried)):
            click.echo(line)
    return 1 if found.status == "refit" else 0


def _figures(found: Check) -> list[str]:
    """A line a signal, the least likely by chance first; then gains and costs."""
    shifts = sorted(found.shifts.items(), key=lambda each: each[1].p_value)
    lines = []
    for name, shift in shifts:
        state = f"moved, {shift.direction}" if name in found.moved else "within chance"
        lines.append(f"  {name}: {state} ({shift.medians}), distance {shift.distance:.2f}")
    if found.status == "too few":
        return lines
    lines.append(_gains(found))
    if (paid := found.costs) is not None:
        ratio, low, high = (1 + each for each in (paid.excess.value, paid.excess.low, paid.excess.high))
        lines.append(
            f"realised cost: {ratio:.2f} times the predicted ({low:.2f} to {high:.2f}), {paid.queries} queries"
        )
    if found.queries < found.needed_for_gains:
        lines.append(
            f"too few queries to judge gains and costs ({found.queries}, need about {found.needed_for_gains})"
        )
    return lines


def _gains(found: Check) -> str:
    gains = found.gains
    if gains is None:
        return "realised gain: too few queries that the LLM answered to say anything"
    off = gains.difference
    line = (
        f"realised gain: {off.value:+.3f} nDCG@10 off the predicted {gains.predicted:+.3f} "
        f"({off.low:+.3f} to {off.high:+.3f}), {gains.labelled} of {gains.queries} queries have a label"
    )
    if (sure := gains.escalated) is not None:
        line += f"; of those escalated {sure.value:+.3f} ({sure.low:+.3f} to {sure.high:+.3f})"
    if gains.slope is not None:
        slope = gains.slope
        line += f"; slope {slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"
    if gains.covered < 0.995:
        line += f"; unknown for {1 - gains.covered:.0%}, as too few like them were explored"
    return line


def _exploration(tried: Explored) -> str:
    from listwise.spend.money import dollars, usd_of

    if not tried.nano_usd_a_query and not tried.explored:
        return "exploration: none"
    spent, a_query = (dollars(usd_of(round(each))) for each in (tried.spent_nano_usd, tried.nano_usd_a_query))
    line = f"exploration: {tried.explored} of {tried.queries} queries, {spent}; expected {a_query} a query"
    if tried.nano_usd_a_day is not None:
        line += f", {dollars(usd_of(round(tried.nano_usd_a_day)))} a day at the pace of the log"
    return line
