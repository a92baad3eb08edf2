"""The work of an experiment done: what is missing is run, each finished query is kept, and money has one cap."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from listwise.errors import InputError
from listwise.eval.experiments.folder import Entry, Results, json_line, write_lines, write_text
from listwise.eval.experiments.jobs import Job
from listwise.eval.experiments.material import Orders, orders_of, sorted_run
from listwise.eval.experiments.systems import QRELS
from listwise.formats import read_run, run_lines
from listwise.formats.lines import json_lines
from listwise.formats.rankings import SIMULATED_TAG, TAG
from listwise.policy import Policy
from listwise.reranker import Reranker
from listwise.spend.ledger import Ledger
from listwise.strategies.aggregate import aggregate
from listwise.types import Ranking, Receipt, Request

INDEPENDENT = ("never", "always")
"""Under these, the route of a query does not depend on which others there are."""


@dataclass(frozen=True, slots=True)
class Money:
    """What is spent on, and how much may be."""

    ledger: Ledger
    """Where real dollars are counted."""
    run_id: str
    most_usd: Decimal | None = None
    """Over all systems."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished query, as it is kept until its system is complete."""

    qid: str
    docids: Sequence[str]
    simulated: bool
    receipt: Mapping[str, Any]
    windows: Sequence[Mapping[str, Any]]
    lacking: str | None
    """Why an answer is missing: for want of money, or by a failure. None where the ranking is as asked."""

    @classmethod
    def of(cls, ranking: Ranking) -> Done:
        """Of a ranking."""
        return cls(
            ranking.query.qid,
            ranking.docids,
            ranking.receipt.simulated,
            asdict(ranking.receipt),
            [asdict(window) for window in ranking.windows],
            lacking(ranking),
        )


def lacking(ranking: Ranking) -> str | None:
    """Why a ranking is not what was asked for and may yet become it; None if it is.

    A query that came to a limit of its own, or an answer that cannot be read, is as asked: it would be the same
    again.
    """
    receipt = ranking.receipt
    if receipt.stages and ranking.local_scores is None and receipt.degraded:
        return None if _at_its_own_limit(receipt.degraded[0], receipt.qid) else receipt.degraded[0]
    latest = {(window.step, window.sample, window.docids): window for window in ranking.windows}
    for window in latest.values():
        if window.error is not None and window.answer is None and not _at_its_own_limit(window.error, receipt.qid):
            return window.error
    return None


def _at_its_own_limit(error: str, qid: str) -> bool:
    return f"query {qid}: " in error and " budget of " in error


def missing(jobs: Sequence[Job], results: Results) -> list[Job]:
    """The jobs that are not done, votes last, as they need the others' orders."""
    entries = [(job, results.entry(job.key, job.digest)) for job in jobs]
    undone = [job for job, entry in entries if entry is None or entry.lacking]
    return sorted(undone, key=lambda job: job.system.kind == "vote")


async def run_job(job: Job, results: Results, money: Money) -> AsyncGenerator[Receipt, None]:
    """Run one system on one collection, write its files and note that they are there.

    Yields:
        The receipt of each query that a model ranked now.

    Raises:
        ConfigError: a model cannot be used.
        InputError: a run is malformed, or a file cannot be written.
        AnswerError: a bad answer, under the policy ``raise`` only.
    """
    started, worked = time.monotonic(), time.process_time()
    if job.policy is None:
        write_run(job, results, _orders(job, results))
        results.complete(job.key, Entry(job.digest))
        return
    partial = _Partial(results.partial(job.key), job)
    todo = [request for request in job.requests if request.query.qid not in partial.done]
    with partial.open() as file:
        async with (
            reranker_for(job, results, money) as reranker,
            aclosing(reranker.arerank_many(todo, ordered=False)) as rankings,
        ):
            async for ranking in rankings:
                partial.add(Done.of(ranking), file)
                yield ranking.receipt
    done = [partial.done[request.query.qid] for request in job.requests]
    _write(job, results, done)
    lacks = [each.lacking for each in done if each.lacking is not None]
    computes = bool(job.policy.local)
    entry = Entry(
        job.digest,
        seconds=round(time.monotonic() - started, 3),
        cpu_s=round(time.process_time() - worked, 3) if computes else None,
        lacking=len(lacks),
        why=lacks[0] if lacks else "",
    )
    if not lacks:
        partial.path.unlink(missing_ok=True)
    results.complete(job.key, entry)


def reranker_for(job: Job, results: Results, money: Money) -> Reranker:
    """What asks the models of a job; real money is counted for the whole experiment.

    Raises:
        ConfigError: a model cannot be used.
    """
    policy = _policy(job, results, money)
    return Reranker(policy, ledger=money.ledger if policy.pays else None, run_id=money.run_id, trace=True)


def _policy(job: Job, results: Results, money: Money) -> Policy:
    """With the experiment's cap, where real money is spent; a simulated model with the judgements it goes by."""
    assert job.policy is not None
    if money.most_usd is not None and job.policy.pays:
        return Policy.of(job.policy, budget_total_usd=money.most_usd)
    if job.policy.llm is not None and job.policy.llm.endswith(f",{QRELS}="):
        return Policy.of(job.policy, llm=f"{job.policy.llm}{results.qrels(job.material.name)}")
    return job.policy


def _orders(job: Job, results: Results) -> Orders:
    """The rankings of what no model needs to be asked for."""
    qids = job.material.queries
    if job.run is not None:
        run = sorted_run(read_run(job.run), job.system.by, qids) if isinstance(job.run, Path) else job.run
        if not run:
            raise InputError("it has none of the judged queries of the collection", path=str(job.run))
        return orders_of(run)
    members = [orders_of(read_run(results.file("runs", key))) for key in job.members]
    return {qid: _voted(job, [each[qid] for each in members if qid in each]) for qid in qids}


def _voted(job: Job, orders: Sequence[Sequence[str]]) -> Sequence[str]:
    """One order of several; a candidate that some lack stands at their ends, in the order of one that has it."""
    everything = dict.fromkeys(docid for order in orders for docid in order)
    whole = [
        [*order, *(docid for docid in everything if docid not in had)]
        for order, had in zip(orders, map(set, orders), strict=True)
    ]
    return aggregate(job.system.aggregate, whole) if whole else ()


def write_run(job: Job, results: Results, orders: Orders) -> None:
    """Write a run with scores that fall by one, so that no reader can take it for another."""
    tag = SIMULATED_TAG if job.simulated else TAG
    lines = [run_lines(qid, orders[qid], tag) for qid in job.material.queries if orders.get(qid)]
    write_text(results.file("runs", job.key), "".join(lines))


def _write(job: Job, results: Results, done: Sequence[Done]) -> None:
    """The files of a system that asked models; those that hold texts and answers are private."""
    lines = [run_lines(each.qid, each.docids, SIMULATED_TAG if each.simulated else TAG) for each in done]
    write_text(results.file("runs", job.key), "".join(lines))
    write_lines(results.file("receipts", job.key), [each.receipt for each in done], private=True)
    windows = [window for each in done for window in each.windows]
    write_lines(results.file("traces", job.key), windows, private=True)


class _Partial:
    """The finished queries of a system, in a file that only grows: a kill loses those under way, and no others.

    Queries that lack an answer are done again. Where routes depend on one another, so is everything: what was
    answered comes from the cache.
    """

    def __init__(self, path: Path, job: Job) -> None:
        self.path = path
        self._digest = job.digest
        self.done: dict[str, Done] = {}
        assert job.policy is not None
        if job.policy.escalate in INDEPENDENT or job.policy.llm is None:
            self._read(job.requests)

    def _read(self, requests: Sequence[Request]) -> None:
        wanted = {request.query.qid for request in requests}
        try:
            for number, record in json_lines(self.path):
                if number == 1:
                    if record != {"digest": self._digest}:
                        return
                    continue
                each = Done(**record)
                if each.qid in wanted and each.lacking is None:
                    self.done[each.qid] = each
        except (InputError, TypeError):  # there is none, or its last line is torn
            return

    def open(self) -> IO[str]:
        """The file, to be added to, with what is kept of it.

        Raises:
            InputError: it cannot be written.
        """
        kept = [asdict(each) for each in self.done.values()]
        write_lines(self.path, [{"digest": self._digest}, *kept], private=True)
        return os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND), "a", encoding="utf-8", errors="replace")

    def add(self, done: Done, file: IO[str]) -> None:
        """Keep a finished query."""
        self.done[done.qid] = done
        file.write(json_line(asdict(done)))
        file.flush()


__all__ = ["Done", "Money", "lacking", "missing", "reranker_for", "run_job", "write_run"]
