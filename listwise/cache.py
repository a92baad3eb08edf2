"""Raw answers on disk: every answer that was paid for is kept, and found again by what was asked.

The key is the SHA-256 of canonical JSON; the value is JSON text. Nothing is ever pickled or unpickled, although
diskcache would by default (CVE-2025-69872). A cache that fails is slow money, never a failed query: what cannot be
read is a miss, and a database that is broken is set aside and begun anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import diskcache
from pydantic import BaseModel, ConfigDict, ValidationError

from listwise.calls import Call, Completion, Identity
from listwise.log import get_logger
from listwise.types import Usage

T = TypeVar("T")

SIZE_LIMIT_BYTES = 4 * 2**30
BUSY_TIMEOUT_S = 5.0

_log = get_logger(__name__)


class AnswerStore(Protocol):
    """Keeps raw answers. Neither method raises on a failure of the store."""

    async def get(self, key: str) -> Completion | None:
        """The answer kept under a key, or None."""
        ...

    async def put(self, key: str, completion: Completion, model: str) -> None:
        """Keep an answer."""
        ...


def default_directory() -> Path:
    """``$LISTWISE_CACHE``, else ``listwise`` in the user's cache folder."""
    if own := os.environ.get("LISTWISE_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "listwise"


def cache_key(identity: Identity, call: Call) -> str:
    """SHA-256 (hex) of everything that determines an answer, as canonical JSON."""
    sampling = call.sampling
    asked = {
        "provider": identity.provider,
        "model": identity.model,
        "base_url": identity.base_url,
        "interface": identity.interface,
        "messages": [[message.role, message.content] for message in call.messages],
        "form": call.form,
        "passages": call.passages,
        "max_output_tokens": sampling.max_output_tokens,
        "temperature": sampling.temperature,
        "reasoning_effort": sampling.reasoning_effort,
        "seed": sampling.seed,
        "sample": call.sample,
    }
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


class StoredUsage(BaseModel):
    """Usage as it stands in the cache."""

    model_config = ConfigDict(strict=True, extra="ignore")

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


class StoredAnswer(BaseModel):
    """One value of the cache."""

    model_config = ConfigDict(strict=True, extra="ignore")

    version: Literal[1] = 1
    text: str
    usage: StoredUsage
    served_by: str
    finish: Literal["stop", "length", "refusal", "other"]

    @classmethod
    def of(cls, completion: Completion) -> StoredAnswer:
        """The stored form of an answer."""
        usage = completion.usage
        return cls(
            text=completion.text,
            usage=StoredUsage(
                input_tokens=usage.input_tokens,
                cached_input_tokens=usage.cached_input_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                output_tokens=usage.output_tokens,
                reasoning_tokens=usage.reasoning_tokens,
            ),
            served_by=completion.served_by,
            finish=completion.finish,
        )

    def completion(self) -> Completion:
        """The answer."""
        return Completion(self.text, Usage(**self.usage.model_dump()), self.served_by, self.finish)


class TextDisk(diskcache.Disk):  # type: ignore[misc]
    """Stores text in the database and returns text from it; refuses everything else, pickled rows above all."""

    def put(self, key: Any) -> tuple[str, bool]:
        """Keys are text."""
        if not isinstance(key, str):
            raise TypeError(f"a cache key is text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        """Keys are text."""
        if not raw or not isinstance(key, str):
            raise ValueError("a cache key in the database is not text")
        return key

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, str]:
        """Values are text, inside the database."""
        if read or not isinstance(value, str):
            raise TypeError(f"a cached answer is text, not {type(value).__name__}")
        return len(value), diskcache.core.MODE_RAW, None, value

    def fetch(self, mode: int, filename: Any, value: Any, read: bool) -> str:
        """Values are text, inside the database."""
        if mode != diskcache.core.MODE_RAW or filename is not None or not isinstance(value, str):
            raise ValueError("a cached answer in the database is not text")
        return value


class AnswerCache:
    """An `AnswerStore` in a directory that only its user can read. One thread does the work, off the event loop."""

    def __init__(self, directory: Path, size_limit_bytes: int = SIZE_LIMIT_BYTES) -> None:
        self.directory = directory
        self._size_limit_bytes = size_limit_bytes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="listwise-cache")
        self._cache: diskcache.Cache | None = None
        self._complained = False
        self._ended = False

    async def get(self, key: str) -> Completion | None:
        """The answer kept under a key, or None."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, key)

    async def put(self, key: str, completion: Completion, model: str) -> None:
        """Keep an answer; ``model`` is noted beside it for ``listwise cache``."""
        text = StoredAnswer.of(completion).model_dump_json()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, key, text, model)

    def close(self) -> None:
        """Wait for what is being written, and close the database; may be called again."""
        if not self._ended:
            self._ended = True
            self._thread.submit(self._close).result()
            self._thread.shutdown()

    def info(self) -> dict[str, int]:
        """Number of ``answers`` and size in ``bytes`` on disk; zeros where there is no cache yet."""
        if not (self.directory / diskcache.core.DBNAME).exists():
            return {"answers": 0, "bytes": 0}
        counted = self._thread.submit(self._guarded, lambda cache: (len(cache), cache.volume())).result()
        answers, size = counted or (0, 0)
        return {"answers": answers, "bytes": size}

    def clear(self, model: str | None = None) -> int:
        """Delete all answers, or those of one model; returns how many."""
        if not (self.directory / diskcache.core.DBNAME).exists():
            return 0

        def delete(cache: diskcache.Cache) -> int:
            return int(cache.clear() if model is None else cache.evict(model))

        return self._thread.submit(self._guarded, delete).result() or 0

    def _read(self, key: str) -> Completion | None:
        text = self._guarded(lambda cache: cache.get(key))
        if text is None:
            return None
        try:
            return StoredAnswer.model_validate_json(text).completion()
        except ValidationError:
            self._complain("an entry of the answer cache cannot be read and is asked for again", key)
            return None

    def _write(self, key: str, text: str, model: str) -> None:
        self._guarded(lambda cache: cache.set(key, text, tag=model))

    def _guarded(self, work: Callable[[diskcache.Cache], T]) -> T | None:
        """Do something with the database; None if it fails. A broken database is replaced, and the work redone."""
        try:
            return work(self._opened())
        except diskcache.Timeout:
            self._complain("the answer cache is busy", str(self.directory))
        except sqlite3.OperationalError as error:
            self._complain("the answer cache cannot be used", str(error))
        except sqlite3.DatabaseError as error:
            self._complain("the answer cache is broken; it is set aside and begun anew", str(error))
            try:
                self._set_aside()
                return work(self._opened())
            except (sqlite3.Error, diskcache.Timeout, OSError, ValueError) as again:
                self._complain("the answer cache cannot be used", str(again))
        except (OSError, ValueError) as error:
            self._complain("the answer cache cannot be used", str(error))
        return None

    def _opened(self) -> diskcache.Cache:
        if self._cache is None:
            if not self.directory.is_dir():
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            database = self.directory / diskcache.core.DBNAME
            os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
            self._cache = diskcache.Cache(
                str(self.directory),
                timeout=BUSY_TIMEOUT_S,
                disk=TextDisk,
                size_limit=self._size_limit_bytes,
                eviction_policy="least-recently-stored",
                tag_index=True,
            )
            database.chmod(0o600)
        return self._cache

    def _close(self) -> None:
        if self._cache is not None:
            self._cache.close()
            self._cache = None

    def _set_aside(self) -> None:
        self._close()
        stamp = f"{time.time_ns()}"
        for file in self.directory.glob(f"{diskcache.core.DBNAME}*"):
            if ".broken-" not in file.name:
                file.rename(file.with_name(f"{file.name}.broken-{stamp}"))

    def _complain(self, what: str, detail: str) -> None:
        level = _log.debug if self._complained else _log.warning
        level(what, detail=detail, cache=str(self.directory))
        self._complained = True
