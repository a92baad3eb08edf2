"""``listwise experiment``."""

from __future__ import annotations

from importlib import import_module

import click

SUBCOMMANDS = {
    "plan": "What an experiment would cost, system by system.",
    "run": "Run what is missing of an experiment, into one folder.",
    "report": "A results folder as one page for people.",
}


class _Lazy(click.Group):
    """Imports ``listwise.cli.experiment_NAME`` when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        found: click.Command = getattr(import_module(f"listwise.cli.experiment_{cmd_name}"), cmd_name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group("experiment", cls=_Lazy)
def command() -> None:
    """Experiments as files.

    \b
    Examples:
      listwise experiment plan eval/experiments/dl19.toml --data DIR
      listwise experiment run eval/experiments/dl19.toml --data DIR --yes
      listwise experiment report results/dl19
    """
