"""A damaged file is set aside as it is, once, and what can be read is copied: every answer was paid for."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from listwise.cache import AnswerCache
from listwise.cache.files import current, set_aside
from listwise.cache.opening import opened as open_database
from listwise.cache.salvage import salvage
from tests.cache.samples import MODEL, answer, database, filled, kept, key, opened, python, said

COUNT = 300
PAGE = 4096


def begins_with(data: bytes) -> Callable[[bytes], bytes]:
    return lambda whole: data + whole[len(data) :]


def without_page(number: int) -> Callable[[bytes], bytes]:
    return lambda whole: whole[: number * PAGE] + bytes(PAGE) + whole[(number + 1) * PAGE :]


def schema_of_no_text(whole: bytes) -> bytes:
    return whole[:PAGE].replace(b"answer", b"\xff\xfe\xfd\xfc\xfb\xfa") + whole[PAGE:]


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "no header": (begins_with(b"\0" * 100), COUNT),
    "another header": (begins_with(b"%PDF-1.7 and then some"), COUNT),
    "an unknown schema format": (lambda whole: whole[:44] + b"\0\0\0\x09" + whole[48:], COUNT),
    "a version that never was": (lambda whole: whole[:60] + b"\x7f\0\0\0" + whole[64:], COUNT),
    "no first page": (begins_with(random.Random(1).randbytes(PAGE)), COUNT),
    "a schema that is no text": (schema_of_no_text, COUNT),
    "a page less": (without_page(5), COUNT - 40),
    "cut": (lambda whole: whole[: len(whole) // 2], COUNT // 4),
    "cut within a page": (lambda whole: whole[: len(whole) // 2 + 1234], COUNT // 4),
    "no database": (lambda _: b"answers\n" * 1000, 0),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_damaged_file_is_set_aside_and_its_answers_are_copied(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "c"
    await filled(directory, COUNT)
    broken, (change, least) = database(directory), DAMAGE[damage]
    broken.write_bytes(changed := change(broken.read_bytes()))

    cache = AnswerCache(directory)
    for number in range(COUNT):
        assert await cache.get(key(number)) in (None, answer(number))
    await cache.put(key(COUNT), answer(COUNT), MODEL)
    cache.close()

    assert COUNT >= await kept(directory, COUNT) >= least
    assert await kept(directory, COUNT + 1) > least
    assert [aside.path for aside in set_aside(directory)] == [broken]
    assert broken.read_bytes() == changed
    assert sum("set aside" in record.message for record in caplog.records) == 1


async def test_a_file_that_was_emptied_gives_what_was_not_merged(tmp_path: Path) -> None:
    """SQLite alone would delete the ``-wal`` file of an empty database."""
    await filled(tmp_path / "c", 1)
    script = """
        import asyncio, os, sys
        from pathlib import Path
        from listwise.cache import AnswerCache
        from tests.cache.samples import MODEL, answer, key

        async def main():
            cache = AnswerCache(Path(sys.argv[1]))
            for number in range(20):
                await cache.put(key(number), answer(number), MODEL)
            os._exit(0)

        asyncio.run(main())
    """
    said(python(script, tmp_path / "c"))
    database(tmp_path / "c").write_bytes(b"")
    assert await kept(tmp_path / "c", 20) >= 19
    assert len(set_aside(tmp_path / "c")) == 1


async def test_a_file_of_no_length_is_begun(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 1)
    database(tmp_path / "c").write_bytes(b"")
    await filled(tmp_path / "c", 1)
    assert await kept(tmp_path / "c", 1) == 1
    assert not set_aside(tmp_path / "c")


@pytest.mark.parametrize(
    "foreign",
    [
        "DROP TABLE answer",
        "CREATE TABLE more (it TEXT)",
        "CREATE TRIGGER on_answer AFTER INSERT ON answer BEGIN DELETE FROM answer; END",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 1",
    ],
)
async def test_another_program_s_database_is_set_aside_unchanged(tmp_path: Path, foreign: str) -> None:
    directory = tmp_path / "c"
    await filled(directory, 5)
    with opened(directory) as connection:
        connection.execute(foreign)
    other = database(directory)
    before = other.read_bytes()
    await filled(directory, 6)
    assert await kept(directory, 6) == 6
    assert [aside.path for aside in set_aside(directory)] == [other]
    assert other.read_bytes() == before


async def test_a_newer_version_s_database_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await filled(tmp_path / "c", 1)
    with opened(tmp_path / "c") as connection:
        connection.execute("PRAGMA user_version = 3")
    assert await kept(tmp_path / "c", 1) == 0
    assert "newer listwise" in caplog.text
    assert not set_aside(tmp_path / "c")
    with opened(tmp_path / "c") as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (1,)


async def test_a_wal_file_of_something_else_is_passed_by(tmp_path: Path) -> None:
    await filled(tmp_path / "c", COUNT)
    wal = database(tmp_path / "c").with_name(database(tmp_path / "c").name + "-wal")
    wal.write_bytes(random.Random(1).randbytes(50_000))
    assert await kept(tmp_path / "c", COUNT) == COUNT


async def test_damage_while_it_is_open_is_seen_by_reader_and_writer(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    await filled(directory, COUNT)
    cache = AnswerCache(directory)
    assert await cache.get(key(0)) == answer(0)
    await cache.put(key(COUNT), answer(COUNT), MODEL)
    size = database(directory).stat().st_size
    with database(directory).open("r+b") as file:
        file.write(bytes(size))
    for number in range(COUNT):
        assert await cache.get(key(number)) in (None, answer(number))
        await cache.put(key(number), answer(number), MODEL)
    cache.close()
    assert cache.counts.dropped == 0
    assert len(set_aside(directory)) == 1
    assert await kept(directory, COUNT) == COUNT


async def test_whatever_is_flipped_no_query_fails_and_no_answer_is_wrong(tmp_path: Path) -> None:
    chance = random.Random(7)
    await filled(tmp_path / "sound", 40, 100)
    for turn in range(25):
        directory = tmp_path / str(turn)
        shutil.copytree(tmp_path / "sound", directory)
        whole = bytearray(database(directory).read_bytes())
        for _ in range(chance.choice([1, 5, 50])):
            whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        database(directory).write_bytes(whole)
        await kept(directory, 40, 100)


async def test_long_answers_are_read_across_pages(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 20, 10_000)
    with database(tmp_path / "c").open("r+b") as file:
        file.write(bytes(100))
    assert await kept(tmp_path / "c", 20, 10_000) == 20


async def test_a_few_broken_files_are_kept_no_more(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    for turn in range(6):
        await filled(directory, turn + 1)
        with database(directory).open("r+b") as file:
            file.write(bytes(100))
    assert await kept(directory, 6) == 6
    assert len(set_aside(directory)) == 3


async def test_salvage_is_bounded_in_time_and_goes_on_later(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    await filled(tmp_path / "old", 2500)
    ticks = iter(range(100))
    with closing(open_database(directory, 1.0)) as fresh:
        first = salvage(database(tmp_path / "old"), fresh, seconds=1.5, clock=lambda: float(next(ticks)))
        assert (first.found, first.copied, first.whole) == (2000, 2000, False)
        rest = salvage(database(tmp_path / "old"), fresh)
        assert (rest.found, rest.copied, rest.whole) == (2500, 500, True)
    assert await kept(directory, 2500) == 2500


async def test_what_is_there_is_not_overwritten_by_what_is_salvaged(tmp_path: Path) -> None:
    await filled(tmp_path / "old", 1)
    cache = AnswerCache(tmp_path / "c")
    await cache.put(key(0), answer(9), MODEL)
    cache.close()
    with closing(open_database(tmp_path / "c", 1.0)) as fresh:
        assert salvage(database(tmp_path / "old"), fresh).copied == 0
    cache = AnswerCache(tmp_path / "c")
    assert await cache.get(key(0)) == answer(9)
    cache.close()


async def test_answers_of_version_1_are_copied_once(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    directory.mkdir()
    values = {
        key(0): answer_of_version_1(),
        key(1): "{}",
        "no key": answer_of_version_1(),
        key(2): b"\x80\x04pickled",
    }
    with closing(sqlite3.connect(directory / "cache.db")) as old, old:
        old.execute("CREATE TABLE Cache (key, raw, store_time, tag, mode, value)")
        for number, (name, value) in enumerate(values.items()):
            old.execute("INSERT INTO Cache VALUES (?, 1, ?, ?, 1, ?)", (name, 5.0 + number, MODEL, value))
    before = (directory / "cache.db").read_bytes()
    assert await kept(directory, 3) == 1
    assert (directory / "cache.db").read_bytes() == before
    assert current(directory) is not None


def answer_of_version_1() -> str:
    return (
        '{"version":1,"text":"[0] ","usage":{"input_tokens":0,"cached_input_tokens":0,"cache_write_tokens":0,'
        '"output_tokens":5,"reasoning_tokens":0},"served_by":"gpt-4o-2024","finish":"stop"}'
    )
