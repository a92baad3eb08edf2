"""Contract 3: what was paid for is kept, nothing is unpickled, and a broken cache fails no query."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import diskcache
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.cache import AnswerCache, StoredAnswer, TextDisk, cache_key
from listwise.calls import Call, Completion, Identity, Message, Sampling
from listwise.types import Usage

IDENTITY = Identity("openai", "gpt-4o", "https://api.openai.com/v1")
CALL = Call((Message("user", "rank"),), Sampling(100), passages=3)
ANSWER = Completion("[2] > [1] > [3]", Usage(10, 4, 2, 6, 1), "gpt-4o-2024", "stop")


class Trap:
    """Pickled data that leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


async def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    first = AnswerCache(tmp_path / "c")
    assert await first.get("key") is None
    await first.put("key", ANSWER, "openai/gpt-4o")
    first.close()
    second = AnswerCache(tmp_path / "c")
    assert await second.get("key") == ANSWER
    assert second.info()["answers"] == 1
    second.close()


@given(st.text(), st.lists(st.integers(0, 2**40), min_size=5, max_size=5), st.text())
def test_any_text_survives_the_stored_form(text: str, tokens: list[int], served_by: str) -> None:
    completion = Completion(text, Usage(*tokens), served_by, "length")
    stored = StoredAnswer.of(completion).model_dump_json()
    assert StoredAnswer.model_validate_json(stored).completion() == completion


def test_the_key_is_canonical_and_complete() -> None:
    assert cache_key(IDENTITY, CALL) == cache_key(IDENTITY, replace(CALL))
    assert len(cache_key(IDENTITY, CALL)) == 64
    others = [
        cache_key(replace(IDENTITY, base_url="http://localhost/v1"), CALL),
        cache_key(replace(IDENTITY, provider="vllm"), CALL),
        cache_key(replace(IDENTITY, model="gpt-4"), CALL),
        cache_key(replace(IDENTITY, interface="responses"), CALL),
        cache_key(IDENTITY, replace(CALL, messages=(Message("system", "rank"),))),
        cache_key(IDENTITY, replace(CALL, form="order")),
        cache_key(IDENTITY, replace(CALL, passages=4)),
        cache_key(IDENTITY, replace(CALL, sample=1)),
        cache_key(IDENTITY, replace(CALL, sampling=Sampling(101))),
        cache_key(IDENTITY, replace(CALL, sampling=Sampling(100, temperature=None))),
        cache_key(IDENTITY, replace(CALL, sampling=Sampling(100, reasoning_effort="low"))),
        cache_key(IDENTITY, replace(CALL, sampling=Sampling(100, seed=0))),
    ]
    assert len({cache_key(IDENTITY, CALL), *others}) == len(others) + 1


async def test_the_directory_is_private(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c")
    await cache.put("key", ANSWER, "m")
    cache.close()
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "c" / "cache.db").stat().st_mode) == 0o600


async def test_pickled_rows_are_refused_not_unpickled(tmp_path: Path) -> None:
    hostile = diskcache.Cache(str(tmp_path / "c"))
    hostile.set("key", Trap(tmp_path / "value-mark"))
    hostile.set(Trap(tmp_path / "key-mark"), "x")
    hostile.close()
    cache = AnswerCache(tmp_path / "c")
    assert await cache.get("key") is None
    await cache.put("key", ANSWER, "m")
    assert await cache.get("key") == ANSWER
    cache.clear()
    cache.close()
    assert not list(tmp_path.glob("*-mark"))


async def test_a_row_that_names_a_file_is_refused(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c")
    await cache.put("key", ANSWER, "m")
    (tmp_path / "secret").write_text(StoredAnswer.of(ANSWER).model_dump_json())
    with sqlite3.connect(tmp_path / "c" / "cache.db") as database:
        database.execute("UPDATE Cache SET mode = 3, filename = '../secret', value = NULL")
    database.close()
    assert await cache.get("key") is None
    cache.close()


@pytest.mark.parametrize("value", [b"\x80\x04N.", "not json", '{"text": 1}', "{}", pickle.dumps({"a": 1})])
async def test_a_broken_entry_is_a_miss(tmp_path: Path, value: str | bytes) -> None:
    cache = AnswerCache(tmp_path / "c")
    await cache.put("key", ANSWER, "m")
    with sqlite3.connect(tmp_path / "c" / "cache.db") as database:
        database.execute("UPDATE Cache SET value = ?", (value,))
    database.close()
    assert await cache.get("key") is None
    cache.close()


async def test_a_broken_database_is_set_aside_and_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "cache.db").write_bytes(b"this is no database" * 100)
    cache = AnswerCache(tmp_path / "c")
    assert await cache.get("key") is None
    await cache.put("key", ANSWER, "m")
    assert await cache.get("key") == ANSWER
    cache.close()
    (aside,) = (tmp_path / "c").glob("*.broken-*")
    assert aside.read_bytes().startswith(b"this is no database")


async def test_a_place_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = AnswerCache(tmp_path / "file" / "c")
    assert await cache.get("key") is None
    await cache.put("key", ANSWER, "m")
    assert await cache.get("key") is None
    cache.close()


def test_only_text_goes_in_or_out(tmp_path: Path) -> None:
    disk = TextDisk(str(tmp_path))
    with pytest.raises(TypeError):
        disk.store({"a": 1}, False)
    with pytest.raises(TypeError):
        disk.put(1)
    with pytest.raises(ValueError, match="not text"):
        disk.fetch(diskcache.core.MODE_PICKLE, None, b"x", False)
    with pytest.raises(ValueError, match="not text"):
        disk.get(b"x", False)


async def test_answers_of_one_model_can_be_cleared(tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "c")
    assert cache.clear() == 0
    await cache.put("a", ANSWER, "openai/a")
    await cache.put("b", ANSWER, "openai/b")
    assert cache.clear("openai/a") == 1
    assert await cache.get("a") is None
    assert await cache.get("b") == ANSWER
    cache.close()


WRITER = """
    import asyncio, sys
    from pathlib import Path
    from listwise.cache import AnswerCache
    from listwise.calls import Completion
    from listwise.types import Usage

    async def main():
        cache = AnswerCache(Path(sys.argv[1]))
        for at in range(int(sys.argv[3])):
            await cache.put(f"{sys.argv[2]}-{at}", Completion("[1]", Usage(), "m"), "m")
            print(at, flush=True)
        cache.close()

    asyncio.run(main())
"""


def writer(directory: Path, name: str, count: int) -> subprocess.Popen[str]:
    script = [sys.executable, "-c", textwrap.dedent(WRITER), str(directory), name, str(count)]
    return subprocess.Popen(script, stdout=subprocess.PIPE, text=True)


async def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    writers = [writer(tmp_path / "c", name, 40) for name in "ab"]
    for process in writers:
        process.communicate(timeout=60)
        assert process.returncode == 0
    cache = AnswerCache(tmp_path / "c")
    for name in "ab":
        for at in range(40):
            assert await cache.get(f"{name}-{at}") is not None
    cache.close()


async def test_what_was_kept_before_kill_9_is_there_after(tmp_path: Path) -> None:
    process = writer(tmp_path / "c", "k", 10**6)
    assert process.stdout is not None
    kept = 0
    while kept < 25:
        kept = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    cache = AnswerCache(tmp_path / "c")
    for at in range(kept + 1):
        assert await cache.get(f"k-{at}") is not None
    cache.close()
