"""``listwise show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from listwise.errors import ConfigError, InputError

if TYPE_CHECKING:
    from listwise.cli.show_screen import Shown
    from listwise.eval.traces import Traces

Files = dict[str, str | None]
"""The files of a command by the names of their options."""


@click.command("show")
@click.argument("trace", metavar="TRACE")
@click.option("--qid", metavar="QID", help="The query to show. [a list of all]")
@click.option("--queries", metavar="FILE", help="For its text: TSV (qid, text) or JSONL.")
@click.option("--requests", metavar="FILE", help="rank_llm's JSONL: texts, and the order before.")
@click.option("--corpus", metavar="PATH", help="For the text of passages: JSONL, TSV or a BEIR folder.")
@click.option("--run", metavar="FILE", help="The first stage's TREC run: the order before.")
@click.option("--ranked", metavar="FILE", help="The TREC run that came of it: the order after.")
@click.option("--receipts", metavar="FILE", help="What --receipts wrote: the route, why, and what went wrong.")
@click.option("--full", is_flag=True, help="Whole answers and whole orders.")
def command(trace: str, qid: str | None, full: bool, **files: str | None) -> None:
    """What an LLM was shown and answered, window by window, what moved where, and what it cost.

    TRACE is what `listwise rerank --trace` wrote. Without --qid, its queries are listed. The order before and after
    is that of --run and --ranked; without them it is worked out where the windows alone tell it, as those of
    sliding do. Answers are shown as they came, but for characters that a terminal might obey.

    \b
    Examples:
      listwise show trace.jsonl
      listwise show trace.jsonl --qid q1 --queries queries.tsv --corpus corpus.jsonl
      listwise show trace.jsonl --qid q1 --run bm25.trec --ranked out.trec --receipts receipts.jsonl --full
    """
    from listwise.cli.screen import output
    from listwise.cli.show_screen import show_list, show_query
    from listwise.eval.traces import read_traces

    if files["requests"] is not None and (files["queries"] or files["run"]):
        raise ConfigError("--requests holds the query and the order before: leave --queries and --run out")
    traces = read_traces(trace)
    if qid is None:
        show_list(output(), traces, _texts(files))
        return
    if qid not in traces:
        raise InputError(
            f"no window of this query: it did not go to an LLM, or the trace is of other queries; "
            f"`listwise show {trace}` lists those there are",
            path=trace,
            qid=qid,
        )
    show_query(output(), _shown(qid, traces, files), full=full)


def _texts(files: Files) -> dict[str, str]:
    """The texts of the queries, as far as a file of them is given."""
    from listwise.formats import read_queries, read_requests

    if files["queries"] is not None:
        return read_queries(files["queries"])
    if files["requests"] is not None:
        return {request.query.qid: request.query.text for request in read_requests(files["requests"])}
    return {}


def _shown(qid: str, traces: Traces, files: Files) -> Shown:
    """All that is known of a query."""
    from listwise.cli.show_screen import Shown
    from listwise.eval.traces import read_receipts, replayed
    from listwise.formats import fetch_passages, read_requests

    windows = traces[qid]
    receipt = None
    if files["receipts"] is not None:
        receipt = read_receipts(files["receipts"]).get(qid)
        if receipt is None:
            raise InputError("no receipt of this query", path=files["receipts"], qid=qid)
    before, after = replayed(windows, receipt.strategy if receipt else None) or (None, None)
    before = _order(files["run"], qid) or before
    after = _order(files["ranked"], qid) or after
    passages: dict[str, str] = {}
    text = None
    if files["requests"] is not None:
        found = [each for each in read_requests(files["requests"]) if each.query.qid == qid]
        if not found:
            raise InputError("no such query", path=files["requests"], qid=qid)
        text = found[0].query.text
        before = [candidate.docid for candidate in found[0].candidates]
        passages = {candidate.docid: candidate.content for candidate in found[0].candidates}
    elif files["queries"] is not None:
        text = _texts(files).get(qid)
        if text is None:
            raise InputError("no such query", path=files["queries"], qid=qid)
    if files["corpus"] is not None:
        docids = {docid for window in windows for docid in window.docids} | set(before or ()) | set(after or ())
        passages = {docid: each.text for docid, each in fetch_passages(files["corpus"], docids).items()}
    return Shown(qid, text, windows, before, after, passages, receipt)


def _order(run: str | None, qid: str) -> list[str] | None:
    """The docids of a query in a run; None where no run is given."""
    from listwise.formats import read_run

    if run is None:
        return None
    found = read_run(run)
    if qid not in found:
        raise InputError("no such query", path=run, qid=qid)
    return [entry.docid for entry in found[qid]]
