"""``listwise experiment report``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from listwise.errors import InputError


@click.command("report")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="[FOLDER/report.html]")
@click.option("--figures/--no-figures", default=True, help="Also draw figures/*.svg and *.png. [yes]")
def report(folder: Path, out: Path | None, figures: bool) -> None:
    """One page for people from a results folder: FOLDER/report.html.

    The page holds all that it shows, texts of passages and answers of models included, and asks no network for
    anything; whoever has the file has these. It is readable by you alone until you say otherwise.

    \b
    Examples:
      listwise experiment report results/dl19
      listwise experiment report results/dl19 --out dl19.html --no-figures
    """
    from listwise.eval.report.figures import draw_frontier
    from listwise.eval.report.folder import read_folder
    from listwise.eval.report.page import findings, page_of

    read = read_folder(folder)
    page = page_of(read)
    path = out or folder / "report.html"
    written = _write(path, page)
    click.echo(f"{path}: {written / 1e6:.1f} MB, {len(read.systems)} systems", err=True)
    if figures:
        for collection in read.collections:
            for drawn in draw_frontier(*findings(read, collection), folder / "figures"):
                click.echo(f"{drawn}", err=True)


def _write(path: Path, page: str) -> int:
    """Write it beside its place and move it there, so that no half page is ever seen; returns the bytes."""
    content = page.encode("utf-8", "replace")
    partial = path.with_name(f".{path.name}.new")
    try:
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path=path) from error
    return len(content)
