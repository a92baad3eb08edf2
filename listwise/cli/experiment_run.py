"""``listwise experiment run``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from listwise.cli.experiment_plan import plan_record, planned_for, say_plan, show_plan
from listwise.cli.experiment_screen import show_results
from listwise.errors import ConfigError

if TYPE_CHECKING:
    from listwise.cli.screen import Totals
    from listwise.eval.experiments.experiment import Experiment
    from listwise.eval.experiments.measured import Result
    from listwise.eval.experiments.plan import ExperimentPlan
    from listwise.eval.experiments.run import Money

EXAMPLES = """Run what is missing of an experiment, into one results folder.

The plan comes first. Where anything may cost money, it asks, or takes --yes. The budget in the file holds over all
systems, and over all runs into the folder. Interrupted work keeps what is done: run it again, and only what is
missing is done. See docs/experiments.md for the file and the folder.

\b
Examples:
  listwise experiment run eval/experiments/example.toml
  listwise experiment run eval/experiments/dl19.toml --data DIR --out results/dl19 --yes
"""


@click.command("run", help=EXAMPLES, short_help="Run what is missing of an experiment.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The results folder. [results/NAME]")
@click.option(
    "--data", type=click.Path(path_type=Path), metavar="DIR", help="Where collections lie. [LISTWISE_DATA]"
)
@click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before money is spent.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def run(file: Path, out: Path | None, data: Path | None, dry_run: bool, yes: bool, as_json: bool) -> int:
    """See ``EXAMPLES``."""
    from listwise.eval.experiments.experiment import Experiment

    experiment = Experiment.of(file, out=out, data=data)
    with experiment.money() as money:
        planned = planned_for(experiment, money)
        if dry_run:
            say_plan(planned, as_json=as_json)
            return 0
        show_plan(planned, err=True)
        experiment.check(money)
        _agree(planned, yes=yes)
        with experiment.results.held():
            experiment.note(money)
            stopped_by = _work(experiment, money)
            if stopped_by:
                click.echo(_interrupted(experiment), err=True)
                return 128 + stopped_by
            found = experiment.write(money)
    _say(experiment, found, planned, as_json=as_json)
    return 1 if experiment.lacking else 0


def _agree(planned: ExperimentPlan, *, yes: bool) -> None:
    """Go on only where nothing can be spent, or somebody has said so.

    Raises:
        ConfigError: nobody is there to be asked.
        click.Abort: the answer is no.
    """
    if yes or not planned.may_cost:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError("this may cost money, and there is no terminal to ask at: say --yes")
    click.confirm(f"Spend up to ${planned.usd.high:.4f}?" if planned.priced else "Go on?", abort=True, err=True)


def _work(experiment: Experiment, money: Money) -> int:
    """Run what is missing, with progress; returns the signal that stopped it, or 0."""
    from listwise.cli.screen import Totals, following
    from listwise.cli.stopping import run_until_stopped

    totals = Totals()

    async def work() -> None:
        async with aclosing(experiment.run(money)) as receipts:
            async for _, receipt in receipts:
                if not receipt.simulated:
                    totals.add(receipt)
                follower.advance()

    queries = sum(len(job.requests) for job in experiment.to_do())
    with following(queries, totals) as follower:
        stopped_by = run_until_stopped(work)
    _warn(totals)
    return stopped_by


def _warn(totals: Totals) -> None:
    """What real models did that their users should know of."""
    from listwise.cli.screen import console

    if totals.echoed:
        line = f"echoed: {totals.echoes} of {totals.ordered} windows came back in the order shown"
        console().print(line, style="yellow")


def _interrupted(experiment: Experiment) -> str:
    of = len(experiment.jobs)
    done = of - len(experiment.to_do())
    return f"listwise: interrupted; {done} of {of} systems are done. The same command goes on from here"


def _say(experiment: Experiment, found: Sequence[Result], planned: ExperimentPlan, *, as_json: bool) -> None:
    """What came of it, for people or programs."""
    from listwise.cli.screen import console
    from listwise.eval.experiments.folder import read_lines

    folder = experiment.results.path
    names = ("systems", "measures", "groups", "totals")
    tables = {name: read_lines(folder / f"{name}.jsonl") for name in names}
    queries = [
        {"collection": name, **each}
        for name in dict.fromkeys(each["collection"] for each in tables["systems"])
        for each in read_lines(folder / "queries" / f"{name}.jsonl")
    ]
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "plan": plan_record(planned), **tables}, indent=2))
    else:
        show_results({**tables, "queries": queries})
    screen = console()
    for job, count, why in experiment.lacking:
        screen.print(
            f"incomplete: {job.key}: {count} queries lack an answer: {why}", style="yellow", soft_wrap=True
        )
    if experiment.lacking:
        screen.print("the same command asks for what is missing, within the budget of the file", style="yellow")
    screen.print(f"{folder}: {len(experiment.jobs)} systems, {len(found)} results", soft_wrap=True)
