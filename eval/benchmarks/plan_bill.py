"""How far a plan is from the bill: `listwise plan` against what a server bills for the same work.

    python -m eval.benchmarks.plan_bill [--data DIR] [--queries N] [--tokenizer-factor 1.0]

Plans and re-ranks DL19's BM25 top 100 with three strategies. The server is on the loopback, answers with orders of
its own, and bills exact token counts by OpenAI's published rule (3 tokens a message, 3 for the answer's beginning),
counted by itself. With a ``--tokenizer-factor`` it bills so many times that, for a model whose tokenizer nobody
knows: then a second plan, made after the first run, shows what settled attempts taught. Exits with 1 if an error is
above a tenth (of the second plan, where there is one) or a bill above the high figure.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from eval.benchmarks.children import CHECKOUT
from listwise import formats
from listwise.planning import Plan
from listwise.reranker import Reranker
from listwise.strategies import StrategyName
from listwise.types import Request
from tests.loopback import Asked, Said, ScriptedServer

STRATEGIES: tuple[StrategyName, ...] = ("sliding", "single", "full")
KNOWN, UNKNOWN = "openai/gpt-4o", "openai/a-model-of-my-own"
INPUT, OUTPUT = Decimal("2.5"), Decimal(10)
MOST_ERROR = 0.10


@dataclass(frozen=True, slots=True)
class Billing:
    """Answers with an order of its own and says, exactly, how many tokens that took."""

    factor: float

    def __call__(self, asked: Asked) -> Said:
        import bpe_openai

        encoding = bpe_openai.get_encoding("o200k_base")
        messages = asked.body["messages"]
        read = 3 + sum(3 + len(encoding.encode(m["role"])) + len(encoding.encode(m["content"])) for m in messages)
        order = list(range(1, max(map(int, re.findall(r"\[(\d+)\]", asked.prompt))) + 1))
        random.Random(asked.prompt).shuffle(order)
        text = " > ".join(f"[{identifier}]" for identifier in order)
        return Said(text, round(read * self.factor), round(len(encoding.encode(text)) * self.factor))


@dataclass(frozen=True, slots=True)
class Compared:
    """One strategy's plan and bill."""

    strategy: str
    plan: Plan
    bill: Decimal

    @property
    def error(self) -> float:
        """Relative to the plan's expected figure."""
        expected = self.plan.strategies[0].usd.expected
        return float(self.bill) / expected - 1

    @property
    def holds(self) -> bool:
        """Whether both promises do."""
        return abs(self.error) <= MOST_ERROR and float(self.bill) <= self.plan.strategies[0].usd.high


def compare(
    requests: list[Request], model: str, strategy: StrategyName, billing: Billing, ledger: Path
) -> Compared:
    """Plan, then run, without a cache."""
    with ScriptedServer(billing) as server:
        settings: dict[str, Any] = {
            "llm": model,
            "base_url": server.base_url,
            "prices": ledger.with_name("prices.toml"),
            "local": "none",
            "escalate": "always",
            "strategy": strategy,
            "cache": "off",
        }
        with Reranker(ledger=ledger, **settings) as reranker:
            plan = reranker.plan(requests)
            for _ in reranker.rerank_many(requests):
                pass
        bill = sum((i * INPUT + o * OUTPUT for i, o in server.billed), Decimal(0)) / 10**6
    return Compared(strategy, plan, bill)


def main() -> int:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.environ.get("LISTWISE_DATA", CHECKOUT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(here), help="folder with dl19/ [LISTWISE_DATA]")
    parser.add_argument("--queries", type=int, default=43)
    parser.add_argument("--tokenizer-factor", type=float, default=1.0)
    options = parser.parse_args()
    folder = options.data / "dl19"
    requests = formats.requests_from(folder / "queries.tsv", folder / "corpus.jsonl.gz", folder / "bm25.trec.gz")
    requests = requests[: options.queries]
    print(f"{'strategy':10} {'learned':>7} {'low':>9} {'expected':>9} {'high':>9} {'bill':>9} {'error':>7}")
    kept = True
    model = KNOWN if options.tokenizer_factor == 1 else UNKNOWN
    with tempfile.TemporaryDirectory() as scratch:
        ledger = Path(scratch) / "ledger.db"
        ledger.with_name("prices.toml").write_text(f'["{model}"]\ninput = {INPUT}\noutput = {OUTPUT}\n')
        for turn in range(1 if options.tokenizer_factor == 1 else 2):
            for strategy in STRATEGIES:
                compared = compare(requests, model, strategy, Billing(options.tokenizer_factor), ledger)
                usd, learned = compared.plan.strategies[0].usd, compared.plan.learned_from
                print(
                    f"{strategy:10} {learned:7} {usd.low:9.4f} {usd.expected:9.4f} {usd.high:9.4f} "
                    f"{compared.bill:9.4f} {compared.error:+7.1%}"
                )
                if turn or options.tokenizer_factor == 1:
                    kept = kept and compared.holds
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
