"""``listwise eval``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from listwise.errors import ConfigError

if TYPE_CHECKING:
    from listwise.eval.standings import Entrant, Standing
    from listwise.formats import Run


@click.command("eval")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--qrels", required=True, metavar="FILE", help="TREC judgements, or BEIR's.")
@click.option("--measures", default="nDCG@10", help="With spaces between, in ir-measures' notation. [nDCG@10]")
@click.option("--baseline", metavar="RUN", help="Compare every run with this one. [the first stage, if named]")
@click.option("--first-stage", metavar="RUN", help="What the runs re-rank, for the ceiling. [each run's documents]")
@click.option("--depth", type=click.IntRange(1), metavar="N", help="Candidates a re-ranker sees. [all]")
@click.option("--test", type=click.Choice(["randomisation", "t"]), default="randomisation", help="[randomisation]")
@click.option("--correct", type=click.Choice(["holm", "none"]), default="holm", help="p over many runs. [holm]")
@click.option(
    "--receipts",
    multiple=True,
    metavar="FILE|RUN=FILE",
    help="What a run cost: for each run in order, or for the run named; may be repeated.",
)
@click.option(
    "--order", type=click.Choice(["score", "rank"]), default="score", help="The run's column to go by. [score]"
)
@click.option("--per-query", is_flag=True, help="A line a run, query and measure, with tabs between.")
@click.option("--json", "as_json", is_flag=True, help="All figures, for programs.")
def command(runs: tuple[str, ...], per_query: bool, as_json: bool, **options: Any) -> None:
    """Measure runs against judgements, as trec_eval does, with 95 % intervals, ceilings, tests and dollars.

    A judged query that a run lacks counts as zero. The ceiling is the best that any re-ranking of the first stage's
    candidates can reach. Differences to the baseline come with a paired test, its p corrected over the runs
    compared. Receipts add dollars, tokens, and what is gained for a dollar. A run in which a simulated model had a
    part is called so. See docs/evaluation.md.

    \b
    Examples:
      listwise eval reranked.trec --qrels qrels.txt
      listwise eval bm25.trec reranked.trec --qrels qrels.txt --measures "nDCG@10 R@100" --baseline bm25.trec
      listwise eval reranked.trec --qrels qrels.txt --first-stage bm25.trec --receipts receipts.jsonl
    """
    from listwise.cli.eval_table import per_query_lines, show, told

    found, notes, judged = _found(list(dict.fromkeys(runs)), **options)
    if as_json:
        click.echo(json.dumps(told(found, notes, judged, options, per_query=per_query), ensure_ascii=False))
    elif per_query:
        for line in per_query_lines(found):
            click.echo(line)
    else:
        show(found, notes, judged, options["test"])


def _found(
    runs: Sequence[str],
    *,
    qrels: str,
    measures: str,
    baseline: str | None,
    first_stage: str | None,
    depth: int | None,
    test: Any,
    correct: Any,
    receipts: Sequence[str],
    order: str,
) -> tuple[list[Standing], list[str], int]:
    """The runs side by side, what is to be said of them, and how many queries are judged."""
    from listwise.cli.eval_notes import notes_on
    from listwise.eval.measures import by_rank
    from listwise.eval.standings import Entrant, Question, standings
    from listwise.formats import read_qrels, read_run
    from listwise.formats.rankings import is_simulated

    judged = read_qrels(qrels)
    if not measures.split():
        raise ConfigError("no measure is named: --measures nDCG@10")
    named = list(dict.fromkeys([*runs, *(name for name in (baseline, first_stage) if name)]))
    files = _matched(runs, named, receipts)
    as_read = {name: read_run(name) for name in named}
    entrants = {
        name: _entrant(Entrant, name, by_rank(run) if order == "rank" else run, is_simulated(name), files.get(name))
        for name, run in as_read.items()
    }
    question = Question(
        judged,
        tuple(dict.fromkeys(measures.split())),
        entrants[baseline] if baseline else None,
        entrants[first_stage] if first_stage else None,
        depth,
        test,
        correct,
    )
    found = standings([entrants[name] for name in runs], question)
    return found, notes_on(found, question), len(judged)


def _entrant(kind: type[Entrant], name: str, run: Run, simulated: bool, file: str | None) -> Entrant:
    from listwise.eval.costs import read_receipts

    receipts = read_receipts(file) if file else None
    made_up = any(receipt.get("simulated") for receipt in (receipts or {}).values())
    return kind(name, run, simulated or made_up, receipts)


def _matched(runs: Sequence[str], named: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """Files of receipts by run: one for each in order, or those named ``RUN=FILE``.

    Raises:
        ConfigError: it is not clear which belongs to which.
    """
    by_name: dict[str, str] = {}
    plain: list[str] = []
    for each in given:
        owners = [name for name in named if each.startswith(f"{name}=")]
        if not owners:
            plain.append(each)
            continue
        owner = max(owners, key=len)
        if owner in by_name:
            raise ConfigError(f"--receipts names {owner} twice")
        by_name[owner] = each[len(owner) + 1 :]
    if plain and (by_name or len(plain) != len(runs)):
        raise ConfigError(
            f"--receipts {plain[0]}: give one file for each of the {len(runs)} runs in their order, or RUN=FILE "
            "with a run as it is named on this command line"
        )
    return by_name or dict(zip(runs, plain, strict=False))
