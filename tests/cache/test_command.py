"""``listwise cache``, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from listwise.cache.files import set_aside
from listwise.cli.cache_command import command
from listwise.errors import ConfigError
from tests.cache.samples import database, filled, kept, opened


def typed(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["--cache", str(directory), *arguments])


async def test_info(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 3)
    shown = typed(tmp_path / "c", "info", "--cache-size", "500MB")
    assert shown.exit_code == 0
    assert "3 answers" in shown.output
    assert "of 476.8 MiB" in shown.output
    assert "0 evicted and 0 damaged" in shown.output
    assert "openai/gpt-4o" in shown.output


async def test_info_for_programs(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 3)
    with database(tmp_path / "c").open("r+b") as file:
        file.write(bytes(100))
    await filled(tmp_path / "c", 4)
    said = json.loads(typed(tmp_path / "c", "info", "--json").output)
    (holding,) = said.pop("models")
    (aside,) = said.pop("set_aside")
    assert said.pop("bytes") >= said.pop("used_bytes") > 0
    assert said.pop("oldest").endswith(" UTC")
    assert said == {
        "directory": str(tmp_path / "c"),
        "file": str(database(tmp_path / "c")),
        "answers": 4,
        "spellings": 0,
        "limit_bytes": 4 * 2**30,
        "damaged": 0,
        "evicted": 0,
        "version_1": None,
    }
    assert holding.pop("usd") > "0"
    assert holding == {"model": "openai/gpt-4o", "answers": 4, "input_tokens": 6, "output_tokens": 20}
    assert aside["file"] == str(set_aside(tmp_path / "c")[0].path)


async def test_verify_ends_with_1_where_anything_was_damaged(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 3)
    assert typed(tmp_path / "c", "verify").exit_code == 0
    with opened(tmp_path / "c") as connection:
        connection.execute("UPDATE answer SET checksum = x'00' WHERE id = 1")
    only_said, removed, sound = (typed(tmp_path / "c", "verify", *way) for way in (["--keep"], [], []))
    assert [said.exit_code for said in (only_said, removed, sound)] == [1, 1, 0]
    assert "2 answers are sound, 1 entries damaged\nthey are still there" in only_said.output
    assert "they were removed" in removed.output
    with database(tmp_path / "c").open("r+b") as file:
        file.write(bytes(100))
    broken = typed(tmp_path / "c", "verify")
    assert broken.exit_code == 1
    assert "the file is broken" in broken.output
    assert "2 answers could be read, and were copied" in broken.output
    assert typed(tmp_path / "c", "verify").exit_code == 0


async def test_trim(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 600, 2000)
    assert "evicted" in typed(tmp_path / "c", "trim", "--cache-size", "1MiB").output
    assert database(tmp_path / "c").stat().st_size <= 2**20
    with pytest.raises(ConfigError, match="--cache-size: 'much' is no size"):
        CliRunner().invoke(command, ["trim", "--cache-size", "much"], catch_exceptions=False)


async def test_broken_files_are_shown_copied_and_deleted(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 3)
    broken = database(tmp_path / "c")
    with broken.open("r+b") as file:
        file.write(bytes(100))
    assert await kept(tmp_path / "c", 3) == 3
    assert f"set aside: {broken}" in typed(tmp_path / "c", "info").output.replace("\n", "")
    cleared = typed(tmp_path / "c", "clear", "--yes").output
    assert "3 answers deleted\n1 files that were set aside hold more" in cleared
    assert "3 answers can be read, 3 of them were copied just now" in typed(tmp_path / "c", "salvage").output
    assert typed(tmp_path / "c", "clear", "--broken", "--model", "m").exit_code == 2
    assert "1 files deleted" in typed(tmp_path / "c", "clear", "--broken", "--yes").output
    assert not set_aside(tmp_path / "c")
    assert "nothing was set aside" in typed(tmp_path / "c", "salvage").output
    assert await kept(tmp_path / "c", 3) == 3


async def test_nothing_is_deleted_unasked(tmp_path: Path) -> None:
    await filled(tmp_path / "c", 3)
    assert typed(tmp_path / "c", "clear").exit_code == 1
    assert await kept(tmp_path / "c", 3) == 3
