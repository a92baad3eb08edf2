"""The results folder of an experiment: what is done in it, and files that are never half written.

``manifest.json`` says which systems are complete, and for which definition: a kill at any moment leaves either the
old files or the new ones, and the manifest that goes with them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from listwise.cache.files import LOCK, locked
from listwise.errors import ConfigError, InputError
from listwise.formats.lines import json_lines
from listwise.spend.purse import new_run_id

MANIFEST = "manifest.json"
TABLES = ("systems.jsonl", "measures.jsonl", "per_query.jsonl", "totals.jsonl")
KINDS = {"runs": ".trec", "receipts": ".jsonl", "traces": ".jsonl"}
"""The folders of what each system leaves, a folder a collection, with the endings of the files."""
PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Entry:
    """A system on a collection, as it was run."""

    digest: str
    """Of its definition and input: another one is another system."""
    seconds: float | None = None
    cpu_s: float | None = None
    """Of this machine's processors; None where it did not compute anything itself."""
    lacking: int = 0
    """Queries for which an answer is missing, for want of money or by a failure: to be made up for."""
    why: str = ""
    """Of the first of these."""


@dataclass(slots=True)
class Manifest:
    """What the folder knows of itself; ``entries`` go by ``COLLECTION/FILE``."""

    experiment: str
    run_id: str
    """By which the ledger counts: reruns go on with what is left of the budget."""
    started: str
    """When it was first begun, ISO 8601, UTC."""
    entries: dict[str, Entry] = field(default_factory=dict)


class Results:
    """One experiment's folder, held against other processes while it is open.

    Raises:
        ConfigError: something else is in the folder, another experiment's results, or another process holds it.
        InputError: it cannot be written.
    """

    def __init__(self, path: Path, experiment: str, started: str) -> None:
        self.path, self._experiment = path, experiment
        self.manifest = _read_manifest(path, experiment) or Manifest(experiment, new_run_id(), started)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, if there is none, and keep other processes out.

        Raises:
            ConfigError: another process is at work in it, or has been since the manifest was read.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with locked(self.path, 0.0):
                if _read_manifest(self.path, self._experiment) not in (None, self.manifest):
                    raise ConfigError(f"{self.path}: another process has worked on it meanwhile: run it again")
                self.keep()
                yield
        except TimeoutError as error:
            raise ConfigError(f"{self.path}: another process runs this experiment") from error

    def entry(self, key: str, digest: str) -> Entry | None:
        """What is known of a system, if it is of this definition and its files are there."""
        entry = self.manifest.entries.get(key)
        if entry is None or entry.digest != digest or not self.file("runs", key).is_file():
            return None
        return entry

    def file(self, kind: str, key: str) -> Path:
        """Where a system's ``runs``, ``receipts`` or ``traces`` lie."""
        return self.path / kind / f"{key}{KINDS[kind]}"

    def qrels(self, collection: str) -> Path:
        """Where a collection's judgements lie."""
        return self.path / "qrels" / f"{collection}.txt"

    def partial(self, key: str) -> Path:
        """Where the finished queries of a system lie until it is complete."""
        return self.path / PARTIAL / f"{key}.jsonl"

    def complete(self, key: str, entry: Entry) -> None:
        """Note that a system's files are written."""
        self.manifest.entries[key] = entry
        self.keep()

    def keep(self) -> None:
        """Write the manifest."""
        write_json(self.path / MANIFEST, asdict(self.manifest))

    def drop_tables(self) -> None:
        """Delete tables that will not agree with the systems' files any more."""
        for name in TABLES:
            (self.path / name).unlink(missing_ok=True)

    def prune(self, keys: Iterable[str]) -> None:
        """Delete the files of systems that were run here and are not in the experiment any more."""
        for key in set(self.manifest.entries) - set(keys):
            for kind in KINDS:
                self.file(kind, key).unlink(missing_ok=True)
            self.partial(key).unlink(missing_ok=True)
            del self.manifest.entries[key]
        self.keep()
        for folder in (
            each for each in (self.path / PARTIAL).glob("*") if each.is_dir() and not any(each.iterdir())
        ):
            folder.rmdir()
        if (self.path / PARTIAL).is_dir() and not any((self.path / PARTIAL).iterdir()):
            (self.path / PARTIAL).rmdir()


def _read_manifest(path: Path, experiment: str) -> Manifest | None:
    file = path / MANIFEST
    if not file.is_file():
        if path.is_dir() and any(each.name != LOCK for each in path.iterdir()):
            raise ConfigError(f"{path}: there is something else in this folder: choose another, by --out")
        return None
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        entries = {key: Entry(**each) for key, each in record["entries"].items()}
        found = Manifest(record["experiment"], record["run_id"], record["started"], entries)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"cannot be read ({error}): delete the folder to start anew", path=file) from error
    if found.experiment != experiment:
        raise ConfigError(f"{path}: it holds the results of {found.experiment!r}: choose another folder, by --out")
    return found


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a file at once: whoever reads finds the old one or the new one, whole.

    Raises:
        InputError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path=path) from error


def write_lines(path: Path, records: Iterable[Mapping[str, Any]], *, private: bool = False) -> None:
    """Write JSON lines at once. See `write_text`."""
    write_text(path, "".join(json_line(record) for record in records), private=private)


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write one JSON object, for people to read, too. See `write_text`."""
    write_text(path, json.dumps(record, ensure_ascii=False, indent=1, default=_plain) + "\n")


def json_line(record: Mapping[str, Any]) -> str:
    """A record as a line; dollars as a number, as ``listwise rerank --receipts`` writes them."""
    return json.dumps(record, ensure_ascii=False, default=_plain) + "\n"


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of JSON lines; none where there is no such file.

    Raises:
        InputError: a line is malformed.
    """
    return [record for _, record in json_lines(path)] if path.is_file() else []


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
