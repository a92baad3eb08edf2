"""``listwise eval``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from listwise.eval.measures import Measured


@click.command("eval")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--qrels", required=True, metavar="FILE", help="TREC judgements, or BEIR's.")
@click.option("--measures", default="nDCG@10", help="With spaces between, in ir-measures' notation. [nDCG@10]")
@click.option("--baseline", metavar="RUN", help="Compare every run with this one, query by query.")
@click.option("--per-query", is_flag=True, help="A line a run, query and measure, with tabs between.")
def command(runs: tuple[str, ...], qrels: str, measures: str, baseline: str | None, per_query: bool) -> None:
    """Measure runs against judgements, as trec_eval does, with 95 % intervals.

    A judged query that a run lacks counts as zero. Differences to the baseline come with a paired randomisation
    test. A run in which a simulated model had a part is called so.

    \b
    Examples:
      listwise eval reranked.trec --qrels qrels.txt
      listwise eval bm25.trec reranked.trec --qrels qrels.txt --measures "nDCG@10 R@100" --baseline bm25.trec
    """
    from rich.table import Table

    from listwise.cli.screen import output
    from listwise.eval.measures import evaluate
    from listwise.formats import read_qrels, read_run
    from listwise.formats.rankings import is_simulated

    names = measures.split()
    judged = read_qrels(qrels)
    measured = {run: evaluate(read_run(run), judged, names) for run in runs}
    labels = {run: f"{run} (simulated)" if is_simulated(run) else run for run in runs}
    if per_query:
        _per_query({labels[run]: columns for run, columns in measured.items()})
        return
    base = evaluate(read_run(baseline), judged, names) if baseline else []
    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    table.add_column("measure")
    for heading in ("mean", "95 %", *(("difference", "p", "wins/losses") if base else ())):
        table.add_column(heading, justify="right")
    for at, name in enumerate(names):
        for run, columns in measured.items():
            against = base[at] if base and run != baseline else None
            table.add_row(labels[run], name, *_cells(columns[at], against))
    screen = output()
    screen.print(table)
    screen.print(f"{len(judged)} judged queries")


def _cells(measured: Measured, baseline: Measured | None) -> list[str]:
    from listwise.eval.measures import compare

    interval = measured.interval
    cells = [f"{interval.mean:.4f}", f"{interval.low:.3f} to {interval.high:.3f}"]
    if baseline is not None:
        found = compare(measured, baseline)
        cells += [f"{found.difference.mean:+.4f}", f"{found.p_value:.4f}", f"{found.wins}/{found.losses}"]
    return cells


def _per_query(measured: dict[str, list[Measured]]) -> None:
    for run, columns in measured.items():
        for each in columns:
            for qid, value in each.by_query.items():
                click.echo(f"{run}\t{qid}\t{each.measure}\t{value:.4f}")
