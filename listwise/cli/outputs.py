"""Where rankings, receipts and traces go."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import IO, Any

from listwise.errors import ConfigError, InputError
from listwise.formats import RankingForm, RankingWriter, run_lines
from listwise.scores import receipt_record
from listwise.types import Ranking, Request


@dataclass(frozen=True, slots=True)
class Files:
    """Where everything goes; ``-`` is standard output, None nowhere."""

    out: str
    form: RankingForm
    receipts: str | None = None
    trace: str | None = None
    scores: str | None = None


def check_places(*names: str | None) -> None:
    """Whether files can be written where they are to go, before work begins that may cost money.

    Raises:
        ConfigError: one cannot be, or two are the same.
    """
    places = [Path(os.path.realpath(name)) for name in names if name is not None]
    for path in places:
        if path.is_dir():
            raise ConfigError(f"{path}: it is a folder, not a file")
        if not path.parent.is_dir():
            raise ConfigError(f"{path}: there is no folder {path.parent}")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise ConfigError(f"{path}: it may not be written")
    if len(set(places)) < len(places):
        raise ConfigError("two outputs go to the same file")


class Outputs:
    """Writes rankings in the order of their requests, as soon as those before them are there.

    A file is written beside its place and moved there at the end, so that an older one is never half overwritten:
    not by a failure, and not by an interrupt before anything was done. An interrupt keeps what is done, those
    rankings included that were waiting for an earlier one.
    """

    def __init__(self, requests: Sequence[Request], files: Files) -> None:
        """Open the files.

        Raises:
            ConfigError: two outputs go to the same file.
            InputError: a file cannot be written, or a name cannot stand in a TREC run.
        """
        if files.form == "trec":
            for request in requests:
                run_lines(request.query.qid, [candidate.docid for candidate in request.candidates], "")
        named = [
            os.path.realpath(name)
            for name in (files.out, files.receipts, files.trace, files.scores)
            if name not in {None, "-"} and name
        ]
        if len(named) != len(set(named)):
            raise ConfigError("two outputs go to the same file")
        self._place = {request.query.qid: at for at, request in enumerate(requests)}
        self._waiting: dict[int, Ranking] = {}
        self._next = 0
        self._moves: list[tuple[Path, Path]] = []
        self._files = ExitStack()
        self.written = 0
        try:
            self._writer = RankingWriter(self._open(files.out), files.form)
            self._receipts = self._open(files.receipts, private=True) if files.receipts else None
            self._trace = self._open(files.trace, private=True) if files.trace else None
            self._scores = self._open(files.scores) if files.scores else None
        except BaseException:
            self._abandon()
            raise

    def __enter__(self) -> Outputs:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            for at in sorted(self._waiting):
                self._write(self._waiting[at])
            self._files.close()
        except BaseException:
            self._abandon()
            raise
        if self.written or (kind is None and not self._place):
            for partial, path in self._moves:
                partial.replace(path)
        else:
            self._abandon()

    def add(self, ranking: Ranking) -> None:
        """Take a finished ranking."""
        self._waiting[self._place[ranking.query.qid]] = ranking
        while self._next in self._waiting:
            self._write(self._waiting.pop(self._next))
            self._next += 1

    def _write(self, ranking: Ranking) -> None:
        self._writer.write(ranking)
        if self._receipts is not None:
            _line(self._receipts, receipt_record(ranking.receipt))
        if self._trace is not None:
            for window in ranking.windows:
                _line(self._trace, asdict(window))
        if self._scores is not None:
            _line(self._scores, _scores_of(ranking))
        self.written += 1

    def _open(self, name: str, *, private: bool = False) -> IO[str]:
        if name == "-":
            return sys.stdout
        path = Path(os.path.realpath(name))
        partial = path.with_name(f"{path.name}.partial")
        try:
            if not name or path.is_dir():
                raise IsADirectoryError(0, "it is a directory, not a file")
            if path.exists() and not path.is_file():  # a device or a pipe
                return self._files.enter_context(path.open("w", encoding="utf-8", errors="replace"))
            with suppress(FileNotFoundError):
                partial.unlink()
            mode = 0o600 if private else 0o666
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except OSError as error:
            raise InputError(f"cannot write: {error.strerror}", path=name or "the output") from error
        self._moves.append((partial, path))
        return self._files.enter_context(
            os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n")
        )

    def _abandon(self) -> None:
        """Leave everything as it was."""
        with suppress(OSError):
            self._files.close()
        for partial, _ in self._moves:
            partial.unlink(missing_ok=True)


def _scores_of(ranking: Ranking) -> dict[str, Any]:
    """What the local models say of each candidate, in the ranking's order (docs/cascades.md)."""
    return {
        "qid": ranking.query.qid,
        "scorer": ranking.receipt.local,
        "docids": ranking.docids,
        "raw": _finite(ranking.local_scores),
        "share": _finite(ranking.shares),
        "probability": _finite(ranking.probabilities),
    }


def _finite(scores: Sequence[float | None] | None) -> list[float | None] | None:
    """JSON has no other numbers."""
    return (
        None if scores is None else [score if score is not None and isfinite(score) else None for score in scores]
    )


def _line(file: IO[str], record: Mapping[str, Any]) -> None:
    file.write(json.dumps(record, ensure_ascii=False, default=plain) + "\n")
    file.flush()


def plain(value: object) -> object:
    """Dollars as a number, exact to the nano-dollar in a double."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
