"""Contract 3: what was paid for is kept, nothing is unpickled, and a broken cache fails and holds up no query."""

from __future__ import annotations

import fcntl
import logging
import os
import pickle
import shutil
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest

from listwise.cache import AnswerCache, Waits
from listwise.calls import Completion
from listwise.types import Usage
from tests.cache.samples import ANSWER, MODEL, answer, database, filled, kept, key, opened, python, said


class Trap:
    """Pickled data that leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


async def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    first = AnswerCache(tmp_path / "c")
    assert await first.get("key") is None
    await first.put("key", ANSWER, MODEL)
    first.close()
    second = AnswerCache(tmp_path / "c")
    assert await second.get("key") == ANSWER
    second.close()


async def test_what_was_read_once_is_read_again(tmp_path: Path) -> None:
    first, second = AnswerCache(tmp_path / "c"), AnswerCache(tmp_path / "c")
    await first.put("key", answer(1), MODEL)
    await second.put("key", answer(2), MODEL)
    assert await first.get("key") == await second.get("key") == answer(1)
    first.close()
    second.close()


async def test_the_directory_and_its_files_are_private(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c")
    await cache.put("key", ANSWER, "m")
    files = list((tmp_path / "c").iterdir())
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    cache.close()


async def test_a_pickled_value_is_a_miss_and_stays_pickled(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 1)
    with opened(tmp_path / "c") as connection:
        connection.execute("UPDATE answer SET value = ?", (pickle.dumps(Trap(tmp_path / "mark")),))
    assert await kept(tmp_path / "c", 1) == 0
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE answer SET value = replace(value, '[0]', '[1]')",
        "UPDATE answer SET value = substr(value, 1, 40)",
        "UPDATE answer SET value = ''",
        "UPDATE answer SET value = 7",
        "UPDATE answer SET value = CAST(x'ff80' AS TEXT)",
        "UPDATE answer SET model = 'openai/other'",
        "UPDATE answer SET checksum = zeroblob(16)",
        "UPDATE answer SET checksum = 'text'",
        "UPDATE answer SET value = (SELECT value FROM answer WHERE id = 2),"
        " checksum = (SELECT checksum FROM answer WHERE id = 2) WHERE id = 1",
    ],
)
async def test_a_damaged_entry_is_a_miss_and_asked_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    await filled(tmp_path / "c", 2)
    with opened(tmp_path / "c") as connection:
        connection.execute(damage)
    cache = AnswerCache(tmp_path / "c")
    assert await cache.get(key(0)) is None
    assert cache.counts.damaged == 1
    await cache.put(key(0), answer(0), MODEL)
    assert await cache.get(key(0)) == answer(0)
    cache.close()
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert await kept(tmp_path / "c", 1) == 1


async def test_a_damaged_entry_is_removed_though_it_is_not_asked_again(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 1)
    with opened(tmp_path / "c") as connection:
        connection.execute("UPDATE answer SET value = 'x'")
    assert await kept(tmp_path / "c", 1) == 0
    with opened(tmp_path / "c") as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (0,)
        assert connection.execute("SELECT * FROM tally").fetchall() == [("damaged", 1)]


async def test_an_answer_that_is_no_unicode_is_not_kept(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c")
    await cache.put("key", Completion("\ud83d", Usage(), "m"), "m")
    assert await cache.get("key") is None
    assert cache.counts.dropped == 1
    cache.close()


async def test_a_closed_cache_keeps_and_finds_nothing(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c")
    await cache.put("key", ANSWER, "m")
    cache.close()
    cache.close()
    await cache.put("other", ANSWER, "m")
    assert await cache.get("key") is None


async def test_a_file_in_the_way_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "c"):
        cache = AnswerCache(place)
        assert await cache.get("key") is None
        await cache.put("key", ANSWER, "m")
        assert await cache.get("key") == ANSWER  # from memory
        cache.close()
        assert cache.counts.dropped == 1


async def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "c").symlink_to(tmp_path / "elsewhere")
    await filled(tmp_path / "c", 1)
    assert await kept(tmp_path / "elsewhere", 1) == 1


async def test_a_folder_that_is_deleted_meanwhile_is_begun_again(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c")
    await cache.put(key(0), answer(0), MODEL)
    assert await cache.get(key(0)) == answer(0)
    shutil.rmtree(tmp_path / "c")
    assert await cache.get(key(0)) is None
    await cache.put(key(1), answer(1), MODEL)
    cache.close()
    assert await kept(tmp_path / "c", 2) == 1


READ_ONLY = """
    import asyncio, os, sys
    from pathlib import Path
    from listwise.cache import AnswerCache
    from tests.cache.samples import MODEL, answer, key

    async def main(directory):
        import listwise.cache.desk, listwise.cache.opening  # while files can still be read
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        cache = AnswerCache(directory)
        there = await cache.get(key(0)) == answer(0)
        await cache.put(key(1), answer(1), MODEL)
        again = await cache.get(key(1)) == answer(1)
        cache.close()
        print(there, again, cache.counts.dropped)

    asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.fixture
def open_place() -> object:
    """A folder to which every user can go, as those of pytest are not."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize(
    ("folder", "file", "there"), [(0o555, 0o444, True), (0o555, 0o644, True), (0o500, 0o400, None)]
)
async def test_what_cannot_be_written_is_read_if_it_can_be(
    open_place: Path, folder: int, file: int, there: bool | None
) -> None:
    directory = open_place / "c"
    await filled(directory, 1)
    for name in directory.iterdir():
        name.chmod(file)
    directory.chmod(folder)
    process = python(READ_ONLY, directory)
    out, err = process.communicate(timeout=60)
    directory.chmod(0o700)
    found = there if there is not None else os.geteuid() != 0  # its owner can read it
    assert (process.returncode, out.split()) == (0, [str(found), "True", "1"]), err
    assert err.count("cannot be used") == 1
    assert await kept(directory, 2) == 1


FULL_DISK = """
    import asyncio, resource, sys
    from pathlib import Path
    from listwise.cache import AnswerCache
    from tests.cache.samples import MODEL, answer, key

    async def main(directory):
        now = 0.0
        cache = AnswerCache(directory, clock=lambda: now)
        await cache.put(key(0), answer(0), MODEL)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        for number in range(1, 40):
            await cache.put(key(number), answer(number, 500), MODEL)
            now += 0.5
        assert await cache.get(key(0)) == answer(0)
        assert await cache.get(key(39)) == answer(39, 500)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        now += 10
        await cache.put(key(40), answer(40, 500), MODEL)
        cache.close()
        print(cache.counts.dropped)

    asyncio.run(main(Path(sys.argv[1])))
"""


async def test_a_full_disk_fails_nothing_and_loses_nothing_once_there_is_space(tmp_path: Path) -> None:
    process = python(FULL_DISK, tmp_path / "c")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.strip()) == (0, "0"), err
    assert err.count("cannot be used") == 1
    cache = AnswerCache(tmp_path / "c")
    assert [await cache.get(key(number)) for number in range(1, 41)] == [answer(at, 500) for at in range(1, 41)]
    cache.close()
    assert not list((tmp_path / "c").glob("answers-*.db"))[1:]  # nothing was set aside


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


async def test_a_warning_comes_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = AnswerCache(tmp_path / "file")
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            assert await cache.get(key(number)) is None
    cache.close()
    assert len(caplog.records) == 1


FORK = """
    import asyncio, os, sys
    from pathlib import Path
    from listwise.cache import AnswerCache
    from tests.cache.samples import MODEL, answer, key

    async def use(cache, first):
        for number in range(first, first + 50):
            await cache.put(key(number), answer(number), MODEL)
            assert await cache.get(key(number)) == answer(number)
        assert await cache.get(key(0)) == answer(0)

    cache = AnswerCache(Path(sys.argv[1]))
    asyncio.run(use(cache, 0))
    children = []
    for at in range(1, 4):
        if not (child := os.fork()):
            asyncio.run(use(cache, 50 * at))
            cache.close()
            sys.exit(0)
        children.append(child)
    asyncio.run(use(cache, 200))
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    asyncio.run(use(cache, 250))
    cache.close()
"""


async def test_a_cache_goes_on_after_a_fork_in_both(tmp_path: Path) -> None:
    said(python(FORK, tmp_path / "c"))
    assert await kept(tmp_path / "c", 300) == 300
