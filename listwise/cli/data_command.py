"""``listwise data``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from listwise.eval.collections import Collection, Lengths, Summary

READ = 100_000
"""Passages that are read at most, where nobody says how many."""


@click.group("data", short_help="What is in a test collection; copy one; names known.")
def command() -> None:
    """Test collections: in a folder, or by name through ir_datasets.

    \b
    Examples:
      listwise data show dl19/                    a folder: BEIR's layout, BRIGHT's, or plain TREC files
      listwise data show beir/scifact             a name: needs pip install 'listwise[collections]' and a network
      listwise data copy dl19 my-dl19 --depth 100
      listwise data list
    """


@command.command("show")
@click.argument("name", metavar="DIR|NAME")
@click.option("--split", metavar="NAME", help="BEIR's split, BRIGHT's task. [what is judged; test]")
@click.option(
    "--passages", type=click.IntRange(0), metavar="N", help=f"Read at most N. [{READ:,} of a folder; 0 by name]"
)
@click.option("--json", "as_json", is_flag=True, help="One object.")
def show(name: str, split: str | None, passages: int | None, as_json: bool) -> None:
    """Show what is there: queries, judgements, passages and their lengths, runs.

    R@100 and nDCG@10 are means over the judged queries. By name, queries, judgements and runs are downloaded, the
    passages only if some are to be read.
    """
    from listwise.eval.collections import open_collection, summarise

    collection = open_collection(name, split=split)
    by_folder = Path(name).is_dir()
    read = passages if passages is not None else READ if by_folder and _has_passages(collection) else 0
    found = summarise(collection, read=read)
    if as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    _show(found)


@command.command("copy")
@click.argument("name", metavar="DIR|NAME")
@click.argument("folder", metavar="FOLDER")
@click.option("--split", metavar="NAME", help="BEIR's split, BRIGHT's task. [what is judged; test]")
@click.option(
    "--run", "runs", multiple=True, metavar="NAME|FILE", help="One of its own or a file; repeatable. [all]"
)
@click.option("--depth", type=click.IntRange(1), metavar="N", help="Its first N candidates of a query. [all]")
def copy(name: str, folder: str, split: str | None, runs: tuple[str, ...], depth: int | None) -> None:
    """Copy what a re-ranking needs into a new folder: judged queries, judgements, runs, and their passages."""
    from listwise.eval.collections import copy_collection, open_collection

    copy_collection(open_collection(name, split=split), Path(folder), runs=runs or None, depth=depth)
    click.echo(f"written to {folder}", err=True)


@command.command("list")
def names() -> None:
    """List the names that are known, and what they stand for."""
    from listwise.eval.collections import SHORT_NAMES, known_names

    for short, name in SHORT_NAMES.items():
        click.echo(f"{short}\t{name}")
    for name in known_names(("beir/", "nano-beir/", "bright/")):
        click.echo(f"{name}\t")


def _has_passages(collection: Collection) -> bool:
    from listwise.eval.collections import FileCollection

    return not isinstance(collection, FileCollection) or collection.corpus_path is not None


def _show(found: Summary) -> None:
    from rich.table import Table

    from listwise.cli.screen import output

    screen = output()
    screen.print(found.name, soft_wrap=True)
    screen.print(f"queries   {found.queries:,}, {_words(found.query_lengths)}")
    grades = ", ".join(f"{grade}: {count:,}" for grade, count in found.grades.items())
    screen.print(f"judged    {found.judged:,} queries" + (f"; judgements by grade {grades}" if grades else ""))
    screen.print(f"passages  {_passages(found)}")
    if not found.runs:
        screen.print("runs      none")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    for heading in ("queries", "depth", "R@100", "nDCG@10"):
        table.add_column(heading, justify="right")
    for run in found.runs:
        measured = ["-" if value is None else f"{value:.4f}" for value in (run.recall, run.ndcg)]
        table.add_row(run.name, f"{run.queries:,}", f"{run.depth:,}", *measured)
    screen.print(table)


def _passages(found: Summary) -> str:
    count = "" if found.passages is None else f"{found.passages:,}, "
    lengths = found.passage_lengths
    if lengths is None:
        return f"{count}none read (--passages N)"
    first = "" if lengths.texts == found.passages else f"of the first {lengths.texts:,}: "
    return f"{count or 'more than those read; '}{first}{_words(lengths)}"


def _words(lengths: Lengths) -> str:
    return (
        f"{lengths.mean:.1f} words (median {lengths.median:g}, 95 % at most {lengths.long:,}, "
        f"longest {lengths.longest:,})"
    )
