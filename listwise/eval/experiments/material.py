"""The collections of an experiment: judged queries, judgements, first stages, recorded runs, passages."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection as Docids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from listwise.errors import ConfigError, InputError, MissingExtra
from listwise.eval.collections import Collection, open_collection
from listwise.eval.experiments.definition import ScoredBy, Source
from listwise.formats import Passage, Qrels, Run, read_run
from listwise.resources import did_you_mean
from listwise.types import Request

DATA = "LISTWISE_DATA"

Orders = Mapping[str, Sequence[str]]
"""Docids by qid, best first."""


@dataclass(frozen=True, slots=True)
class Material:
    """One collection, of which only judged queries are used."""

    name: str
    """As it names files."""
    collection: Collection
    folder: Path | None
    """None where it comes by name."""
    beside: Path
    """The folder of the experiment's file."""
    queries: Mapping[str, str]
    qrels: Qrels

    def first_stage(self, name: str, by: ScoredBy) -> Run:
        """A run of the collection, or one in a file, for the queries that are used; see `sorted_run`.

        Raises:
            InputError: there is none, or it is malformed.
        """
        known = tuple(self.collection.runs())
        if name in known:
            found = self.collection.run(name)
        elif files := self.matching(name):
            found = read_run(files[0])
        else:
            there = ", ".join(known) or "none"
            raise InputError(
                f"no run {name!r}{did_you_mean(name, known)}; there are: {there}", path=self.collection.name
            )
        return sorted_run(found, by, self.queries)

    def requests(self, run: Run) -> list[Request]:
        """The queries that are used, with the candidates of a run.

        Raises:
            InputError: the corpus lacks a document of it.
        """
        requests = self.collection.requests(run, judged=True)
        return [request for request in requests if request.query.qid in self.queries]

    def passages(self, docids: Docids[str]) -> Mapping[str, Passage]:
        """Those of some docids that the corpus has."""
        return self.collection.passages(docids)

    def matching(self, pattern: str) -> list[Path]:
        """Files by a path or pattern: in the collection's folder, else beside the experiment's file; sorted."""
        for folder in (self.folder, self.beside):
            if folder is not None:
                found = sorted(path for path in _globbed(folder, pattern) if path.is_file())
                if found:
                    return found
        return []


def _globbed(folder: Path, pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_absolute():
        return list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    return list(folder.glob(pattern))


def read_material(source: Source, data: Path | None) -> dict[str, Material]:
    """The collections of an experiment by the names that its file gives them.

    Args:
        data: a folder with collections; by default that of the environment variable ``LISTWISE_DATA``.

    Raises:
        ConfigError: a collection is not there; says where it was looked for.
        InputError: one of its files is missing or malformed, or it has no judgements.
    """
    place = data or (Path(os.environ[DATA]) if os.environ.get(DATA) else None)
    found: dict[str, Material] = {}
    for written in source.definition.collections:
        folder = _folder(source, written, place)
        name = re.sub(r"[^\w.+=@-]+", "-", folder.name if folder else written)
        if name in {each.name for each in found.values()}:
            raise source.wrong("collections", f"two are called {name!r}")
        collection = _opened(source, written, folder, place)
        try:
            found[written] = _read(source, name, folder, collection)
        except InputError as error:
            if folder is not None:
                raise
            raise source.wrong("collections", f"{error}; {_looked(written, place)}") from error
    return found


def _looked(written: str, place: Path | None) -> str:
    """Where a folder of the collection was looked for."""
    return f"there is no folder {place / written}" if place else f"--data or {DATA} names a folder with collections"


def _folder(source: Source, written: str, place: Path | None) -> Path | None:
    """Where a collection lies; None if it is to be had by name."""
    if written.startswith(".") or Path(written).is_absolute():
        folder = (source.folder / written).resolve()
        if not folder.is_dir():
            raise source.wrong("collections", f"there is no folder {folder}")
        return folder
    return place / written if place is not None and (place / written).is_dir() else None


def _opened(source: Source, written: str, folder: Path | None, place: Path | None) -> Collection:
    if folder is not None:
        return open_collection(folder)
    try:
        return open_collection(written)
    except (ConfigError, MissingExtra) as error:
        raise source.wrong("collections", f"{error}; {_looked(written, place)}") from error


def _read(source: Source, name: str, folder: Path | None, collection: Collection) -> Material:
    texts, qrels = collection.queries(), collection.qrels()
    judged = [qid for qid in texts if qid in qrels]
    if not judged:
        raise InputError(
            "none of its queries has judgements, so that nothing can be measured", path=collection.name
        )
    most = source.definition.queries
    if most is not None and most < len(judged):
        judged = [judged[at * len(judged) // most] for at in range(most)]
        qrels = {qid: qrels[qid] for qid in judged}
    return Material(name, collection, folder, source.folder, {qid: texts[qid] for qid in judged}, qrels)


def sorted_run(run: Run, by: ScoredBy, qids: Docids[str]) -> Run:
    """A run for some queries, by its ranks as they stand, or by the scores as trec_eval does it: ties in descending
    order of docids."""
    chosen = {qid: run[qid] for qid in qids if qid in run}
    if by == "rank":
        return chosen
    return {
        qid: sorted(entries, key=lambda each: (each.score, each.docid), reverse=True)
        for qid, entries in chosen.items()
    }


def orders_of(run: Run) -> Orders:
    """The docids of a run."""
    return {qid: [entry.docid for entry in entries] for qid, entries in run.items()}


def digest_of(requests: Sequence[Request]) -> str:
    """Tells requests apart by all that a model reads of them, and in which order."""
    digest = hashlib.sha256()
    for request in requests:
        for text in (request.query.qid, request.query.text):
            digest.update(f"{text}\0".encode("utf-8", "surrogatepass"))
        for each in request.candidates:
            digest.update(f"{each.docid}\0{each.score}\0{each.content}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
