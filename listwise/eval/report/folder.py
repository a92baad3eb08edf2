"""The results folder of an experiment, read back (its files are described in ``docs/report.md``)."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from listwise.errors import InputError
from listwise.eval.records import Read, checked, read_records
from listwise.formats import Qrels, read_qrels, read_queries
from listwise.formats.lines import not_empty

Kind = Literal["first_stage", "local", "recorded", "vote", "llm"]
KINDS: Mapping[Kind, str] = {
    "first_stage": "first stage",
    "local": "local model",
    "recorded": "recorded run",
    "vote": "vote over runs",
    "llm": "LLM",
}
"""The kinds of systems, in words."""


@dataclass(frozen=True, slots=True)
class System:
    """One ranking of the queries of one collection: a line of ``systems.jsonl``."""

    system: str
    collection: str
    kind: Kind
    group: str
    """Its name without the seed."""
    simulated: bool = False
    model: str | None = None
    strategy: str | None = None
    seed: int | None = None
    baseline: bool = False
    first_stage: str | None = None
    """The system whose order was re-ranked."""
    run: str | None = None
    """Files are named from the folder on."""
    receipts: str | None = None
    trace: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of one system, or of a group in the mean over its seeds: a line of ``measures.jsonl`` or of
    ``groups.jsonl``."""

    collection: str
    system: str
    measure: str
    mean: float
    low: float
    high: float
    ceiling: float | None = None
    """The best that any order of the system's candidates could reach."""
    p: float | None = None
    p_corrected: float | None = None
    difference: tuple[float, float, float] | None = None
    """To the baseline: mean, low, high."""
    wins: int | None = None
    losses: int | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """One measure of one query: a line of ``per_query.jsonl``."""

    collection: str
    system: str
    measure: str
    qid: str
    value: float


@dataclass(frozen=True, slots=True)
class Bill:
    """What a system took for all queries of a collection: a line of ``totals.jsonl``."""

    collection: str
    system: str
    usd: Decimal = Decimal(0)
    """Paid in this run."""
    bill_usd: Decimal | None = None
    """What it would have been without a cache."""
    calls: int = 0
    passages_read: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_hits: int = 0
    seconds: float | None = None
    priced: bool = True


@dataclass(frozen=True, slots=True)
class Environment:
    """When, with what and by which definition the figures were made: ``environment.json``."""

    experiment: str | None = None
    listwise: str = "unknown"
    python: str = "unknown"
    platform: str = "unknown"
    packages: Mapping[str, str] = field(default_factory=dict)
    started: str = "unknown"
    seconds: float | None = None
    sha256: str | None = None

    @property
    def begun(self) -> str:
        """``started`` as people write it."""
        try:
            return f"{datetime.fromisoformat(self.started):%Y-%m-%d %H:%M %Z}".strip()
        except ValueError:
            return self.started


_SYSTEM: Final = TypeAdapter(System)
_FIGURE: Final = TypeAdapter(Figure)
_VALUE: Final = TypeAdapter(Value)
_BILL: Final = TypeAdapter(Bill)
_ENVIRONMENT: Final = TypeAdapter(Environment)

Key = tuple[str, str]
"""Collection and system, or group."""
OPTIONAL = ("totals.jsonl", "groups.jsonl")


@dataclass(frozen=True)
class Folder:
    """All of a results folder but its runs and traces, which are read when they are needed."""

    path: Path
    systems: Sequence[System]
    """In table order."""
    figures: Mapping[tuple[str, str, str], Figure]
    """By collection, system or group, and measure."""
    values: Mapping[tuple[str, str, str], Mapping[str, float]]
    """By collection, system and measure; values by qid."""
    bills: Mapping[Key, Bill]
    environment: Environment
    definition: str
    """The file of the experiment; empty if there is none."""
    studies: Mapping[str, Any]
    """What ``listwise bias --json`` printed, by the file's name."""

    @property
    def name(self) -> str:
        """What the experiment is called, or else the folder."""
        return self.environment.experiment or self.path.resolve().name

    @property
    def description(self) -> str:
        """What its file says that it is about; empty if nothing."""
        try:
            described = tomllib.loads(self.definition).get("description")
        except tomllib.TOMLDecodeError:
            return ""
        return described if isinstance(described, str) else ""

    @cached_property
    def collections(self) -> tuple[str, ...]:
        """In the order of the systems."""
        return tuple(dict.fromkeys(system.collection for system in self.systems))

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """The first one is the one that counts."""
        return tuple(dict.fromkeys(measure for _, _, measure in self.figures))

    @cached_property
    def queries(self) -> Mapping[str, Mapping[str, str]]:
        """Texts by collection and qid.

        Raises:
            InputError: a collection has no file of queries, or one that cannot be read.
        """
        return {name: read_queries(self.path / "queries" / f"{name}.jsonl") for name in self.collections}

    def judged(self, collection: str) -> Qrels:
        """The judgements of a collection.

        Raises:
            InputError: they cannot be read.
        """
        return read_qrels(self.path / "qrels" / f"{collection}.txt")

    def file(self, name: str) -> Path:
        """A file that a line names.

        Raises:
            InputError: it is outside the folder.
        """
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise InputError(f"{name!r} is outside the folder", path=self.path / "systems.jsonl")
        return path


def read_folder(path: Path) -> Folder:
    """Read a results folder.

    Raises:
        InputError: it is no such folder, or a file of it cannot be read; names file, line and field.
    """
    if not (path / "systems.jsonl").is_file():
        raise InputError("no results folder: there is no systems.jsonl in it", path=path)
    systems = [system for _, system in read_records(path / "systems.jsonl", _SYSTEM, "system")]
    not_empty(systems, path / "systems.jsonl", "systems")
    known = {(system.collection, system.system) for system in systems}
    figures = {_key(each): each for each in _of(known, path / "measures.jsonl", _FIGURE, "measure")}
    not_empty(figures, path / "measures.jsonl", "measures")
    figures |= {_key(each): each for each in _of(_groups(systems), path / "groups.jsonl", _FIGURE, "measure")}
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    for each in _of(known, path / "per_query.jsonl", _VALUE, "value of a query"):
        values.setdefault(_key(each), {})[each.qid] = each.value
    totals = path / "totals.jsonl"
    bills = {(each.collection, each.system): each for each in _of(known, totals, _BILL, "total")}
    return Folder(
        path=path,
        systems=systems,
        figures=figures,
        values=values,
        bills=bills,
        environment=_environment(path / "environment.json"),
        definition=_text(path / "experiment.toml"),
        studies={file.stem: _json(file) for file in sorted((path / "bias").glob("*.json"))},
    )


def _groups(systems: Sequence[System]) -> set[Key]:
    """Those of several systems."""
    counts = Counter((system.collection, system.group) for system in systems)
    return {key for key, count in counts.items() if count > 1}


def _key(record: Figure | Value) -> tuple[str, str, str]:
    return record.collection, record.system, record.measure


def _of(known: set[Key], path: Path, adapter: TypeAdapter[Read], what: str) -> Iterator[Read]:
    """The records of a file, each of which is of a system that there is; none of a file that need not be there."""
    if path.name in OPTIONAL and not path.exists():
        return
    for number, record in read_records(path, adapter, what):
        key = record.collection, record.system  # type: ignore[attr-defined]
        if key not in known:
            raise InputError(f"{key[1]!r} on {key[0]!r} is no system of systems.jsonl", path=path, line=number)
        yield record


def _environment(path: Path) -> Environment:
    return checked(_json(path), _ENVIRONMENT, "environment", path) if path.exists() else Environment()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except ValueError as error:
        raise InputError(f"not JSON: {error}", path=path) from error
