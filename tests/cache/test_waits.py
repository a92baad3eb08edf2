"""What waits for the cache, and how long."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from listwise.cache import AnswerCache, Waits
from tests.cache.samples import MODEL, answer, database, filled, kept, key


async def test_what_waits_for_space_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = AnswerCache(tmp_path / "file", clock=lambda: 0.0)
    for number in range(1200):
        await cache.put(key(number), answer(number), MODEL)
    assert await cache.get(key(0)) is None
    assert await cache.get(key(1199)) == answer(1199)
    assert cache.counts.dropped == 1200 - 1024
    cache.close()
    assert cache.counts.dropped == 1200


async def test_a_query_waits_for_the_cache_no_longer_than_it_may(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 1)
    waits = Waits(read_s=0.05, write_s=0.05, busy_s=1.0)
    with (tmp_path / "c" / "answers.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache = AnswerCache(tmp_path / "c", waits=waits)
        started = time.monotonic()
        assert await cache.get(key(0)) is None
        await cache.put(key(1), answer(1), MODEL)
        assert [await cache.get(key(0)) for _ in range(50)] == [None] * 50  # while one is stuck, none waits
        assert time.monotonic() - started < 0.9
        assert await cache.get(key(1)) == answer(1)
    cache.close()
    assert await kept(tmp_path / "c", 2) == 2


async def test_a_read_waits_for_no_write(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c", waits=Waits(busy_s=1.0, write_s=0.05))
    await cache.put(key(0), answer(0), MODEL)
    with closing(sqlite3.connect(database(tmp_path / "c"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        await cache.put(key(1), answer(1), MODEL)
        started = time.monotonic()
        assert await cache.get(key(0)) == answer(0)
        assert time.monotonic() - started < 0.9
        other.execute("COMMIT")
    cache.close()
    assert await kept(tmp_path / "c", 2) == 2


async def test_one_write_that_hangs_is_waited_for_once(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c", waits=Waits(busy_s=60.0, write_s=0.2))
    await cache.put(key(0), answer(0), MODEL)
    with closing(sqlite3.connect(database(tmp_path / "c"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        for number in range(1, 30):
            await cache.put(key(number), answer(number), MODEL)
            assert await cache.get(key(number)) == answer(number)
        assert 0.2 <= time.monotonic() - started < 0.2 * 10
        other.execute("ROLLBACK")
    cache.close()
    assert cache.counts.dropped == 0
    assert await kept(tmp_path / "c", 30) == 30


async def test_after_a_write_that_failed_there_is_a_rest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    now = [0.0]
    cache = AnswerCache(tmp_path / "file" / "c", waits=Waits(rest_s=10.0), clock=lambda: now[0])
    with caplog.at_level(logging.DEBUG):
        for now[0] in (0.0, 1.0, 9.0, 10.5, 11.0):
            await cache.put(key(0), answer(0), MODEL)
    assert sum("cannot be used" in record.message for record in caplog.records) == 2
    cache.close()
