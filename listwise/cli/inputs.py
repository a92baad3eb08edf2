"""What is to be re-ranked: the options that name it, and how they are read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Literal

import click

from listwise.errors import ConfigError, InputError
from listwise.types import Request

_OPTIONS = (
    click.option("--queries", metavar="FILE", help="TSV (qid, text) or JSONL."),
    click.option("--corpus", metavar="PATH", help="JSONL, TSV (both also .gz) or a BEIR folder."),
    click.option("--run", "run_file", metavar="FILE", help="The first stage's TREC run."),
    click.option(
        "--requests", "requests_file", metavar="FILE", help="rank_llm's JSONL: queries with their candidates."
    ),
    click.option("--query", metavar="TEXT", help="One query, with --passages."),
    click.option("--passages", metavar="FILE|-", help="Its passages: a line each, or JSONL."),
    click.option("--qid", "qids", multiple=True, metavar="QID", help="Only this query; may be repeated."),
    click.option(
        "--missing", type=click.Choice(["error", "drop"]), default="error", help="For docids not in the corpus."
    ),
)


def input_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """All of them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


INPUTS = ("queries", "corpus", "run_file", "requests_file", "query", "passages", "qids", "missing")


_FILES = {
    "queries": "queries",
    "corpus": "corpus",
    "run_file": "run",
    "requests_file": "requests",
    "passages": "passages",
}


def spare_inputs(options: dict[str, Any], *outputs: str) -> None:
    """Whether no output would replace a file that is read.

    Args:
        options: a command's, with its input.
        outputs: names of options that say where something is written.

    Raises:
        ConfigError: one would.
    """
    read = {os.path.realpath(options[key]): name for key, name in _FILES.items() if options[key] not in (None, "-")}
    for output in outputs:
        path = options[output]
        if path is not None and path != "-" and os.path.realpath(path) in read:
            raise ConfigError(f"--{output} {path} would replace the file of --{read[os.path.realpath(path)]}")


def requests_given(options: dict[str, Any]) -> list[Request]:
    """Read the input that a command's options name, and take them out of the options.

    Raises:
        ConfigError: the options do not go together.
        InputError: a file cannot be read; names it and the line.
    """
    return _requests(**{name: options.pop(name) for name in INPUTS})


def _requests(
    *,
    queries: str | None,
    corpus: str | None,
    run_file: str | None,
    requests_file: str | None,
    query: str | None,
    passages: str | None,
    qids: tuple[str, ...],
    missing: Literal["error", "drop"],
) -> list[Request]:
    """Read the input, in whichever of its three forms it was given."""
    from listwise import formats

    run_given = (queries, corpus, run_file)
    forms = [any(run_given), requests_file is not None, query is not None or passages is not None]
    if sum(forms) != 1:
        raise ConfigError("give --queries, --corpus and --run; or --requests; or --query and --passages")
    if query is not None or passages is not None:
        if query is None or passages is None:
            raise ConfigError("--query and --passages go together")
        if qids:
            raise ConfigError("--qid chooses among many queries; with --query there is only one")
        return [formats.read_single(query, sys.stdin.buffer if passages == "-" else passages)]
    if requests_file is not None:
        found = list(formats.read_requests(requests_file))
        return _chosen(found, qids, requests_file)
    if not all(run_given):
        raise ConfigError("--queries, --corpus and --run go together")
    assert queries is not None
    assert corpus is not None
    assert run_file is not None
    return formats.requests_from(queries, corpus, run_file, qids=qids or None, missing=missing)


def _chosen(requests: list[Request], qids: tuple[str, ...], path: str) -> list[Request]:
    if not qids:
        return requests
    by_qid = {request.query.qid: request for request in requests}
    for qid in qids:
        if qid not in by_qid:
            raise InputError("no such query", path=path, qid=qid)
    return [by_qid[qid] for qid in dict.fromkeys(qids)]
