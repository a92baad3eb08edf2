"""One trial: a server, the workers, somebody who kills them, and the accounts afterwards."""

from __future__ import annotations

import multiprocessing
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from eval.benchmarks.chaos.provider import FAULTS, Bill, Fault, FaultyServer, Provider
from eval.benchmarks.chaos.work import PRICES, Job
from eval.benchmarks.chaos.worker import finished, work
from listwise.spend.history import History
from listwise.spend.money import nano_usd_up, usd_of

LIMIT_S = 180.0
"""A trial that takes longer is stuck."""
KILLED_FOR_S = 90.0
"""After which nobody is killed any more: on a loaded machine workers may take longer to begin than they live."""
USED_IN_PEACE, USED_IN_CHAOS = 0.9, 0.7
"""Least share of the cap that is to be spent on real calls."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a trial is made of."""

    seed: int
    queries: int
    processes: int
    tasks: int
    """In each process."""
    faults: float = 0.0
    """Share of requests that meet one."""
    kinds: Sequence[Fault] = FAULTS
    """Which faults there are."""
    kill_every_s: float | None = None
    cancel: float = 0.0
    """Share of rankings that are cancelled on their way."""
    cap: int | None = None
    """Nano-dollars."""

    @property
    def peaceful(self) -> bool:
        """Whether nothing is done to anybody."""
        return not (self.faults or self.kill_every_s or self.cancel)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a trial; amounts are nano-dollars."""

    conditions: Conditions
    bill: Bill
    ledger: int
    """Settled and reserved in the run's scope when all workers were done."""
    reconciled: int
    """The same, after what dead processes left behind was reconciled."""
    leftovers: int
    """Reservations of dead processes."""
    ranked: int
    """Queries with a valid ranking."""
    kills: int
    cancelled: int
    seconds: float

    @property
    def used(self) -> float:
        """Share of the cap that the provider billed."""
        return self.bill.nano_usd / self.conditions.cap if self.conditions.cap else 0.0

    @property
    def broken(self) -> Sequence[str]:
        """The promises that were not kept."""
        cap, billed = self.conditions.cap, self.bill.nano_usd
        least = USED_IN_PEACE if self.conditions.peaceful else USED_IN_CHAOS
        kept = {
            "the bill is within the cap": cap is None or billed <= cap,
            "the ledger is within the cap": cap is None or self.ledger <= cap,
            "the ledger says at least what was billed": billed <= min(self.ledger, self.reconciled),
            "every query has a valid ranking": self.ranked == self.conditions.queries,
            f"at least {least:.0%} of the cap is used": cap is None or self.used >= least,
        }
        return [promise for promise, holds in kept.items() if not holds]

    def record(self) -> dict[str, object]:
        """As plain data."""
        return {**asdict(self), "used": self.used, "broken": list(self.broken)}


def fork_server() -> ForkServerContext:
    """Forks processes that have everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["eval.benchmarks.chaos.warm"])
    return context


def hold(conditions: Conditions, processes: ForkServerContext) -> Verdict:
    """Run one trial to its end.

    Raises:
        RuntimeError: a worker failed by itself, or the trial does not end.
    """
    provider = Provider(conditions.seed, conditions.faults, conditions.kinds)
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        FaultyServer(processes, provider) as server,
    ):
        jobs = _deal(conditions, server.base_url, Path(folder))
        jobs[0].prices.write_text(PRICES, encoding="utf-8")
        started = time.monotonic()
        kills = _Crew(jobs, processes, random.Random(conditions.seed)).run(conditions.kill_every_s)
        return _account(conditions, jobs, server.bill(), kills, time.monotonic() - started)


def _deal(conditions: Conditions, base_url: str, folder: Path) -> list[Job]:
    """Every process's share of the work."""
    whole = Job(
        queries=(),
        base_url=base_url,
        folder=folder,
        run=f"chaos-{conditions.seed}",
        cap_usd=None if conditions.cap is None else str(usd_of(conditions.cap)),
        tasks=conditions.tasks,
        cancel=conditions.cancel,
        seed=conditions.seed,
    )
    shares = (range(slot, conditions.queries, conditions.processes) for slot in range(conditions.processes))
    return [replace(whole, queries=tuple(share), slot=slot) for slot, share in enumerate(shares)]


class _Crew:
    """The worker processes: all are at work until each has done its share."""

    def __init__(self, jobs: Sequence[Job], processes: ForkServerContext, rng: random.Random) -> None:
        self._processes = processes
        self._rng = rng
        self._at_work = {self._start(job): job for job in jobs}

    def run(self, kill_every_s: float | None) -> int:
        """Wait until all work is done, and kill one worker at random now and then; returns how many."""
        kills = 0
        deadline = time.monotonic() + LIMIT_S
        next_kill = deadline if kill_every_s is None else time.monotonic() + kill_every_s
        try:
            while self._at_work:
                wait([each.sentinel for each in self._at_work], max(0.0, next_kill - time.monotonic()))
                self._dismiss()
                if time.monotonic() >= deadline:
                    raise RuntimeError(f"the trial has not ended after {LIMIT_S:.0f} s")
                if kill_every_s is not None and time.monotonic() >= next_kill and self._at_work:
                    self._kill_one()
                    kills += 1
                    next_kill += kill_every_s
                    if time.monotonic() > deadline - LIMIT_S + KILLED_FOR_S:
                        next_kill = deadline
        finally:
            for process in self._at_work:
                process.kill()
        return kills

    def _start(self, job: Job) -> ForkServerProcess:
        process = self._processes.Process(target=work, args=(job,), daemon=True)
        process.start()
        return process

    def _kill_one(self) -> None:
        """SIGKILL, and another in its place at once."""
        process = self._rng.choice(list(self._at_work))
        process.kill()
        process.join()
        job = self._at_work.pop(process)
        self._at_work[self._start(job)] = job

    def _dismiss(self) -> None:
        """Those that have done their share."""
        for process in [each for each in self._at_work if each.exitcode is not None]:
            job = self._at_work.pop(process)
            if process.exitcode:
                raise RuntimeError(f"worker {job.slot} failed by itself, with exit code {process.exitcode}")


def _account(conditions: Conditions, jobs: Sequence[Job], bill: Bill, kills: int, seconds: float) -> Verdict:
    """Hold the ledger against the bill, and the rankings against the queries."""
    history = History(jobs[0].ledger)
    held = nano_usd_up(history.held("run", jobs[0].run))
    leftovers = history.leftovers()
    history.reconcile(leftovers)
    rankings = [each for job in jobs for each in finished(job.rankings)]
    return Verdict(
        conditions=conditions,
        bill=bill,
        ledger=held,
        reconciled=nano_usd_up(history.held("run", jobs[0].run)),
        leftovers=len(leftovers),
        ranked=len({each.query for each in rankings if each.valid}),
        kills=kills,
        cancelled=sum(each.cancelled for each in rankings),
        seconds=seconds,
    )
