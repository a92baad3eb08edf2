"""The size limit: what goes, when, and how far beyond it the files may be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from listwise.cache import SIZE_LIMIT_BYTES, AnswerCache
from listwise.cache.database import BESIDE_LIMIT_BYTES
from listwise.cache.files import size_in_use
from listwise.cache.sizes import parse_size
from listwise.cache.upkeep import trim
from listwise.policy import Policy
from tests.cache.samples import MODEL, answer, database, filled, kept, key

MIB = 2**20


@pytest.mark.parametrize(
    ("text", "size"),
    [(None, SIZE_LIMIT_BYTES), ("4GiB", 4 * 2**30), ("500MB", 500 * 10**6), ("1 MiB", MIB), ("1048576", MIB)],
)
def test_a_size_as_people_write_it(text: str | None, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-4GiB", "1000", "0"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size of 1MiB or more"):
        parse_size(text)


def test_a_policy_takes_a_size() -> None:
    assert Policy.of(cache_size="500MB").cache_size == 500 * 10**6


async def test_the_answers_stored_longest_ago_make_room(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c", MIB)
    most = 0
    for number in range(4000):
        await cache.put(key(number), answer(number, 250), MODEL)
        most = max(most, size_in_use(tmp_path / "c"))
    assert await cache.get(key(0)) is None
    cache.close()
    assert most <= MIB + BESIDE_LIMIT_BYTES
    assert size_in_use(tmp_path / "c") <= MIB
    assert cache.counts.evicted < 4000 - 1200  # what it may hold, it holds
    assert await kept(tmp_path / "c", cache.counts.evicted, 250) == 0
    assert await kept(tmp_path / "c", 4000, 250) == 4000 - cache.counts.evicted


async def test_many_large_answers_at_once_keep_to_the_size(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c", MIB)
    most = 0

    async def put(number: int) -> None:
        nonlocal most
        await cache.put(key(number), answer(number, 60_000), MODEL)
        most = max(most, size_in_use(tmp_path / "c"))

    async with asyncio.TaskGroup() as group:
        for number in range(400):
            group.create_task(put(number))
    cache.close()
    assert MIB // 2 < most <= MIB + BESIDE_LIMIT_BYTES
    assert size_in_use(tmp_path / "c") <= MIB


async def test_one_answer_may_take_a_sixteenth(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c", MIB)
    await cache.put(key(0), answer(0, MIB // 16), MODEL)
    await cache.put(key(1), answer(1, MIB // 16 - 500), MODEL)
    assert (await cache.get(key(0)), await cache.get(key(1))) == (None, answer(1, MIB // 16 - 500))
    assert cache.counts.dropped == 1
    cache.close()


async def test_a_limit_that_was_lowered_is_reached_over_some_writes(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 2000, 2000)
    assert size_in_use(tmp_path / "c") > 4 * MIB
    cache = AnswerCache(tmp_path / "c", MIB)
    for number in range(2000, 2010):
        await cache.put(key(number), answer(number, 2000), MODEL)
    cache.close()
    assert size_in_use(tmp_path / "c") <= MIB
    assert await kept(tmp_path / "c", 2010, 2000) > 200


async def test_trim_reaches_it_at_once(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 2000, 2000)
    cache = AnswerCache(tmp_path / "c")  # in use meanwhile
    assert await cache.get(key(0)) == answer(0, 2000)
    evicted = trim(tmp_path / "c", MIB)
    assert database(tmp_path / "c").stat().st_size <= MIB
    assert await cache.get(key(0)) is None
    cache.close()
    assert await kept(tmp_path / "c", 2000, 2000) == 2000 - evicted > 200
    assert trim(tmp_path / "c", MIB) == 0


def test_trim_begins_no_cache(tmp_path: Path) -> None:
    assert trim(tmp_path / "c", MIB) == 0
    assert not (tmp_path / "c").exists()
