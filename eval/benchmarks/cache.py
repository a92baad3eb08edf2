"""What the answer cache costs a call: writes, hits and misses, one after another and sixteen at a time.

    python -m eval.benchmarks.cache [--answers 2000] [--runs 5] [--lru]

Medians over the runs, in microseconds an answer. ``--lru`` adds what hits would cost if each noted that it was
used, as eviction of the least recently used would have it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median

from listwise.cache import AnswerCache
from listwise.calls import Completion
from listwise.types import Usage

ORDER = " > ".join(f"[{at}]" for at in range(20, 0, -1))
ANSWER = Completion(ORDER, Usage(4000, 0, 0, 100, 0), "gpt-4o-2024-11-20")
MODEL = "openai/gpt-4o"
TOGETHER = 16

Operation = Callable[[str], Awaitable[object]]


async def alone(operation: Operation, keys: Sequence[str]) -> float:
    """Microseconds an answer, one after another."""
    started = time.perf_counter()
    for key in keys:
        await operation(key)
    return (time.perf_counter() - started) / len(keys) * 1e6


async def together(operation: Operation, keys: Sequence[str]) -> float:
    """Microseconds an answer, sixteen at a time."""
    waiting = iter(keys)

    async def work() -> None:
        for key in waiting:
            await operation(key)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(TOGETHER):
            group.create_task(work())
    return (time.perf_counter() - started) / len(keys) * 1e6


async def measured(answers: int, lru: bool) -> dict[str, float]:
    keys = [sha256(str(at).encode()).hexdigest() for at in range(4 * answers)]
    kept, more, others, yet_others = (keys[at * answers : (at + 1) * answers] for at in range(4))
    with tempfile.TemporaryDirectory() as folder:
        cache = AnswerCache(Path(folder) / "c")

        async def put(key: str) -> None:
            await cache.put(key, ANSWER, MODEL)

        async def hit(key: str) -> None:
            assert await cache.get(key) is not None

        async def miss(key: str) -> None:
            assert await cache.get(key) is None

        async def hit_and_note(key: str) -> None:
            await hit(key)
            await put(key + "used")

        try:
            await put("first")
            taken = {
                "write, alone": await alone(put, kept),
                "write, 16 together": await together(put, more),
                "hit, alone": await alone(hit, kept),
                "hit, 16 together": await together(hit, more),
                "miss, alone": await alone(miss, others),
                "miss, 16 together": await together(miss, yet_others),
            }
            if lru:
                taken["hit that notes its use, alone"] = await alone(hit_and_note, kept)
                taken["hit that notes its use, 16 together"] = await together(hit_and_note, more)
        finally:
            cache.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--lru", action="store_true")
    asked = parser.parse_args()
    runs = [asyncio.run(measured(asked.answers, asked.lru)) for _ in range(asked.runs)]
    print(f"{'':38}{'median us':>10}{'least':>8}")
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:38}{median(values):10.0f}{min(values):8.0f}")


if __name__ == "__main__":
    main()
