"""Requests: queries with their candidates, put together from a collection or read from rank_llm's JSONL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from listwise.errors import InputError
from listwise.formats.collections import (
    DOCID_KEYS,
    QID_KEYS,
    TEXT_KEYS,
    Passage,
    fetch_passages,
    name_in,
    read_queries,
    text_of,
)
from listwise.formats.lines import Source, decoded, json_lines, json_object, name_of, raw_lines
from listwise.formats.trec import Run, Scored, read_run
from listwise.log import get_logger
from listwise.types import Candidate, Query, Request

_log = get_logger(__name__)

LARGEST_SCORE = 1e300

Missing = Literal["error", "drop"]


def requests_from(
    queries: str | Path,
    corpus: str | Path,
    run: str | Path,
    *,
    qids: Sequence[str] | None = None,
    missing: Missing = "error",
) -> list[Request]:
    """Requests for the queries of a topic file, in its order, with the candidates of a run.

    A query without candidates in the run is a request without candidates. Queries that only the run has are left
    out, with a warning.

    Args:
        qids: only these, which must be in the topic file.
        missing: what to do with a docid that the corpus lacks: ``error``, or ``drop`` it, with a warning.

    Raises:
        InputError: a file is malformed, or a query or document is missing; names file, line and query.
    """
    texts, ranked = read_queries(queries), read_run(run)
    for qid in qids or ():
        if qid not in texts:
            raise InputError("no such query in it", path=queries, qid=qid)
    if strangers := [qid for qid in ranked if qid not in texts]:
        _log.warning(
            "queries of the run are left out: the topic file has no text for them",
            queries=len(strangers),
            first=strangers[0],
        )
    chosen = [qid for qid in texts if qids is None or qid in set(qids)]
    passages = fetch_passages(corpus, {entry.docid for qid in chosen for entry in ranked.get(qid, ())})
    _check_found(chosen, ranked, passages, corpus, run, missing)
    return [Request(Query(qid, texts[qid]), tuple(_candidates(ranked.get(qid, ()), passages))) for qid in chosen]


def read_requests(path: str | Path) -> Iterator[Request]:
    """Read rank_llm's JSONL: ``{"query": {"qid", "text"}, "candidates": [{"docid", "score", "doc": {...}}]}``.

    Whatever else a ``doc`` holds is kept and comes out again with the ranking.

    Raises:
        InputError: a line is malformed, a query occurs twice, or a document occurs twice under a query.
    """
    seen: set[str] = set()
    for number, record in json_lines(path):
        request = _request(record, path, number)
        if request.query.qid in seen:
            raise InputError("this query occurs twice", path=path, line=number, qid=request.query.qid)
        seen.add(request.query.qid)
        yield request
    if not seen:
        raise InputError("no requests in it: the file is empty", path=path)


def read_single(query: str, passages: Source) -> Request:
    """One query with passages from a file or stream: a text a line, or a JSON object a line.

    Lines of text get their line number as docid, as do objects without one. The query's qid is ``query``.

    Raises:
        InputError: a line is malformed, or two objects bear the same docid.
    """
    candidates: list[Candidate] = []
    for number, line in raw_lines(passages):
        if line.lstrip()[:1] == b"{":
            candidates.append(_document(json_object(line, passages, number), passages, number))
        else:
            candidates.append(Candidate(str(number), decoded(line, passages, number)))
    return _checked(Query("query", query), candidates, passages, None)


def _document(record: Mapping[str, Any], source: Source, number: int) -> Candidate:
    doc = record.get("doc") if isinstance(record.get("doc"), dict) else record
    assert isinstance(doc, dict)
    return _candidate(name_in(record, DOCID_KEYS) or str(number), record.get("score"), doc, source, number)


def _request(record: Mapping[str, Any], path: str | Path, number: int) -> Request:
    asked, found = record.get("query"), record.get("candidates")
    if isinstance(asked, str):
        asked = {"text": asked, "qid": record.get("qid", str(number))}
    if not isinstance(asked, dict) or not isinstance(found, list):
        raise InputError('expected {"query": {"qid", "text"}, "candidates": [...]}', path=path, line=number)
    qid, text = name_in(asked, QID_KEYS), text_of(asked)
    if not qid or text is None:
        raise InputError("a query needs a qid and a text", path=path, line=number)
    candidates: list[Candidate] = []
    for at, entry in enumerate(found, 1):
        docid = name_in(entry, DOCID_KEYS) if isinstance(entry, dict) else None
        doc = entry.get("doc") if isinstance(entry, dict) else None
        if not docid or not isinstance(doc, dict | str):
            raise InputError(f"candidate {at} needs a docid and a doc", path=path, line=number, qid=qid)
        doc = {"text": doc} if isinstance(doc, str) else doc
        candidates.append(_candidate(docid, entry.get("score"), doc, path, number))
    return _checked(Query(qid, text), candidates, path, number)


def _candidate(docid: str, score: Any, doc: dict[str, Any], source: Source, number: int) -> Candidate:
    text, title = text_of(doc), doc.get("title")
    if text is None:
        raise InputError(
            f"document {docid!r} has no text: one of {', '.join(TEXT_KEYS)}", path=name_of(source), line=number
        )
    if isinstance(score, bool) or not isinstance(score, int | float | None) or abs(score or 0) > LARGEST_SCORE:
        raise InputError(f"the score of document {docid!r} is not a number", path=name_of(source), line=number)
    return Candidate(
        docid,
        text,
        None if score is None else float(score),
        title if isinstance(title, str) and title else None,
        doc,
    )


def _checked(query: Query, candidates: Sequence[Candidate], source: Source, number: int | None) -> Request:
    """A request; what is wrong with it is said with its place."""
    try:
        return Request(query, tuple(candidates))
    except InputError as error:
        raise InputError(error.message, path=name_of(source), line=number, qid=query.qid) from error


def _candidates(entries: Sequence[Scored], passages: Mapping[str, Passage]) -> Iterator[Candidate]:
    for entry in entries:
        if (passage := passages.get(entry.docid)) is not None:
            yield Candidate(entry.docid, passage.text, entry.score, passage.title)


def _check_found(
    qids: Sequence[str],
    ranked: Run,
    passages: Mapping[str, Passage],
    corpus: str | Path,
    run: str | Path,
    missing: Missing,
) -> None:
    lost = [(qid, entry) for qid in qids for entry in ranked.get(qid, ()) if entry.docid not in passages]
    if not lost:
        return
    qid, entry = lost[0]
    if missing == "error":
        raise InputError(
            f"document {entry.docid!r} is not in {corpus}"
            + (f", nor are {len(lost) - 1} more" if lost[1:] else "")
            + "; --missing drop leaves such documents out",
            path=run,
            line=entry.line,
            qid=qid,
        )
    _log.warning("documents that the corpus lacks are left out", documents=len(lost), first=entry.docid, query=qid)
