"""``listwise mcp``."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from listwise.cli.options import policy_options, settings_given

EXAMPLES = """Serve agents over the Model Context Protocol, on standard input and output.

Tools: `rerank` (passages in order, with a receipt), `explain` (who would decide, and what it would cost), `spend`
(what was spent today, by account). Models, addresses, keys, files and caps are yours to set, here; a client chooses
among the policies that you --offer, and may lower a query's budget. Options on money, limits, pace, prices and the
cache hold for offered policies, too, and those on the LLM for policies that name none; what these policies say of
routes and strategies is their own.

\b
Examples:
  listwise mcp
  listwise mcp --llm openai/gpt-4o --budget 0.02 --budget-day 5 --account agents
  listwise mcp --llm openai/gpt-4o --policy frugal --offer offline --offer best

\b
In a client's settings:
  {"mcpServers": {"listwise": {"command": "listwise", "args": ["mcp", "--policy", "offline"]}}}
"""


@click.command("mcp", help=EXAMPLES, short_help="Tools for agents: rerank, explain, spend.")
@click.option(
    "--offer",
    "offered",
    multiple=True,
    metavar="NAME|FILE",
    help="A policy that clients may choose, by its name or its file's; may be repeated.",
)
@policy_options
def command(**options: Any) -> None:
    """See ``EXAMPLES``."""
    from listwise.adapters.mcp_server import Tools, serve
    from listwise.adapters.offered import offered_beside
    from listwise.policy import Policy

    settings = settings_given(options)
    default = Policy.of(options["policy"], **settings)
    asyncio.run(serve(Tools(default, offered_beside(default, settings, options["offered"]))))
