"""The collections of an experiment: judged queries, judgements, runs and passages of a folder.

A folder has ``queries.tsv``, ``corpus.jsonl.gz``, ``qrels.txt`` and runs, ``NAME.trec.gz``; all may be without .gz.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from listwise.errors import ConfigError, InputError
from listwise.eval.experiments.definition import ScoredBy, Source
from listwise.formats import Passage, Qrels, Run, fetch_passages, read_qrels, read_queries, read_run, requests_from
from listwise.resources import did_you_mean
from listwise.types import Request

DATA = "LISTWISE_DATA"
QUERIES, CORPORA, QRELS = "queries.tsv", ("corpus.jsonl.gz", "corpus.jsonl"), "qrels.txt"
RUNS = (".trec.gz", ".trec", "")

Orders = Mapping[str, Sequence[str]]
"""Docids by qid, best first."""


@dataclass(frozen=True, slots=True)
class Material:
    """One collection, of which only judged queries are used."""

    name: str
    """As that of a folder: it names files."""
    folder: Path
    queries: Mapping[str, str]
    qrels: Qrels

    @property
    def qrels_path(self) -> Path:
        """Where the judgements come from."""
        return self.folder / QRELS

    def run_path(self, name: str) -> Path:
        """The file of a first stage's run.

        Raises:
            InputError: there is none; says which there are.
        """
        for ending in RUNS:
            if (path := self.folder / f"{name}{ending}").is_file():
                return path
        known = tuple(sorted(p.name.partition(".trec")[0] for p in self.folder.glob("*.trec*")))
        raise InputError(
            f"no run {name!r}{did_you_mean(name, known)}; there are: {', '.join(known) or 'none'}", path=self.folder
        )

    def requests(self, run: str) -> list[Request]:
        """The judged queries with the candidates of a run, by its ranks.

        Raises:
            InputError: a file is missing or malformed.
        """
        path = self.run_path(run)
        return requests_from(self.folder / QUERIES, self._corpus, path, qids=list(self.queries))

    def passages(self, docids: Collection[str]) -> dict[str, Passage]:
        """Those of some docids that the corpus has."""
        return fetch_passages(self._corpus, docids)

    @property
    def _corpus(self) -> Path:
        for name in CORPORA:
            if (path := self.folder / name).is_file():
                return path
        raise InputError(f"a folder without {CORPORA[0]}", path=self.folder)

    def matching(self, pattern: str, beside: Path) -> list[Path]:
        """Files by a path or pattern: in the collection's folder, else beside the experiment's file; sorted."""
        for folder in (self.folder, beside):
            if found := sorted(path for path in _globbed(folder, pattern) if path.is_file()):
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
        data: the folder with collections; by default that of the environment variable ``LISTWISE_DATA``.

    Raises:
        ConfigError: a collection is not there; says where it was looked for.
        InputError: one of its files is missing or malformed.
    """
    found: dict[str, Material] = {}
    for written in source.definition.collections:
        folder = _folder(source, written, data)
        name = re.sub(r"[^\w.+=@-]+", "-", folder.name)
        if name in {each.name for each in found.values()}:
            raise source.wrong("collections", f"two are called {name!r}")
        found[written] = _read(name, folder, source.definition.queries)
    return found


def _folder(source: Source, written: str, data: Path | None) -> Path:
    if written.startswith(".") or Path(written).is_absolute():
        folder = (source.folder / written).resolve()
        if not folder.is_dir():
            raise source.wrong("collections", f"there is no folder {folder}")
        return folder
    place = data or (Path(os.environ[DATA]) if os.environ.get(DATA) else None)
    if place is None:
        raise source.wrong(
            "collections", f"where is {written!r}? Name the folder with collections, by --data or {DATA}"
        )
    if not (place / written).is_dir():
        known = tuple(sorted(each.name for each in place.iterdir() if each.is_dir())) if place.is_dir() else ()
        raise source.wrong(
            "collections",
            f"no {written!r} in {place}{did_you_mean(written, known)}; there are: {', '.join(known) or 'none'}",
        )
    return place / written


def _read(name: str, folder: Path, most: int | None) -> Material:
    qrels = read_qrels(folder / QRELS)
    texts = read_queries(folder / QUERIES)
    judged = [qid for qid in texts if qid in qrels]
    if not judged:
        raise InputError(f"no query of {QUERIES} has judgements in {QRELS}", path=folder)
    if most is not None and most < len(judged):
        judged = [judged[at * len(judged) // most] for at in range(most)]
        qrels = {qid: qrels[qid] for qid in judged}
    return Material(name, folder, {qid: texts[qid] for qid in judged}, qrels)


def ordered(path: Path, by: ScoredBy, qids: Collection[str]) -> Orders:
    """The docids of a run for some queries, by the ranks as they stand, or by the scores as trec_eval does it: ties
    in descending order of docids.

    Raises:
        InputError: the file is malformed.
    """
    run: Run = read_run(path)
    if by == "score":
        run = {qid: sorted(e, key=lambda each: (each.score, each.docid), reverse=True) for qid, e in run.items()}
    return {qid: [entry.docid for entry in run[qid]] for qid in qids if qid in run}


def digest_of(requests: Sequence[Request]) -> str:
    """Tells requests apart by all that a model reads of them, and in which order."""
    digest = hashlib.sha256()
    for request in requests:
        for text in (request.query.qid, request.query.text):
            digest.update(f"{text}\0".encode("utf-8", "surrogatepass"))
        for each in request.candidates:
            digest.update(f"{each.docid}\0{each.score}\0{each.content}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def with_order(request: Request, order: Sequence[str]) -> Request:
    """The request with its candidates in another order.

    Raises:
        ConfigError: the order is of other candidates.
    """
    by_docid = {each.docid: each for each in request.candidates}
    if by_docid.keys() != set(order):
        raise ConfigError(f"query {request.query.qid!r}: an order of other candidates")
    return Request(request.query, tuple(by_docid[docid] for docid in order))
