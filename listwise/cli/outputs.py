"""Where rankings, receipts and traces go."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from listwise.errors import InputError
from listwise.formats import RankingForm, RankingWriter
from listwise.types import Ranking, WindowTrace


class Outputs:
    """Writes rankings in the order of their requests, as soon as those before them are there.

    A file is written beside its place and moved there at the end, so that an older one is never half overwritten.
    Leaving by an interrupt keeps what is done, those rankings included that were waiting for an earlier one.
    """

    def __init__(
        self, qids: list[str], out: str, form: RankingForm, receipts: str | None, trace: str | None
    ) -> None:
        self._place = {qid: at for at, qid in enumerate(qids)}
        self._waiting: dict[int, Ranking] = {}
        self._next = 0
        self._files = ExitStack()
        try:
            self._writer = RankingWriter(self._open(out), form)
            self._receipts = self._open(receipts, private=True) if receipts else None
            self._trace = self._open(trace, private=True) if trace else None
        except BaseException:
            self._files.close()
            raise
        self.written = 0

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, *_: object) -> None:
        for at in sorted(self._waiting):
            self._write(self._waiting[at])
        self._files.close()

    def add(self, ranking: Ranking) -> None:
        """Take a finished ranking."""
        self._waiting[self._place[ranking.query.qid]] = ranking
        while self._next in self._waiting:
            self._write(self._waiting.pop(self._next))
            self._next += 1

    def _write(self, ranking: Ranking) -> None:
        self._writer.write(ranking)
        if self._receipts is not None:
            _line(self._receipts, asdict(ranking.receipt))
        if self._trace is not None:
            for window in ranking.windows:
                _line(self._trace, trace_record(window))
        self.written += 1

    def _open(self, name: str, *, private: bool = False) -> IO[str]:
        if name == "-":
            return sys.stdout
        path = Path(name)
        if path.exists() and not path.is_file():  # a device or a pipe
            return self._files.enter_context(path.open("w", encoding="utf-8"))
        partial = path.with_name(f"{path.name}.partial")
        mode = 0o600 if private else 0o666
        try:
            with suppress(FileNotFoundError):
                partial.unlink()
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as error:
            raise InputError(f"cannot write: {error.strerror}", path=path) from error
        file = os.fdopen(descriptor, "w", encoding="utf-8", newline="\n")
        self._files.callback(lambda: partial.replace(path))
        return self._files.enter_context(file)


def trace_record(window: WindowTrace) -> dict[str, Any]:
    """A trace line: one window."""
    return asdict(window)


def _line(file: IO[str], record: Mapping[str, Any]) -> None:
    file.write(json.dumps(record, ensure_ascii=False, default=_plain) + "\n")
    file.flush()


def _plain(value: object) -> object:
    """Dollars as a number, exact to the nano-dollar in a double."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
