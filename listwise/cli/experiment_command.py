"""``listwise experiment``."""

from __future__ import annotations

import click

from listwise.cli.lazy import LazyGroup

SUBCOMMANDS = {
    "plan": "What an experiment would cost, system by system.",
    "run": "Run what is missing of an experiment, into one folder.",
    "report": "A results folder as one page for people.",
}


@click.group("experiment", cls=LazyGroup, told=SUBCOMMANDS, place=("listwise.cli.experiment_{}", "{}"))
def command() -> None:
    """Experiments as files.

    \b
    Examples:
      listwise experiment plan eval/experiments/dl19.toml --data DIR
      listwise experiment run eval/experiments/dl19.toml --data DIR --yes
      listwise experiment report results/dl19
    """
