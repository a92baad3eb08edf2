"""``listwise rerank``."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click

from listwise.cli.inputs import input_options, requests_given, spare_inputs
from listwise.cli.options import policy_options, settings_given
from listwise.cli.outputs import Files
from listwise.formats.rankings import RankingForm
from listwise.types import Request

if TYPE_CHECKING:
    from listwise.reranker import Reranker

EXAMPLES = """Re-rank a run, a file of requests, or one query.

\b
Examples:
  listwise rerank --query "why is the sky blue" --passages passages.txt
  listwise rerank --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec --out local.trec
  listwise rerank --requests requests.jsonl --depth 200 --local late/colbert --local embedded@50 --llm-depth 20 \\
      --llm openai/gpt-4o --escalate 0.3
  listwise rerank --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec --out both.trec \\
      --llm openai/gpt-4o --escalate 0.3 --budget 0.02 --receipts receipts.jsonl --trace trace.jsonl
  listwise rerank --requests requests.jsonl --llm openai/gpt-4o --strategy adaptive --votes auto
  listwise rerank --requests requests.jsonl --llm sim/strong,qrels=qrels.txt --escalate always --strategy topdown
  listwise rerank --requests requests.jsonl --out results.jsonl --format jsonl --policy frugal --llm openai/gpt-4o
  listwise rerank --requests requests.jsonl --llm openai/gpt-4o --fallback anthropic/claude-haiku-4-5 \\
      --fallback vllm/rank-zephyr@http://127.0.0.1:8000/v1 --timeout 20 --attempts 2

Output goes to --out in the order of the queries; a table of what was done and spent goes to standard error.
Interrupted work keeps what is done; run again, answers that were already given come from the cache.
"""


@click.command("rerank", help=EXAMPLES, short_help="Re-rank a run, a file of requests, or one query.")
@input_options
@click.option("--out", default="-", metavar="FILE", help="Where the rankings go. [standard output]")
@click.option("--format", "form", type=click.Choice(["trec", "jsonl", "text"]), help="[trec; text for --query]")
@click.option("--receipts", metavar="FILE.jsonl", help="One line a query: route, calls, tokens, dollars, ...")
@click.option("--trace", metavar="FILE.jsonl", help="One line a window: what was read, the raw answer, the cost.")
@click.option(
    "--scores", metavar="FILE.jsonl", help="One line a query: what the local models say, in three scales."
)
@click.option(
    "--run-id", metavar="NAME", help="Go on with a run: what it spent counts against --budget-total. [a new one]"
)
@policy_options
def command(**options: Any) -> int:
    """See ``EXAMPLES``."""
    from listwise.policy import Policy

    policy = Policy.of(options.pop("policy"), **settings_given(options))
    form: RankingForm = options["form"] or ("trec" if options["query"] is None else "text")
    spare_inputs(options, "out", "receipts", "trace", "scores")
    requests = requests_given(options)
    files = Files(options["out"], form, options["receipts"], options["trace"], options["scores"])
    return rerank_all(requests, policy, files, run_id=options["run_id"])


def note_run(reranker: Reranker, requests: list[Request]) -> None:
    """Put into the books what the run is, so that its bill can be held against a plan for the same work."""
    from listwise.planning import work_key
    from listwise.spend.history import History
    from listwise.spend.sqlite import SqliteLedger

    purse, policy = reranker.purse, reranker.policy
    if isinstance(purse.ledger, SqliteLedger):
        addresses: Any = {  # may hold a key
            "base_url": True,
            "fallback": {"__all__": {"base_url"}},
            "local": {"__all__": {"base_url"}},
        }
        settings = policy.model_dump(mode="json", exclude_unset=True, exclude=addresses)
        History(purse.ledger.path).keep_run(purse.run, purse.account, settings, work_key(policy, requests))


def rerank_all(requests: list[Request], policy: Any, files: Files, run_id: str | None = None) -> int:
    """Re-rank requests and write what comes of it; returns the exit code."""
    from listwise.cli.outputs import Outputs
    from listwise.cli.screen import Totals, following, show_totals
    from listwise.cli.stopping import run_until_stopped
    from listwise.reranker import Reranker

    reranker = Reranker(policy, run_id=run_id, trace=files.trace is not None)
    totals = Totals()
    note_run(reranker, requests)

    async def work() -> None:
        async with reranker, aclosing(reranker.arerank_many(requests, ordered=False)) as rankings:
            async for ranking in rankings:
                outputs.add(ranking)
                totals.add(ranking.receipt)
                follower.advance()

    with (
        Outputs(requests, files) as outputs,
        following(len(requests), totals) as follower,
    ):
        stopped_by = run_until_stopped(work)
    show_totals(totals)
    if stopped_by:
        click.echo(f"listwise: interrupted; {outputs.written} of {len(requests)} queries are written", err=True)
        return 128 + stopped_by
    if totals.never_answered:
        click.echo("listwise: the LLM answered none of the calls put to it", err=True)
        return 1
    return 0
