"""Several processes at once: no exception, no committed answer lost, every answer one that was written."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from listwise.cache import AnswerCache
from listwise.cache.database import BESIDE_LIMIT_BYTES
from listwise.cache.files import set_aside, size_in_use
from listwise.cache.upkeep import clear, trim
from tests.cache.samples import MODEL, all_sound, answer, database, filled, key, python, said

PATIENT = """
    import asyncio, os, sys, time
    from pathlib import Path
    from listwise.cache import AnswerCache, Waits
    from tests.cache.samples import MODEL, all_sound, answer, key

    WAITS = Waits(read_s=60.0, write_s=60.0, busy_s=60.0)
    directory, number = Path(sys.argv[1]), int(sys.argv[2])
"""

WRITES_OWN = (
    PATIENT
    + """
    async def main():
        cache = AnswerCache(directory, waits=WAITS)
        for at in range(number * 10_000, number * 10_000 + 10_000):
            await cache.put(key(at), answer(at), MODEL)
            print(at, flush=True)

    asyncio.run(main())
"""
)

READS_AND_WRITES = (
    PATIENT
    + """
    async def main():
        cache = AnswerCache(directory, int(sys.argv[3]), waits=WAITS)
        for at in range(300):
            for one in (at * 7919 % 100, at * 104729 % 100):
                found = await cache.get(key(one))
                assert found in (None, answer(one, 4000)), found
                if found is None:
                    await cache.put(key(one), answer(one, 4000), MODEL)
        cache.close()
        assert cache.counts.dropped == cache.counts.damaged == 0, cache.counts

    asyncio.run(main())
"""
)

MEETS_DAMAGE = (
    PATIENT
    + """
    async def main():
        cache = AnswerCache(directory, waits=WAITS)
        assert await cache.get(key(0)) == answer(0)
        print("ready", flush=True)
        sys.stdin.readline()
        for at in range(50):
            assert await cache.get(key(at)) in (None, answer(at))
            await cache.put(key(1000 * number + at), answer(1000 * number + at), MODEL)
        cache.close()
        assert cache.counts.dropped == 0, cache.counts

    asyncio.run(main())
"""
)


def killed_in_the_middle(directory: Path, writers: Sequence[subprocess.Popen[str]]) -> set[int]:
    """What they said was written before they were killed, one after another, at any moment."""
    chance = random.Random(3)
    written: set[int] = set()
    for writer in writers:
        assert writer.stdout is not None
        for _ in range(chance.randrange(20, 60)):
            written.add(int(writer.stdout.readline()))
        writer.send_signal(signal.SIGKILL)
    for writer in writers:
        assert writer.stdout is not None
        written.update(int(line) for line in writer.stdout.read().split("\n")[:-1] if line)
        writer.communicate(timeout=60)
        assert writer.returncode == -signal.SIGKILL
    return written


async def test_no_committed_answer_is_lost_when_eight_writers_are_killed(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    written = killed_in_the_middle(directory, [python(WRITES_OWN, directory, at) for at in range(8)])
    assert len(written) >= 160
    cache = AnswerCache(directory)
    assert [at for at in written if await cache.get(key(at)) != answer(at)] == []
    cache.close()
    assert all_sound(directory)
    assert not set_aside(directory)


@pytest.mark.slow
async def test_eight_processes_share_keys_while_answers_are_evicted_and_cleared(tmp_path: Path) -> None:
    directory, limit = tmp_path / "c", 2**20
    await filled(directory, 100, 4000)
    at_work = [python(READS_AND_WRITES, directory, at, limit) for at in range(8)]
    most = cleared = trimmed = 0
    while any(process.poll() is None for process in at_work):
        cleared += clear(directory)
        trimmed += trim(directory, 2**19)
        most = max(most, size_in_use(directory))
        await asyncio.sleep(0.02)
    for process in at_work:
        said(process)
    assert cleared > 0
    assert most <= limit + BESIDE_LIMIT_BYTES
    assert all_sound(directory)
    assert not set_aside(directory)


async def test_answers_are_read_while_they_are_evicted(tmp_path: Path) -> None:
    directory, limit = tmp_path / "c", 2**20
    cache = AnswerCache(directory, limit)
    reader = AnswerCache(directory, limit)
    for number in range(100, 1000):
        await cache.put(key(number), answer(number, 4000), MODEL)
        assert await reader.get(key(number)) == answer(number, 4000)
        assert await reader.get(key(number - 90)) in (None, answer(number - 90, 4000))
    assert cache.counts.evicted > 0
    cache.close()
    reader.close()


async def test_of_several_that_meet_damage_one_sets_it_aside(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    await filled(directory, 50)
    at_work = [python(MEETS_DAMAGE, directory, at) for at in range(1, 5)]
    for process in at_work:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    with database(directory).open("r+b") as file:
        file.write(b"damaged!" * 512 * 4)  # the first pages
    for process in at_work:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in at_work:
        said(process)
    assert len(set_aside(directory)) == 1
    cache = AnswerCache(directory)
    for process_number in range(1, 5):
        numbers = range(1000 * process_number, 1000 * process_number + 50)
        assert [await cache.get(key(at)) for at in numbers] == [answer(at) for at in numbers]
    cache.close()
    assert all_sound(directory)
