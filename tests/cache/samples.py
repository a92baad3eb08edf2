"""Answers to keep, and a look at a cache's files."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from listwise.cache import AnswerCache
from listwise.cache.upkeep import verify
from listwise.calls import Completion
from listwise.types import Usage

ANSWER = Completion("[2] > [1] > [3]", Usage(10, 4, 2, 6, 1), "gpt-4o-2024", "stop")
MODEL = "openai/gpt-4o"


def answer(number: int, length: int = 0) -> Completion:
    """A different one for each number."""
    return Completion(f"[{number}] {'x' * length}", Usage(number, 0, 0, 5, 0), "gpt-4o-2024", "stop")


def key(number: int) -> str:
    return f"{number:064x}"


def database(directory: Path) -> Path:
    """The file in use."""
    return max(directory.glob("answers-*.db"))


@contextmanager
def opened(directory: Path) -> Iterator[sqlite3.Connection]:
    """The database in use, to tamper with."""
    with closing(sqlite3.connect(database(directory))) as connection, connection:
        yield connection


async def filled(directory: Path, count: int, length: int = 0) -> None:
    """Keep answers 0 to ``count``, and close."""
    cache = AnswerCache(directory)
    for number in range(count):
        await cache.put(key(number), answer(number, length), MODEL)
    cache.close()


async def kept(directory: Path, count: int, length: int = 0) -> int:
    """How many of the answers 0 to ``count`` are there; each must be what was put in."""
    cache = AnswerCache(directory)
    found = 0
    for number in range(count):
        if (back := await cache.get(key(number))) is not None:
            assert back == answer(number, length)
            found += 1
    cache.close()
    return found


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A script in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    """What it printed, once it has ended well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def all_sound(directory: Path) -> bool:
    """Whether the file and every entry are as they should be."""
    with closing(sqlite3.connect(database(directory))) as connection:
        return (
            bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)) and verify(directory).is_sound
        )
