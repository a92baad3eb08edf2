"""Options that are settings of a policy: one declaration a setting, shared by the commands that take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import click

from listwise.strategies import StrategyName

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

POLICY_OPTIONS: dict[str, Decorator] = {
    "local": click.option(
        "--local",
        multiple=True,
        metavar="NAME[@URL][@N]",
        help="embedded, embedded-cross, none, a directory, a hub name, cohere/...; again for the next stage, which "
        "reads the best N. [embedded]",
    ),
    "long_passages": click.option(
        "--long-passages",
        type=click.Choice(["first", "max", "head_tail"]),
        help="What local models read of passages too long to read at once. [first]",
    ),
    "fuse": click.option(
        "--fuse", type=click.Choice(["none", "rrf", "sum"]), help="Fuse first-stage scores into local ones. [none]"
    ),
    "fuse_weight": click.option("--fuse-weight", type=float, metavar="W", help="The first stage's share. [0.5]"),
    "llm": click.option(
        "--llm", metavar="PROVIDER/NAME", help="openai/gpt-4o, anthropic/..., vllm/..., sim/strong,qrels=FILE."
    ),
    "base_url": click.option("--base-url", metavar="URL", help="Where the LLM is served."),
    "api": click.option("--api", type=click.Choice(["chat", "responses"]), help="Which OpenAI interface. [chat]"),
    "fallback": click.option(
        "--fallback",
        multiple=True,
        metavar="MODEL[@URL]",
        help="Asked where the LLM fails, then the next; may be repeated. [the local order]",
    ),
    "service_tier": click.option(
        "--service-tier",
        type=click.Choice(["default", "flex"]),
        help="OpenAI's flex: batch prices, slow; goes with --timeout 900. [default]",
    ),
    "escalate": click.option(
        "--escalate", metavar="WHEN", help="never, always, auto, or a share such as 0.3. [auto]"
    ),
    "router": click.option("--router", metavar="ROUTER", help="What predicts gains: a name or a file. [default]"),
    "margin": click.option(
        "--margin", type=float, help="Under auto: escalate below this margin, without a router."
    ),
    "point_usd": click.option("--point", "point_usd", metavar="USD", help="Under auto: worth of 0.01 of nDCG@10."),
    "max_loss": click.option("--max-loss", type=float, help="Under auto: mean nDCG@10 lost at most, as 0.01."),
    "confidence": click.option("--confidence", type=float, help="How sure --max-loss is to hold. [0.9]"),
    "pace": click.option("--pace/--no-pace", default=None, help="Under auto: make --budget-day last the day."),
    "explore": click.option("--explore", metavar="SHARE", type=float, help="Escalate so many at random. [0]"),
    "strategy": click.option(
        "--strategy", type=click.Choice(get_args(StrategyName)), help="What the LLM reads. [sliding]"
    ),
    "trust": click.option(
        "--trust",
        type=float,
        metavar="R",
        help="For adaptive, widening: of the first scores, 0 to 1. [0.6; 0.25 unless local]",
    ),
    "votes": click.option("--votes", metavar="N|auto", help="Times that each window is asked, shuffled. [1]"),
    "shuffle": click.option(
        "--shuffle", type=click.Choice(["balanced", "random", "none"]), help="How votes show a window. [balanced]"
    ),
    "aggregate": click.option(
        "--aggregate",
        type=click.Choice(["borda", "reciprocal", "kemeny", "stable"]),
        help="How votes become one order. [borda]",
    ),
    "depth": click.option("--depth", type=int, metavar="N", help="Candidates to re-rank, from the top. [100]"),
    "llm_depth": click.option("--llm-depth", type=int, metavar="N", help="Of those, how many the LLM reads. [all]"),
    "window": click.option("--window", type=int, metavar="N", help="Passages in a window. [20]"),
    "stride": click.option("--stride", type=int, metavar="N", help="Passages a window moves up. [10]"),
    "top": click.option("--top", type=int, metavar="N", help="How many at the top are to be right. [10]"),
    "prompt": click.option("--prompt", metavar="NAME|FILE", help="The template; see `listwise prompts`."),
    "on_bad_answer": click.option(
        "--on-bad-answer",
        type=click.Choice(["repair", "reask", "keep", "raise"]),
        help="For incomplete or unreadable answers. [repair]",
    ),
    "guard": click.option(
        "--guard",
        type=click.Choice(["off", "suspicious", "leaps"]),
        help="Leaps to the top that must be confirmed by a second window. [suspicious]",
    ),
    "duplicates": click.option(
        "--duplicates",
        type=click.Choice(["share", "apart"]),
        help="Queries that differ in case, spacing, punctuation only: one answer, or one each. [share]",
    ),
    "budget_usd": click.option("--budget", "budget_usd", metavar="USD", help="Dollars a query may cost."),
    "budget_total_usd": click.option(
        "--budget-total", "budget_total_usd", metavar="USD", help="Dollars the run may cost."
    ),
    "budget_day_usd": click.option(
        "--budget-day", "budget_day_usd", metavar="USD", help="Dollars the account may spend in a day (UTC)."
    ),
    "budget_account_usd": click.option(
        "--budget-account", "budget_account_usd", metavar="USD", help="Dollars the account may ever spend."
    ),
    "account": click.option("--account", metavar="NAME", help="Whose money it is. [default]"),
    "ledger": click.option("--ledger", metavar="FILE|off", help="Where spending is counted. [user's state folder]"),
    "max_tokens": click.option("--max-tokens", type=int, metavar="N", help="Tokens a query may use."),
    "max_calls": click.option("--max-calls", type=int, metavar="N", help="Requests a query may send."),
    "max_seconds": click.option("--max-seconds", type=float, metavar="S", help="Seconds a query may take."),
    "prices": click.option("--prices", metavar="FILE", help="TOML: your own prices, USD per million tokens."),
    "price": click.option(
        "--price", multiple=True, metavar="MODEL=IN,OUT", help="One such price, e.g. vllm/rank-zephyr=0.1,0.4."
    ),
    "temperature": click.option("--temperature", type=float, help="[0]"),
    "reasoning_effort": click.option("--effort", "reasoning_effort", metavar="WORD", help="For reasoning models."),
    "max_output_tokens": click.option("--max-output-tokens", type=int, metavar="N", help="Bound of one answer."),
    "seed": click.option(
        "--seed", type=int, metavar="N", help="For models that take one, and for the shuffles of votes."
    ),
    "concurrency": click.option("--concurrency", type=int, metavar="N", help="Requests at a time. [16]"),
    "rpm": click.option(
        "--rpm", type=int, metavar="N", help="Requests a minute, at most. [what the provider says]"
    ),
    "tpm": click.option("--tpm", type=int, metavar="N", help="Tokens a minute, at most. [what the provider says]"),
    "timeout_s": click.option("--timeout", "timeout_s", type=float, metavar="S", help="For one request. [120]"),
    "attempts": click.option(
        "--attempts", type=int, metavar="N", help="Tries of a call that fails in passing. [5]"
    ),
    "counting": click.option(
        "--counting", type=click.Choice(["local", "provider"]), help="Who counts a prompt's tokens. [local]"
    ),
    "cache": click.option("--cache", metavar="DIR|off", help="Where answers are kept. [user's cache folder]"),
    "cache_size": click.option("--cache-size", metavar="SIZE", help="How large it may grow, e.g. 500MB. [4GiB]"),
}


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """All of them, and ``--policy`` that they override."""
    for option in reversed(POLICY_OPTIONS.values()):
        command = option(command)
    return click.option(
        "--policy", metavar="NAME|FILE", help="Settings to start from; options here override them."
    )(command)


def settings_given(options: dict[str, Any]) -> dict[str, Any]:
    """Take the policy settings that were given out of a command's options."""
    given = {name: options.pop(name) for name in POLICY_OPTIONS}
    return {name: value for name, value in given.items() if value not in (None, ())}
