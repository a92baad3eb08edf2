"""A process that paces queries over a ledger, one after the other, as it is told on standard input.

    python -m tests.routing.pacing_worker LEDGER CAP

Each line is a query as JSON: the moment, its offers as pairs of gain and nano-dollars, what an offer costs for each
nano-dollar expected, and whether to stop for ever once the money is reserved. Answers with what was spent, a line a
query, or ``reserved``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from listwise.routing.offers import Offer, Option
from listwise.routing.paced import Paced
from listwise.spend.purse import Purse
from listwise.spend.sqlite import SqliteLedger


async def work(path: Path, cap: int) -> None:
    """Until the input ends; the ledger is never closed, as in a process that is killed."""
    now = 0.0
    purse = Purse(SqliteLedger(path), "run", now=lambda: now)
    paced: Paced | None = None
    for line in sys.stdin:
        now, offered, error, hangs = json.loads(line)
        paced = paced or Paced(purse, cap)
        taken = await paced.decide([Offer(Option("llm", 20), gain, cost) for gain, cost in offered])
        cost = int(taken.nano_usd * error) if taken else 0
        if taken:
            reservation = await purse.ledger.reserve((*purse.scopes("q", None), *purse.outer()), 2 * cost)
            if hangs:
                print("reserved", flush=True)
                await asyncio.sleep(3600)
            purse.ledger.settle(reservation, cost)
            paced.settled(taken, cost)
        print(cost, flush=True)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
