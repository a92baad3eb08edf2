"""``listwise plan``."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import click

from listwise.cli.inputs import input_options, requests_given
from listwise.cli.options import policy_options, settings_given
from listwise.errors import ConfigError
from listwise.types import Request

if TYPE_CHECKING:
    from listwise.estimating import Span
    from listwise.models.base import Model
    from listwise.planning import Plan
    from listwise.policy import Policy

EXAMPLES = """What a re-ranking would cost and take, before anything is spent.

It takes the options of `listwise rerank`.

\b
Examples:
  listwise plan --queries queries.tsv --corpus corpus.jsonl.gz --run bm25.trec --llm openai/gpt-4o
  listwise plan --requests requests.jsonl --llm anthropic/claude-haiku-4-5 --escalate always --sample 200

Strategies are shown side by side, the chosen one first. A bill is expected to be the middle figure. It is never
above the high one, as long as no attempt is lost on the way (a timeout, a broken connection, a gateway's 502) or
answered with garbage: such a one counts as the most it could cost, and is tried again. --budget-total caps all of
it. With --sample all figures are scaled, and the high one is an estimate, too. Strategies that go by the answers
(adaptive, topdown, blitz, setwise, pairwise, widening) are planned as if the model agreed with the order shown:
their middle figure may be a fifth too low, and widening's is that of one window where it takes up to four; their
high one holds all the same.

No LLM's key is needed (a rerank API's is), and nothing is sent. Answers that are in the cache already cost
nothing. What comes after a rerank API depends on its scores: unless these are in the cache, auto is planned as if
it escalated every query, and a share as if it took the first ones (then the high figure is an estimate). After the
run, `listwise spend --run ID` shows how far off the plan was; settled attempts of a model improve its later plans.
"""

BESIDE = "sliding,single,full,topdown,blitz"
"""Strategies that are shown unless others are named. Some of those ask for thousands of windows a query."""


@click.command("plan", help=EXAMPLES, short_help="What a re-ranking would cost and take.")
@input_options
@click.option("--strategies", metavar="A,B|all", default=BESIDE, help=f"Shown beside the chosen one. [{BESIDE}]")
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Look at N queries, evenly spread, and scale."
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@policy_options
def command(**options: Any) -> None:
    """See ``EXAMPLES``."""
    from listwise.planning import work_key
    from listwise.policy import Policy
    from listwise.reranker import Reranker
    from listwise.spend.history import History
    from listwise.spend.sqlite import SqliteLedger

    policy = Policy.of(options.pop("policy"), **settings_given(options))
    strategies = _strategies(options["strategies"])
    requests = requests_given(options)
    with Reranker(policy, model=[unasked(choice) for choice in policy.choices] or None) as reranker:
        plan = reranker.plan(requests, strategies=strategies, sample=options["sample"])
        ledger = reranker.purse.ledger
        if isinstance(ledger, SqliteLedger):
            History(ledger.path).keep_plan(work_key(policy, requests), plan.as_record())
    if options["as_json"]:
        click.echo(json.dumps(asdict(plan), indent=2))
    else:
        _show(plan, requests, policy)


def _strategies(text: str) -> tuple[Any, ...]:
    from listwise.strategies import StrategyName

    known = get_args(StrategyName)
    names = known if text == "all" else tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in known:
            raise ConfigError(f"no strategy {name!r}; there are: {', '.join(known)}")
    return names


def unasked(policy: Policy) -> Model:
    """A policy's LLM, which needs no key as it is not going to be asked."""
    assert policy.llm is not None
    from listwise.models.registry import load_model

    load = partial(
        load_model, policy.llm, base_url=policy.base_url, api=policy.api, service_tier=policy.service_tier
    )
    try:
        return load()
    except ConfigError as error:
        if "no key" not in str(error):
            raise
        return load(api_key="not-needed-for-a-plan")


def _show(plan: Plan, requests: list[Request], policy: Policy) -> None:
    from rich.table import Table

    from listwise.cli.screen import output, served

    screen = output()
    routes = ", ".join(f"{count} {route}" for route, count in plan.routes.items() if count)
    of = f" (scaled from a sample of {plan.sampled}: no figure is a bound)" if plan.sampled else ""
    screen.print(f"{plan.queries} queries: {routes or 'none'}{of}")
    for stage in plan.stages:
        dollars = f"${stage.usd.expected:.4f}, at most ${stage.usd.high:.4f}" if stage.priced else "no price"
        screen.print(
            served(stage.scorer, stage.calls, stage.cached, stage.search_units, stage.input_tokens, dollars),
            markup=False,
        )
    if plan.llm is None:
        screen.print(f"no LLM is configured: nothing {'more ' if plan.stages else ''}will be spent")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("strategy")
    for column in ("calls", "cached", "passages", "input tok", "output tok", "USD low", "expected", "high", "time"):
        table.add_column(column, justify="right")
    for line in plan.strategies:
        name = f"{line.strategy} *" if line.strategy == policy.strategy else line.strategy
        tokens = (f"{round(span.expected):,}" for span in (line.input_tokens, line.output_tokens))
        counts = (f"{count:,}" for count in (line.calls, line.cached, line.passages_read))
        table.add_row(name, *counts, *tokens, *_dollars(plan, line.usd), _time(line.seconds))
    screen.print(table)
    for name, why in plan.left_out.items():
        screen.print(f"without {name}: {why}", markup=False)
    screen.print(f"price: {plan.price_source or 'unknown; give one with --price or --prices'}")
    learned = f"; corrected by {plan.learned_from} settled attempts of this model" if plan.learned_from else ""
    screen.print(f'input tokens: by the rung "{plan.counted}"{learned}')


def _dollars(plan: Plan, usd: Span) -> tuple[str, str, str]:
    if plan.price_source is None:
        return ("no price",) * 3
    return f"${usd.low:.4f}", f"${usd.expected:.4f}", f"${usd.high:.4f}"


def _time(seconds: Span) -> str:
    return f"{span(seconds.low)} to {span(seconds.high)}"


def span(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
