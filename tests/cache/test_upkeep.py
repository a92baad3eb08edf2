"""What ``listwise cache`` does: counts, looks for damage, deletes, and copies what was set aside."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from listwise.cache import AnswerCache
from listwise.cache.files import current, locked, set_aside, size_in_use
from listwise.cache.survey import Holding, survey
from listwise.cache.upkeep import clear, clear_aside, salvage_into, verify
from listwise.errors import ConfigError
from listwise.spend.prices import PriceBook
from tests.cache.samples import MODEL, answer, database, filled, kept, key, opened

DAMAGED_ENTRY = "UPDATE answer SET value = replace(value, 'gpt', 'gtp') WHERE id = 3"


def break_header(directory: Path) -> Path:
    with (broken := database(directory)).open("r+b") as file:
        file.write(bytes(100))
    return broken


async def test_a_sound_cache_is_found_sound(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 2500)
    verdict = verify(tmp_path / "c")
    assert (verdict.answers, verdict.damaged, verdict.broken, verdict.is_sound) == (2500, 0, None, True)
    assert verify(tmp_path / "nowhere").is_sound
    assert not (tmp_path / "nowhere").exists()


async def test_damaged_entries_are_reported_and_then_removed(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 5)
    with opened(tmp_path / "c") as connection:
        connection.execute(DAMAGED_ENTRY)
    for _ in range(2):
        kept_so = verify(tmp_path / "c", keep=True)
        assert (kept_so.answers, kept_so.damaged, kept_so.is_sound) == (4, 1, False)
    removed = verify(tmp_path / "c")
    assert (removed.answers, removed.damaged, removed.is_sound) == (4, 1, False)
    assert verify(tmp_path / "c").is_sound
    assert survey(tmp_path / "c").damaged == 1


async def test_a_broken_file_is_reported_and_then_replaced(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 5)
    broken = break_header(tmp_path / "c")
    reported = verify(tmp_path / "c", keep=True)
    assert reported.broken is not None
    assert not reported.is_sound
    assert database(tmp_path / "c") == broken
    replaced = verify(tmp_path / "c")
    assert (replaced.answers, replaced.is_sound) == (5, False)
    assert [aside.path for aside in set_aside(tmp_path / "c")] == [broken]
    assert await kept(tmp_path / "c", 5) == 5


async def test_an_answer_that_is_missing_from_the_index_is_found_again(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 5)
    with opened(tmp_path / "c") as connection:
        (index,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'answer_key'").fetchone()
    whole = database(tmp_path / "c").read_bytes()
    at = whole.index(key(3).encode(), (index - 1) * 4096)
    database(tmp_path / "c").write_bytes(whole[:at] + b"1" + whole[at + 1 :])
    assert await kept(tmp_path / "c", 5) < 5
    assert verify(tmp_path / "c").answers == 5
    assert await kept(tmp_path / "c", 5) == 5


async def test_clear_deletes_and_gives_the_space_back_while_others_go_on(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c")
    for number in range(2500):
        await cache.put(key(number), answer(number, 300), MODEL if number % 2 else "openai/other")
    assert clear(tmp_path / "c", "openai/nobody") == 0
    assert clear(tmp_path / "c", "openai/other") == 1250
    assert await cache.get(key(2)) is None
    assert await cache.get(key(1)) == answer(1, 300)
    assert clear(tmp_path / "c") == 1250
    assert size_in_use(tmp_path / "c") < 2**17
    assert await cache.get(key(1)) is None
    await cache.put(key(1), answer(1, 300), MODEL)
    cache.close()
    assert await kept(tmp_path / "c", 2, 300) == 1
    assert clear(tmp_path / "nowhere") == 0
    assert not (tmp_path / "nowhere").exists()


async def test_what_was_set_aside_can_be_copied_and_deleted(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    await filled(directory, 5)
    break_header(directory)
    await filled(directory, 6)
    clear(directory)
    (salvaged,) = salvage_into(directory)
    assert (salvaged.found, salvaged.copied, salvaged.whole) == (5, 5, True)
    assert await kept(directory, 5) == 5
    (gone,) = clear_aside(directory)
    assert gone.size > 0
    assert not gone.path.exists()
    assert salvage_into(directory) == []
    assert await kept(directory, 5) == 5


async def test_another_cache_s_answers_can_be_copied(tmp_path: Path) -> None:
    await filled(tmp_path / "from", 5)
    (salvaged,) = salvage_into(tmp_path / "to", [database(tmp_path / "from")])
    assert (salvaged.found, salvaged.copied) == (5, 5)
    assert await kept(tmp_path / "to", 5) == await kept(tmp_path / "from", 5) == 5


async def test_answers_are_counted_by_model_with_what_they_are_worth(tmp_path: Path) -> None:
    times = iter([50.0, 40.0, 60.0])
    cache = AnswerCache(tmp_path / "c", now=lambda: next(times))
    await cache.put(key(1), answer(1_000_000), "openai/gpt-4o")
    await cache.put(key(2), answer(1_000_000), "openai/gpt-4o")
    await cache.put(key(3), answer(7), "vllm/nobody-knows-it")
    cache.close()
    found = survey(tmp_path / "c")
    price = PriceBook().find("openai/gpt-4o")
    assert price is not None
    worth = 2 * price.cost(answer(1_000_000).usage)
    assert worth > 0
    assert found.holdings == (
        Holding("openai/gpt-4o", 2, 2_000_000, 10, worth),
        Holding("vllm/nobody-knows-it", 1, 7, 5, None),
    )
    assert (found.answers, found.oldest, found.damaged, found.evicted) == (3, 40.0, 0, 0)
    assert found.size >= found.used > 0
    assert found.file == database(tmp_path / "c")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE answer SET value = 'no json'",
        'UPDATE answer SET value = \'{"usage": {"input_tokens": "many", "output_tokens": -5}}\'',
        "UPDATE answer SET value = CAST(x'ff80' AS TEXT), model = CAST(x'ff80' AS TEXT), stored = 'long ago'",
        "UPDATE tally SET count = 'many'",
    ],
)
async def test_damaged_entries_are_counted_as_they_are(tmp_path: Path, damage: str) -> None:
    await filled(tmp_path / "c", 2)
    with opened(tmp_path / "c") as connection:
        connection.execute(damage)
    found = survey(tmp_path / "c")
    assert found.answers == 2


def test_no_cache_is_no_error(tmp_path: Path) -> None:
    found = survey(tmp_path / "c")
    assert (found.answers, found.size, found.file, found.aside) == (0, 0, None, ())
    assert current(tmp_path / "c") is None


async def test_a_broken_file_says_what_to_do(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 5)
    break_header(tmp_path / "c")
    with pytest.raises(ConfigError, match="`listwise cache verify` sets it aside"):
        survey(tmp_path / "c")
    with pytest.raises(ConfigError, match="`listwise cache verify` sets it aside"):
        clear(tmp_path / "c")


async def test_a_cache_that_cannot_be_used_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    for work in (survey, clear, verify):
        with pytest.raises(ConfigError, match="cannot be used"):
            work(tmp_path / "file")
    monkeypatch.setattr("listwise.cache.upkeep.PATIENCE_S", 0.05)
    await filled(tmp_path / "c", 1)
    with locked(tmp_path / "c", 1.0), pytest.raises(ConfigError, match="another process holds"):
        verify(tmp_path / "c")


async def test_a_newer_version_s_cache_is_not_touched(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 1)
    with opened(tmp_path / "c") as connection:
        connection.execute("PRAGMA user_version = 3")
    for work in (survey, clear, verify):
        with pytest.raises(ConfigError, match="newer listwise"):
            work(tmp_path / "c")
    with closing(sqlite3.connect(database(tmp_path / "c"))) as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (1,)
