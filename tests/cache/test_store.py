"""Contract 3: what was paid for is kept, nothing is unpickled, and a broken cache fails and holds up no query."""

from __future__ import annotations

import logging
import os
import pickle
import stat
from pathlib import Path

import pytest

from listwise.cache import AnswerCache
from listwise.calls import Completion
from listwise.types import Usage
from tests.cache.samples import ANSWER, MODEL, answer, filled, kept, key, opened


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


async def test_a_warning_comes_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = AnswerCache(tmp_path / "file")
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            assert await cache.get(key(number)) is None
    cache.close()
    assert len(caplog.records) == 1
