"""``listwise route``: the router fitted, shown, explained, tried and checked."""

from __future__ import annotations

import click

from listwise.cli.lazy import LazyGroup

SUBCOMMANDS = {
    "show": "What a fitted router knows, and how well.",
    "explain": "Why one query goes where it goes: signals, gain, cost.",
    "fit": "Fit a router of your own.",
    "curve": "nDCG@10 against dollars: router, random, margin, oracle.",
    "simulate": "What a policy would have done with known cases.",
    "check": "Whether the router still fits the queries that come in.",
}


@click.group("route", cls=LazyGroup, told=SUBCOMMANDS, place=("listwise.cli.route_{}", "{}"))
def command() -> None:
    """Which queries go to the LLM, and why.

    The router predicts what an LLM would gain on a query, from its scores and words, and what it would cost; what
    it does with that is the policy's to say: --escalate SHARE, --point, --max-loss, --budget-total, --pace.

    \b
    Examples:
      listwise route show
      listwise route explain 47923 --requests requests.jsonl --llm openai/gpt-4o --point 0.001
      listwise route fit --requests requests.jsonl --qrels qrels.txt --llm openai/gpt-4o --out router.json
      listwise route check --account team-search
    """
