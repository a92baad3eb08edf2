"""What the ledger costs: a reservation and its settlement, alone, under load, and over processes.

    python -m eval.benchmarks.ledger [--processes 8] [--pairs 2000]

The last two lines are what the promise is about: 1,000 tasks make calls, with and without a ledger by turns. With
calls of 50 ms that begin together it is the most that one process can ask for; the share is the processor time that
the entries of a call take, of those 50 ms. With calls of 500 ms that are spread it is what a busy client asks for.
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
TASKS, ROUNDS = 1000, 5
CALL_S, CALLS = 0.05, 10
LONG_CALL_S, LONG_CALLS = 0.5, 6


@dataclass(frozen=True, slots=True)
class Taken:
    """What a load took."""

    waits_s: Sequence[float]
    """How long each caller waited for its reservation and the settlement."""
    wall_s: float
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        """Pairs a second."""
        return len(self.waits_s) / self.wall_s


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the ledger adds to calls."""

    cpu_s: float
    """Processor seconds a call."""
    wall: float
    """How many times the wall time without it."""
    waits_s: Sequence[float]
    """How long each call waited for the ledger."""


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


async def calls(ledger: SqliteLedger | None, call_s: float, each: int, spread_s: float = 0.0) -> Taken:
    """What calls of `TASKS` tasks took, which begin together or one after the other over ``spread_s``."""

    async def work(begin_s: float) -> list[float]:
        await asyncio.sleep(begin_s)
        return [await call() for _ in range(each)]

    async def call() -> float:
        if ledger is None:
            await asyncio.sleep(call_s)
            return 0.0
        started = time.perf_counter()
        reservation = await ledger.reserve(SCOPES, RESERVED, ENTRY)
        reserved = time.perf_counter()
        await asyncio.sleep(call_s)
        answered = time.perf_counter()
        ledger.settle(reservation, SPENT, usage=Usage(2000, output_tokens=100))
        return time.perf_counter() - answered + reserved - started

    cpu, wall = time.process_time(), time.perf_counter()
    waits = await asyncio.gather(*(work(spread_s * number / TASKS) for number in range(TASKS)))
    if ledger is not None:
        await ledger.flush()
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    return Taken([wait for each in waits for wait in each], wall_s, cpu_s)


async def by_turns(path: Path, call_s: float, each: int, spread_s: float = 0.0) -> Comparison:
    """The same calls without and with the ledger, `ROUNDS` times."""
    ledger = SqliteLedger(path)
    rounds = [
        (await calls(None, call_s, each, spread_s), await calls(ledger, call_s, each, spread_s))
        for _ in range(ROUNDS)
    ]
    ledger.close()
    return Comparison(
        cpu_s=median(mine.cpu_s - bare.cpu_s for bare, mine in rounds) / (TASKS * each),
        wall=median(mine.wall_s / bare.wall_s for bare, mine in rounds),
        waits_s=[wait for _, mine in rounds for wait in mine.waits_s],
    )


async def share(path: Path) -> None:
    """Print which part of a call's time the ledger takes, with and without it by turns."""
    found = await by_turns(path, CALL_S, CALLS)
    print(
        f"{TASKS:5} tasks with calls of {CALL_S * 1000:.0f} ms: {1e6 * found.cpu_s:.0f} us of processor time a "
        f"call, {found.cpu_s / CALL_S:.2%} of the call's; wall time {found.wall:.2f} times that without a ledger"
    )


async def spread(path: Path) -> None:
    """Print what callers wait for if the calls are spread as those of a busy client are."""
    found = await by_turns(path, LONG_CALL_S, LONG_CALLS, LONG_CALL_S)
    ms = [1000 * wait for wait in found.waits_s]
    print(
        f"{TASKS:5} tasks with calls of {LONG_CALL_S * 1000:.0f} ms, {TASKS / LONG_CALL_S:.0f} calls a second: a "
        f"call waits {median(ms):.2f} ms, p99 {quantiles(ms, n=100)[-1]:.2f} ms; {1e6 * found.cpu_s:.0f} us of "
        f"processor time a call; wall time {found.wall:.3f} times that without a ledger"
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
        asyncio.run(spread(Path(folder) / "spread.db"))


if __name__ == "__main__":
    main()
