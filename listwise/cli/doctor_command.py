"""``listwise doctor``."""

from __future__ import annotations

import click


@click.command("doctor")
@click.option("--base-url", metavar="URL", help="Also look at a server of your own.")
def command(base_url: str | None) -> int:
    """Say which models can be used here, and why not, without spending anything.

    \b
    Examples:
      listwise doctor
      listwise doctor --base-url http://127.0.0.1:8000/v1
    """
    from rich.table import Table
    from rich.text import Text

    from listwise.cli.screen import output
    from listwise.doctor import diagnose

    table = Table(box=None, pad_edge=False)
    for name in ("", "what", "found"):
        table.add_column(name)
    for finding in diagnose(base_url=base_url):
        mark = Text("ok", style="green") if finding.ok else Text("no", style="yellow")
        table.add_row(mark, finding.what, Text(finding.detail))
    output().print(table)
    return 0
