"""Collections by name, through ir_datasets (MacAvaney et al. 2021), which downloads and keeps them."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection as Docids
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from threading import Thread
from typing import Any
from urllib.request import getproxies

from listwise.errors import ConfigError, InputError, MissingExtra
from listwise.eval.collections.base import Collection
from listwise.eval.collections.bright import without
from listwise.formats import Passage, Qrels, Run, Scored

SHORT_NAMES = {
    "dl19": "msmarco-passage/trec-dl-2019/judged",
    "dl20": "msmarco-passage/trec-dl-2020/judged",
    "dl21": "msmarco-passage-v2/trec-dl-2021/judged",
    "dl22": "msmarco-passage-v2/trec-dl-2022/judged",
    "dl23": "msmarco-passage-v2/trec-dl-2023/judged",
}
"""TREC Deep Learning, passage ranking. All other names are those of ir_datasets."""
SCOREDDOCS = "scoreddocs"
"""What the run is called that some datasets bring: TREC's own first stage, for instance."""
EXCLUDED = -100
"""The grade of a document that is excluded from the ranking of a query (BRIGHT)."""
MIRROR = ("mirror.ir-datasets.com", 443)
OFFLINE_S = 2.0
"""Seconds to wait for a network, and for each host where there seems to be none."""


class NamedCollection(Collection):
    """A dataset of ir_datasets; downloads happen when something is first asked for, with progress on stderr."""

    def __init__(self, name: str, split: str | None = None) -> None:
        """Find it.

        Raises:
            ConfigError: no such name.
            MissingExtra: ir_datasets is not installed.
        """
        self.name = name
        self._dataset = _load(SHORT_NAMES.get(name, name), split)

    def queries(self) -> Mapping[str, str]:
        """See `Collection`."""
        with _fetching(self.name):
            return {query.query_id: query.default_text() for query in self._dataset.queries_iter()}

    def qrels(self) -> Qrels:
        """See `Collection`."""
        judged = {
            qid: {docid: grade for docid, grade in grades.items() if grade != EXCLUDED}
            for qid, grades in self._grades().items()
        }
        return {qid: grades for qid, grades in judged.items() if grades}

    def runs(self) -> Sequence[str]:
        """See `Collection`: ``scoreddocs`` or none."""
        return [SCOREDDOCS] if self._dataset.has_scoreddocs() else []

    def run(self, name: str) -> Run:
        """See `Collection`: best scores first, without the documents that are excluded."""
        if name not in self.runs():
            raise self._no_run(name)
        found: dict[str, list[Scored]] = {}
        with _fetching(self.name):
            for number, entry in enumerate(self._dataset.scoreddocs_iter(), 1):
                found.setdefault(entry.query_id, []).append(Scored(entry.doc_id, float(entry.score), number))
        run = {qid: sorted(entries, key=lambda entry: -entry.score) for qid, entries in found.items()}
        excluded = {
            qid: {docid for docid, grade in grades.items() if grade == EXCLUDED}
            for qid, grades in self._grades().items()
        }
        return without(run, excluded)

    def passages(self, docids: Docids[str]) -> Mapping[str, Passage]:
        """See `Collection`: looked up in ir_datasets' store on disk, which it builds once."""
        with _fetching(self.name):
            documents = self._dataset.docs_store().get_many_iter(sorted(set(docids)))
            return {document.doc_id: _passage(document) for document in documents}

    def stream(self) -> Iterator[tuple[str, Passage]]:
        """See `Collection`."""
        with _fetching(self.name):
            for document in self._dataset.docs_iter():
                yield document.doc_id, _passage(document)

    def passage_count(self) -> int | None:
        """See `Collection`."""
        known = self._dataset.docs_metadata().get("count")
        return known if isinstance(known, int) else None

    def _grades(self) -> Qrels:
        if not self._dataset.has_qrels():
            return {}
        with _fetching(self.name):
            found: dict[str, dict[str, int]] = {}
            for entry in self._dataset.qrels_iter():
                found.setdefault(entry.query_id, {})[entry.doc_id] = entry.relevance
            return found


def known_names(starts: tuple[str, ...]) -> list[str]:
    """Names of ir_datasets with queries, passages and judgements that start with one of some words.

    Raises:
        MissingExtra: ir_datasets is not installed.
    """
    library = _library()
    names = sorted(name for name in library.registry if name.startswith(starts))
    return [name for name in names if _is_whole(library.load(name), judged=True)]


def _is_whole(dataset: Any, *, judged: bool) -> bool:
    return bool(dataset.has_queries() and dataset.has_docs() and (dataset.has_qrels() or not judged))


def _load(name: str, split: str | None) -> Any:
    ir_datasets = _library()
    names = [f"{name}/{split}"] if split else [name]
    if split is None:
        names.append(f"{name}/test")
    found = []
    for each in names:
        try:
            found.append(ir_datasets.load(each))
        except KeyError:
            continue
    judged = [dataset for dataset in found if _is_whole(dataset, judged=True)]
    usable = judged or [dataset for dataset in found if _is_whole(dataset, judged=False)]
    if not usable:
        raise ConfigError(
            f"no collection {names[0]!r}: neither a folder nor, with queries and passages, a name of ir_datasets "
            "(listwise data list shows names)"
        )
    return usable[0]


def _library() -> Any:
    """ir_datasets; timeouts are our own unless set, so that a missing network is soon noticed."""
    online = _online()
    os.environ.setdefault("IR_DATASETS_DL_TIMEOUT", "15" if online else str(OFFLINE_S))
    os.environ.setdefault("IR_DATASETS_DL_TRIES", "3" if online else "1")
    try:
        import ir_datasets
    except ImportError as error:
        raise MissingExtra("collections by name", "collections") from error
    return ir_datasets


@cache
def _online() -> bool:
    """Whether ir_datasets' own host answers within two seconds; behind a proxy nobody knows."""
    if getproxies().keys() & {"http", "https", "all"}:
        return True
    reached: list[bool] = []

    def knock() -> None:
        try:
            with socket.create_connection(MIRROR, timeout=OFFLINE_S):
                reached.append(True)
        except OSError:
            return

    thread = Thread(target=knock, daemon=True)  # a name server that does not answer knows no timeout
    thread.start()
    thread.join(OFFLINE_S)
    return bool(reached)


def _passage(document: Any) -> Passage:
    text, title = getattr(document, "text", None), getattr(document, "title", None)
    if isinstance(text, str):
        return Passage(text, title if isinstance(title, str) and title else None)
    return Passage(document.default_text(), None)


@contextmanager
def _fetching(name: str) -> Iterator[None]:
    """Turn what goes wrong on the way from a server to us into an `InputError`."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"{name}: {error}") from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(
            f"ir_datasets cannot provide it: {_cause(error)}. Is there a network? What was downloaded before is in "
            f"{os.environ.get('IR_DATASETS_HOME', '~/.ir_datasets')}; a folder with the same files needs none",
            path=name,
        ) from error


def _cause(error: BaseException) -> str:
    """What a person can read of an error: the last of several, without addresses of objects."""
    match error.args:
        case (str() as what, [*_, (_, BaseException() as last)]):
            return f"{what}: {_cause(last)}"
        case _:
            return str(getattr(error.args[0], "reason", error) if error.args else error) or type(error).__name__
