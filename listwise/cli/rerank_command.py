"""``listwise rerank``."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import aclosing, suppress
from typing import Any, Literal

import click

from listwise.cli.options import policy_options, settings_given
from listwise.errors import ConfigError, InputError
from listwise.types import Request

EXAMPLES = """Re-rank a run, a file of requests, or one query.

\b
Examples:
  listwise rerank --query "why is the sky blue" --passages passages.txt
  listwise rerank --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec --out local.trec
  listwise rerank --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec --out both.trec \\
      --llm openai/gpt-4o --escalate 0.3 --budget 0.02 --receipts receipts.jsonl --trace trace.jsonl
  listwise rerank --requests requests.jsonl --out results.jsonl --format jsonl --policy frugal --llm openai/gpt-4o

Output goes to --out in the order of the queries; a table of what was done and spent goes to standard error.
Interrupted work keeps what is done; run again, answers that were already given come from the cache.
"""


@click.command("rerank", help=EXAMPLES, short_help="Re-rank a run, a file of requests, or one query.")
@click.option("--queries", metavar="FILE", help="TSV (qid, text) or JSONL.")
@click.option("--corpus", metavar="PATH", help="JSONL, TSV (both also .gz) or a BEIR folder.")
@click.option("--run", "run_file", metavar="FILE", help="The first stage's TREC run.")
@click.option(
    "--requests", "requests_file", metavar="FILE", help="rank_llm's JSONL: queries with their candidates."
)
@click.option("--query", metavar="TEXT", help="One query, with --passages.")
@click.option("--passages", metavar="FILE|-", help="Its passages: a line each, or JSONL.")
@click.option("--qid", "qids", multiple=True, metavar="QID", help="Only this query; may be repeated.")
@click.option(
    "--missing", type=click.Choice(["error", "drop"]), default="error", help="For docids not in the corpus."
)
@click.option("--out", default="-", metavar="FILE", help="Where the rankings go. [standard output]")
@click.option("--format", "form", type=click.Choice(["trec", "jsonl", "text"]), help="[trec; text for --query]")
@click.option("--receipts", metavar="FILE.jsonl", help="One line a query: route, calls, tokens, dollars, ...")
@click.option("--trace", metavar="FILE.jsonl", help="One line a window: what was read, the raw answer, the cost.")
@click.option(
    "--run-id", metavar="NAME", help="Go on with a run: what it spent counts against --budget-total. [a new one]"
)
@policy_options
def command(**options: Any) -> int:
    """See ``EXAMPLES``."""
    from listwise.policy import Policy

    policy = Policy.of(options.pop("policy"), **settings_given(options))
    requests = _requests(**{name: options[name] for name in INPUTS})
    form = options["form"] or ("trec" if options["query"] is None else "text")
    files = (options["out"], form, options["receipts"], options["trace"])
    return rerank_all(requests, policy, *files, run_id=options["run_id"])


INPUTS = ("queries", "corpus", "run_file", "requests_file", "query", "passages", "qids", "missing")


def rerank_all(
    requests: list[Request],
    policy: Any,
    out: str,
    form: Any,
    receipts: str | None,
    trace: str | None,
    run_id: str | None = None,
) -> int:
    """Re-rank requests and write what comes of it; returns the exit code."""
    from listwise.cli.outputs import Outputs
    from listwise.cli.screen import Totals, following, show_totals
    from listwise.reranker import Reranker

    reranker = Reranker(policy, run_id=run_id, trace=trace is not None)
    totals = Totals()

    stopped_by: list[int] = []

    def stop(number: int, task: asyncio.Task[Any]) -> None:
        stopped_by.append(number)
        task.cancel()

    async def work() -> None:
        stopping = asyncio.current_task()
        assert stopping is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number, stopping)
        async with reranker, aclosing(reranker.arerank_many(requests, ordered=False)) as rankings:
            async for ranking in rankings:
                outputs.add(ranking)
                totals.add(ranking.receipt)
                follower.advance()

    with (
        Outputs(requests, out, form, receipts, trace) as outputs,
        following(len(requests), totals) as follower,
        suppress(asyncio.CancelledError),
    ):
        asyncio.run(work())
    show_totals(totals)
    if stopped_by:
        click.echo(f"listwise: interrupted; {outputs.written} of {len(requests)} queries are written", err=True)
        return 128 + stopped_by[0]
    if totals.never_answered:
        click.echo("listwise: the LLM answered none of the calls put to it", err=True)
        return 1
    return 0


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
