"""Collections in folders: BEIR's layout, and that of plain TREC files."""

from __future__ import annotations

from collections.abc import Collection as Docids
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from listwise.errors import InputError
from listwise.eval.collections.base import Collection
from listwise.formats import (
    Passage,
    Qrels,
    Run,
    fetch_passages,
    read_qrels,
    read_queries,
    read_run,
    stream_passages,
)

QUERIES = ("queries.tsv", "queries.jsonl")
CORPUS = ("corpus.jsonl", "corpus.tsv")
QRELS = ("qrels.txt", "qrels.tsv", "qrels.trec")
RUNS = (".trec", ".trec.gz")


@dataclass(frozen=True, slots=True)
class FileCollection(Collection):
    """A collection of files, wherever they lie."""

    name: str
    queries_path: Path
    corpus_path: Path | None = None
    qrels_path: Path | None = None
    run_paths: tuple[tuple[str, Path], ...] = ()
    """Names with files."""

    def queries(self) -> Mapping[str, str]:
        """See `Collection`."""
        return read_queries(self.queries_path)

    def qrels(self) -> Qrels:
        """See `Collection`."""
        return read_qrels(self.qrels_path) if self.qrels_path else {}

    def runs(self) -> Sequence[str]:
        """See `Collection`."""
        return [name for name, _ in self.run_paths]

    def run(self, name: str) -> Run:
        """See `Collection`."""
        for known, path in self.run_paths:
            if known == name:
                return read_run(path)
        raise self._no_run(name)

    def passages(self, docids: Docids[str]) -> Mapping[str, Passage]:
        """See `Collection`: the corpus is read as a stream, until all are found."""
        return fetch_passages(self._corpus(), docids)

    def stream(self) -> Iterator[tuple[str, Passage]]:
        """See `Collection`."""
        return stream_passages(self._corpus())

    def _corpus(self) -> Path:
        if self.corpus_path is None:
            raise InputError(f"no passages in it: none of {_either(CORPUS)}", path=self.name)
        return self.corpus_path


def file_collection(folder: Path, split: str | None = None) -> FileCollection:
    """The collection in a folder; every file may also be ``.gz``.

    Queries are ``queries.tsv`` (``qid<TAB>text``) or ``queries.jsonl``, passages ``corpus.jsonl`` or
    ``corpus.tsv``, judgements ``qrels.txt``, ``qrels.tsv`` or BEIR's ``qrels/SPLIT.tsv``; all ``.trec`` files,
    also in folders within, are runs, named by their path without its ending.

    Args:
        split: which judgements of BEIR's; without it ``test``, or the only one.

    Raises:
        InputError: there are no queries, or no such split.
    """
    queries = _first(folder, QUERIES)
    if queries is None:
        raise InputError(f"no collection: a folder with neither {_either(QUERIES)} nor examples/", path=folder)
    return FileCollection(
        str(folder), queries, _first(folder, CORPUS), _qrels_path(folder, split), run_paths(folder)
    )


def run_paths(folder: Path) -> tuple[tuple[str, Path], ...]:
    """Names and files of the runs in a folder and those within it, in the order of their names."""
    found = {
        path.relative_to(folder).as_posix().removesuffix(".gz").removesuffix(".trec"): path
        for path in sorted(folder.rglob("*"))
        if path.name.endswith(RUNS) and path.is_file()
    }
    return tuple(sorted(found.items()))


def _qrels_path(folder: Path, split: str | None) -> Path | None:
    splits = {
        path.name.removesuffix(".gz").removesuffix(".tsv"): path
        for path in sorted((folder / "qrels").glob("*.tsv*"))
        if path.name.endswith((".tsv", ".tsv.gz"))
    }
    if split is None:
        plain = _first(folder, QRELS)
        if plain is not None or not splits:
            return plain
        split = "test" if "test" in splits else next(iter(splits)) if len(splits) == 1 else None
    if split is None or split not in splits:
        asked = "which split" if split is None else f"no split {split!r}"
        raise InputError(f"{asked}: there is {', '.join(splits) or 'none'}", path=folder)
    return splits[split]


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    paths = (folder / f"{name}{ending}" for name in names for ending in ("", ".gz"))
    return next((path for path in paths if path.is_file()), None)


def _either(names: Sequence[str]) -> str:
    return " nor ".join(names)
