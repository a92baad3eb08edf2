"""What the ledger costs: a reservation and its settlement, alone, under load, and over processes.

    python -m eval.benchmarks.ledger [--processes 8] [--pairs 2000]

The last line is what the promise is about: 1,000 tasks make calls of 50 ms, with and without a ledger by turns.
The share is the processor time that the entries of a call take, of those 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from listwise.spend.ledger import Entry, Scope
from listwise.spend.sqlite import SqliteLedger
from listwise.types import Usage

SCOPES = (Scope("run", "r", 10**15), Scope("day", "d", 10**15), Scope("account", "a", 10**15))
ENTRY = Entry(run="r", account="a", qid="q", model="openai/gpt-4o", passages=20, estimated_input=2000)
RESERVED, SPENT = 6_000_000, 4_000_000
CALL_S, TASKS, CALLS, ROUNDS = 0.05, 1000, 10, 5


@dataclass(frozen=True, slots=True)
class Taken:
    """What a load took."""

    waits_s: Sequence[float]
    """How long each caller waited for its reservation and the settlement."""
    wall_s: float

    @property
    def rate(self) -> float:
        """Pairs a second."""
        return len(self.waits_s) / self.wall_s


async def pair(ledger: SqliteLedger) -> float:
    """Reserve and settle; seconds that this took the caller."""
    started = time.perf_counter()
    reservation = await ledger.reserve(SCOPES, RESERVED, ENTRY)
    ledger.settle(reservation, SPENT, usage=Usage(2000, output_tokens=100))
    return time.perf_counter() - started


async def load(path: Path, tasks: int, pairs: int) -> Taken:
    """So many pairs, by so many tasks at once."""
    ledger = SqliteLedger(path)

    async def some() -> list[float]:
        return [await pair(ledger) for _ in range(pairs // tasks)]

    started = time.perf_counter()
    waits = await asyncio.gather(*(some() for _ in range(tasks)))
    await ledger.flush()
    wall_s = time.perf_counter() - started
    ledger.close()
    return Taken([wait for each in waits for wait in each], wall_s)


def in_one_process(folder: Path, tasks: int, pairs: int) -> None:
    """Print what a load of one process took."""
    taken = asyncio.run(load(folder / f"{tasks}.db", tasks, pairs))
    ms = [1000 * wait for wait in taken.waits_s]
    print(
        f"{tasks:5} tasks: median {median(ms):7.2f} ms, p99 {quantiles(ms, n=100)[-1]:7.2f} ms, {taken.rate:7.0f}/s"
    )


def _share(path: Path, tasks: int, pairs: int) -> int:
    return len(asyncio.run(load(path, tasks, pairs)).waits_s)


def over_processes(path: Path, processes: int, pairs: int) -> None:
    """Print what a load of several processes at one file took."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.starmap(_share, [(path, 1, 1)] * processes, chunksize=1)
        started = time.perf_counter()
        done = sum(pool.starmap(_share, [(path, 32, pairs)] * processes, chunksize=1))
        wall_s = time.perf_counter() - started
    print(f"{processes:5} processes of 32 tasks: {done / wall_s:7.0f} reservations a second")


async def calls(ledger: SqliteLedger | None) -> tuple[float, float]:
    """Processor and wall seconds of `TASKS` tasks that make `CALLS` calls of `CALL_S` each."""

    async def work() -> None:
        for _ in range(CALLS):
            if ledger is None:
                await asyncio.sleep(CALL_S)
                continue
            reservation = await ledger.reserve(SCOPES, RESERVED, ENTRY)
            await asyncio.sleep(CALL_S)
            ledger.settle(reservation, SPENT, usage=Usage(2000, output_tokens=100))

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(TASKS)))
    if ledger is not None:
        await ledger.flush()
    return time.process_time() - cpu, time.perf_counter() - wall


async def share(path: Path) -> None:
    """Print which part of a call's time the ledger takes, with and without it by turns."""
    ledger = SqliteLedger(path)
    rounds = [(await calls(None), await calls(ledger)) for _ in range(ROUNDS)]
    ledger.close()
    cpu_s = median(with_it[0] - without[0] for without, with_it in rounds) / (TASKS * CALLS)
    wall = median(with_it[1] / without[1] for without, with_it in rounds)
    print(
        f"{TASKS:5} tasks with calls of {CALL_S * 1000:.0f} ms: {1e6 * cpu_s:.0f} us of processor time a call, "
        f"{cpu_s / CALL_S:.2%} of the call's; wall time {wall:.2f} times that without a ledger"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.benchmarks.ledger",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--processes", type=int, default=8, help="[8]")
    parser.add_argument("--pairs", type=int, default=2000, help="for each load and process [2000]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        for tasks in (1, 100, 1000):
            in_one_process(Path(folder), tasks, max(tasks, options.pairs))
        over_processes(Path(folder) / "shared.db", options.processes, options.pairs)
        asyncio.run(share(Path(folder) / "share.db"))


if __name__ == "__main__":
    main()
