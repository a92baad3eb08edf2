"""A process that ranks its share of the queries, and may be killed at any moment.

What it finished stands in a file, a line a query. Whoever takes its place reads that, and does the rest.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eval.benchmarks.chaos.work import DEPTH, MODEL, STRIDE, WINDOW, Job, request
from listwise.reranker import Reranker
from listwise.types import Ranking

TIMEOUT_S = 4.0
LONGEST_BEFORE_CANCELLED_S = 0.5


@dataclass(frozen=True, slots=True)
class Finished:
    """One query's ranking, as it stands in the file."""

    query: int
    docids: tuple[str, ...]
    cancelled: int = 0
    """How often it was cancelled before."""

    @property
    def valid(self) -> bool:
        """Whether it has every candidate exactly once."""
        return sorted(self.docids) == sorted(candidate.docid for candidate in request(self.query).candidates)


def work(job: Job) -> None:
    """Rank what is left to be ranked of a job."""
    logging.getLogger("listwise").setLevel(logging.ERROR)
    os.environ["OPENAI_API_KEY"] = "loopback"
    asyncio.run(_work(job))


def finished(rankings: Path) -> Iterator[Finished]:
    """What was finished; a line that a kill cut off is none."""
    for line in rankings.read_text(encoding="utf-8").splitlines() if rankings.exists() else ():
        try:
            query, docids, cancelled = json.loads(line)
        except ValueError:
            continue
        yield Finished(query, tuple(docids), cancelled)


async def _work(job: Job) -> None:
    done = {each.query for each in finished(job.rankings)}
    todo = iter([number for number in job.queries if number not in done])
    reranker = Reranker(
        llm=MODEL,
        base_url=job.base_url,
        local="none",
        escalate="always",
        strategy="sliding",
        depth=DEPTH,
        window=WINDOW,
        stride=STRIDE,
        prices=job.prices,
        cache="off",
        timeout_s=TIMEOUT_S,
        concurrency=job.tasks,
        ledger=job.ledger,
        run_id=job.run,
        budget_total_usd=job.cap_usd,
    )
    file = os.open(job.rankings, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    rng = random.Random(f"{job.seed} {job.slot}")

    async def rank_the_rest() -> None:
        for number in todo:
            ranking, cancelled = await _insistently(reranker, number, job.cancel, rng)
            os.write(file, b"\n" + json.dumps((number, ranking.docids, cancelled)).encode() + b"\n")

    async with reranker, asyncio.TaskGroup() as group:
        for _ in range(job.tasks):
            group.create_task(rank_the_rest())
    os.close(file)


async def _insistently(reranker: Reranker, number: int, cancel: float, rng: random.Random) -> tuple[Ranking, int]:
    """A query's ranking, asked for again as often as it is cancelled; and how often it was."""
    cancelled = 0
    while rng.random() < cancel:
        task = asyncio.create_task(reranker.arerank(request(number)))
        await asyncio.wait({task}, timeout=rng.uniform(0, LONGEST_BEFORE_CANCELLED_S))
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            return task.result(), cancelled
        cancelled += 1
    return await reranker.arerank(request(number)), cancelled
