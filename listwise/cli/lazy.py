"""Groups of commands that import a command only when it is run."""

from __future__ import annotations

from importlib import import_module

import click


class LazyGroup(click.Group):
    """Knows its commands by name, in the order in which they are shown, with a line on each.

    Args:
        told: what is said of each.
        place: the module and the name in it of a command, with ``{}`` for the command's name.
    """

    def __init__(self, *, told: dict[str, str], place: tuple[str, str], **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]
        self._told, self._place = told, place

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them."""
        return list(self._told)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import it."""
        if cmd_name not in self._told:
            return None
        module, name = (part.format(cmd_name) for part in self._place)
        found: click.Command = getattr(import_module(module), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """With one line each, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._told.items()))
