"""``listwise route explain``."""

from __future__ import annotations

import json
from typing import Any

import click

from listwise.cli.inputs import input_options, requests_given
from listwise.cli.options import policy_options, settings_given


@click.command("explain")
@click.argument("qid")
@input_options
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@policy_options
def explain(qid: str, as_json: bool, **options: Any) -> None:
    """Why the query QID goes where it goes: its signals, the gain and the cost expected, and the decision.

    Takes the options of `listwise rerank`. No LLM is asked and none's key is needed; what costs money before the
    LLM is foreseen, not asked. Where routes depend on one another (a share, a budget for the run), all queries of
    the input are looked at.

    \b
    Examples:
      listwise route explain 47923 --requests requests.jsonl --llm openai/gpt-4o
      listwise route explain q1 --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec \\
          --llm anthropic/claude-haiku-4-5 --point 0.001
    """
    from listwise.cli.plan_command import unasked
    from listwise.policy import Policy
    from listwise.reranker import Reranker

    policy = Policy.of(options.pop("policy"), **settings_given(options))
    requests = requests_given(options)
    with Reranker(policy, model=[unasked(choice) for choice in policy.choices] or None) as reranker:
        found = reranker.explain(requests, qid)
    click.echo(json.dumps(found.as_record(), indent=2) if as_json else "\n".join(found.lines()))
