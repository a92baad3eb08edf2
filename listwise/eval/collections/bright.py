"""BRIGHT (Su et al. 2025) in the folder of its publication: ``examples/TASK*`` and ``documents/TASK*``.

Files are parquet, as published, or the same rows as JSON lines. Some documents are excluded from the ranking of
some queries, as the query was made from them: runs come without them.
"""

from __future__ import annotations

import re
from collections.abc import Collection as Docids
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listwise.errors import InputError, MissingExtra
from listwise.eval.collections.base import Collection
from listwise.eval.collections.folders import run_paths
from listwise.formats import Passage, Qrels, Run, read_run
from listwise.formats.lines import json_lines

EXAMPLES = "examples"
LONG = "-long"
_PART = re.compile(r"(-\d{5}-of-\d{5})?\.(parquet|jsonl|jsonl\.gz)")
"""What follows a task's name in its files' names."""


@dataclass(frozen=True, slots=True)
class Bright(Collection):
    """One task; ``TASK-long`` has whole pages for passages."""

    name: str
    folder: Path
    task: str

    def queries(self) -> Mapping[str, str]:
        """See `Collection`."""
        return {str(row["id"]): str(row["query"]) for row in self._examples()}

    def qrels(self) -> Qrels:
        """See `Collection`: all that is relevant has grade 1, and nothing else is judged."""
        key = "gold_ids_long" if self.task.endswith(LONG) else "gold_ids"
        return {str(row["id"]): dict.fromkeys(map(str, row[key]), 1) for row in self._examples()}

    def runs(self) -> Sequence[str]:
        """See `Collection`: those in ``runs/TASK``."""
        return [name for name, _ in run_paths(self.folder / "runs" / self.task)]

    def run(self, name: str) -> Run:
        """See `Collection`: without the documents that are excluded."""
        path = dict(run_paths(self.folder / "runs" / self.task)).get(name)
        if path is None:
            raise self._no_run(name)
        excluded = {str(row["id"]): set(map(str, row.get("excluded_ids") or ())) for row in self._examples()}
        return without(read_run(path), excluded)

    def passages(self, docids: Docids[str]) -> Mapping[str, Passage]:
        """See `Collection`."""
        wanted = set(docids)
        found: dict[str, Passage] = {}
        for docid, passage in self.stream() if wanted else ():
            if docid in wanted:
                found.setdefault(docid, passage)
                if len(found) == len(wanted):
                    break
        return found

    def stream(self) -> Iterator[tuple[str, Passage]]:
        """See `Collection`."""
        folder = "long_documents" if self.task.endswith(LONG) else "documents"
        for row in _rows(self.folder / folder, self.task.removesuffix(LONG), ("id", "content")):
            yield str(row["id"]), Passage(str(row["content"]), None)

    def _examples(self) -> Iterator[Mapping[str, Any]]:
        return _rows(self.folder / EXAMPLES, self.task.removesuffix(LONG), ("id", "query", "gold_ids"))


def bright(folder: Path, task: str | None) -> Bright:
    """One task of a folder.

    Raises:
        InputError: none is named, or there is none of that name.
    """
    tasks = sorted({path.name[: match.start()] for path, match in _files(folder / EXAMPLES)})
    if task is None or task.removesuffix(LONG) not in tasks:
        asked = "which task (--split)" if task is None else f"no task {task!r}"
        raise InputError(f"{asked}: there is {', '.join(tasks) or 'none'}", path=folder)
    return Bright(f"{folder}/{task}", folder, task)


def without(run: Run, excluded: Mapping[str, Docids[str]]) -> Run:
    """A run without the documents that are excluded from the ranking of a query."""
    return {
        qid: [entry for entry in entries if entry.docid not in excluded.get(qid, ())]
        for qid, entries in run.items()
    }


def _files(folder: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = re.search(_PART.pattern + r"\Z", path.name)
        if match:
            yield path, match


def _rows(folder: Path, task: str, keys: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The rows of a task's files, a few at a time.

    Raises:
        InputError: there are no files, or a row lacks a key.
        MissingExtra: they are parquet, and pyarrow is not installed.
    """
    paths = [path for path, match in _files(folder) if path.name[: match.start()] == task]
    if not paths:
        raise InputError(f"no {task}.parquet or {task}.jsonl in it", path=folder)
    for path in paths:
        for number, row in _parquet(path) if path.suffix == ".parquet" else json_lines(path):
            if lacking := [key for key in keys if key not in row]:
                raise InputError(f"a row without {lacking[0]}", path=path, line=number)
            yield row


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise MissingExtra("reading parquet files", "collections") from error
    number = 0
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (ArrowException, OSError) as error:
        raise InputError(f"not a parquet file: {error}", path=path, line=number + 1) from error
