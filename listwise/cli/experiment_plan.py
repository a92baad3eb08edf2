"""``listwise experiment plan``, and the table that ``run`` shows before it asks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from listwise.cli.plan_command import span, unasked

if TYPE_CHECKING:
    from listwise.eval.experiments.experiment import Experiment
    from listwise.eval.experiments.plan import ExperimentPlan, Line
    from listwise.eval.experiments.run import Money


@click.command("plan")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The results folder. [results/NAME]")
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="DIR", help="Where collections lie. [LISTWISE_DATA]"
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def plan(file: Path, out: Path | None, data: Path | None, as_json: bool) -> None:
    """What an experiment would cost, system by system; nothing is asked, spent or written.

    Answers that are in the cache, and systems that are done in the results folder, cost nothing. Figures are those
    of `listwise plan`: what is expected, and the most it can be; never more than what is left of the budget.

    \b
    Examples:
      listwise experiment plan eval/experiments/example.toml
      listwise experiment plan eval/experiments/dl19.toml --data DIR --json
    """
    from listwise.eval.experiments.experiment import Experiment

    experiment = Experiment.of(file, out=out, data=data)
    with experiment.money() as money:
        planned = planned_for(experiment, money)
    say_plan(planned, as_json=as_json)


def say_plan(planned: ExperimentPlan, *, as_json: bool) -> None:
    """The plan on standard output, for people or programs."""
    if as_json:
        click.echo(json.dumps(plan_record(planned), indent=2))
    else:
        show_plan(planned)


def planned_for(experiment: Experiment, money: Money) -> ExperimentPlan:
    """The plan, for which no LLM's key is needed."""
    return experiment.plan(money, unasked)


def plan_record(planned: ExperimentPlan) -> dict[str, Any]:
    """The plan for programs; dollars of a budget as text, which is exact."""
    return {
        "systems": [asdict(line) for line in planned.lines],
        "usd": asdict(planned.usd),
        "budget_total_usd": None if planned.most_usd is None else f"{planned.most_usd:f}",
        "spent_usd": f"{planned.spent_usd:f}",
        "priced": planned.priced,
        "may_cost": planned.may_cost,
    }


def show_plan(planned: ExperimentPlan, *, err: bool = False) -> None:
    """The table, on standard output, or standard error."""
    from rich.table import Table

    from listwise.cli.screen import console, output
    from listwise.spend.money import dollars

    screen = console() if err else output()
    left = [line for line in planned.lines if line.state != "done"]
    for collection in dict.fromkeys(line.collection for line in left):
        table = Table(box=None, pad_edge=False)
        table.add_column(collection, overflow="fold")
        for heading in ("queries", "calls", "cached", "USD expected", "at most", "time"):
            table.add_column(heading, justify="right")
        here = [line for line in left if line.collection == collection]
        for group in dict.fromkeys(line.group for line in here):
            alike = [line for line in here if line.group == group]
            table.add_row(group if len(alike) == 1 else f"{group}, {len(alike)} runs", *_cells(alike))
        screen.print(table)
    if len(left) < len(planned.lines):
        screen.print(f"{len(planned.lines) - len(left)} of {len(planned.lines)} systems are done already")
    usd = planned.usd
    total = f"all: ${usd.expected:.4f} expected, at most ${usd.high:.4f}" if planned.may_cost else "nothing to pay"
    if not planned.priced:
        total += "; of some models no price is known: give one with price = [...] in the file"
    screen.print(total)
    if planned.most_usd is not None:
        spent = f", of which {dollars(planned.spent_usd)} is spent" if planned.spent_usd else ""
        short = ": it may end before the work does" if planned.short else ""
        screen.print(f"budget over all systems: {dollars(planned.most_usd)}{spent}{short}")


def _cells(alike: Sequence[Line]) -> tuple[str, ...]:
    """Of the seeds of one group together."""
    from listwise.estimating import NOTHING

    queries = f"{sum(line.queries for line in alike):,}"
    paid = [line for line in alike if line.state == "paid"]
    if not paid:
        return (queries, *[""] * 5)
    usd = sum((line.usd for line in paid), NOTHING)
    seconds = sum((line.seconds for line in paid), NOTHING)
    priced = all(line.priced for line in paid)
    dollars = (f"${usd.expected:.4f}", f"${usd.high:.4f}") if priced else ("no price", "no price")
    counts = f"{sum(line.calls for line in paid):,}", f"{sum(line.cached for line in paid):,}"
    return queries, *counts, *dollars, f"{span(seconds.low)} to {span(seconds.high)}"
