"""Writes what a re-ranking of a collection needs into a folder of its own."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from listwise.errors import InputError
from listwise.eval.collections.base import Collection
from listwise.formats import Run, read_run


def copy_collection(
    collection: Collection, folder: Path, *, runs: Sequence[str] | None = None, depth: int | None = None
) -> None:
    """Write the judged queries (all, where there are no judgements), their judgements, runs, and the passages of
    those runs: what `open_collection` reads, and ``listwise rerank`` and ``listwise eval`` take. The same
    collection gives the same bytes.

    The folder appears when all is written, or not at all.

    Args:
        runs: by name, or a TREC run's file; all that come with it, unless named.
        depth: only the first so many candidates of each query.

    Raises:
        InputError: the folder exists or cannot be written; there are no runs, or documents without a passage.
    """
    names = list(collection.runs()) if runs is None else list(dict.fromkeys(runs))
    if not names:
        raise InputError("no runs come with it: name a TREC run's file", path=collection.name)
    if folder.exists():
        raise InputError("it exists already", path=folder)
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(collection, partial, names, depth)
        partial.rename(folder)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", path=folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(collection: Collection, folder: Path, names: Sequence[str], depth: int | None) -> None:
    texts, qrels = collection.queries(), collection.qrels()
    qids = [qid for qid in texts if qid in qrels] if qrels else list(texts)
    runs = dict(_named_run(collection, name) for name in names)
    cut = {name: {qid: run[qid][:depth] for qid in qids if qid in run} for name, run in runs.items()}
    wanted = sorted({entry.docid for run in cut.values() for entries in run.values() for entry in entries})
    found = collection.passages(wanted)
    if lost := [docid for docid in wanted if docid not in found]:
        more = f", nor for {len(lost) - 1} more" if lost[1:] else ""
        raise InputError(f"no passage for document {lost[0]!r} of its runs{more}", path=collection.name)
    if bad := [name for name in (*qids, *wanted) if name.split() != [name]]:
        raise InputError(f"{bad[0]!r} cannot stand in a TREC run", path=collection.name)
    _lines(folder / "queries.jsonl", (_json({"_id": qid, "text": texts[qid]}) for qid in qids))
    if qrels:
        judgements = (f"{qid} 0 {docid} {grade}" for qid in qids for docid, grade in qrels[qid].items())
        _lines(folder / "qrels.txt", judgements)
    passages = ({"_id": docid, "title": found[docid].title or "", "text": found[docid].text} for docid in wanted)
    _lines(folder / "corpus.jsonl.gz", map(_json, passages))
    for name, run in cut.items():
        _lines(folder / f"{name}.trec.gz", _run_lines(run, name.rpartition("/")[2]))


def _named_run(collection: Collection, name: str) -> tuple[str, Run]:
    if name not in collection.runs() and (path := Path(name)).is_file():
        return path.name.removesuffix(".gz").removesuffix(".trec"), read_run(path)
    return name, collection.run(name)


def _run_lines(run: Run, tag: str) -> Iterator[str]:
    for qid, entries in run.items():
        for rank, entry in enumerate(entries, 1):
            yield f"{qid} Q0 {entry.docid} {rank} {entry.score!r} {tag}"


def _json(record: Mapping[str, str]) -> str:
    return json.dumps(record, ensure_ascii=False)


def _lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix != ".gz":
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped:
        for line in lines:
            zipped.write(f"{line}\n".encode())
