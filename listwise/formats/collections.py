"""Queries and corpora: TSV, JSONL, and BEIR folders, plain or gzip."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from listwise.errors import InputError
from listwise.formats.lines import Source, decoded, json_object, name_of, not_empty, raw_lines, within

DOCID_KEYS = ("docid", "id", "_id", "pid", "doc_id")
QID_KEYS = ("qid", "id", "_id", "query_id")
TEXT_KEYS = ("text", "segment", "contents", "content", "body", "passage")
QUERY_KEYS = ("text", "query", "title")


class Passage(NamedTuple):
    """A document of a corpus."""

    text: str
    title: str | None


def read_queries(path: str | Path) -> dict[str, str]:
    """Query texts by qid, in the order of the file: ``qid<TAB>text``, JSONL, or a BEIR folder's ``queries.jsonl``.

    Raises:
        InputError: a line is malformed, or a qid stands twice.
    """
    path = within(path, "queries.jsonl")
    queries: dict[str, str] = {}
    for number, qid, text in _entries(path, QID_KEYS, QUERY_KEYS, "query"):
        if qid in queries:
            raise InputError("this query occurs twice", path=path, line=number, qid=qid)
        queries[qid] = text.text
    not_empty(queries, path, "queries")
    return queries


def fetch_passages(path: str | Path, docids: Collection[str]) -> dict[str, Passage]:
    """The passages of some docids: JSONL, ``docid<TAB>text``, or a BEIR folder's ``corpus.jsonl``.

    The corpus is read once, as a stream, and only until all are found: memory is that of the passages asked for.
    Where a docid stands twice, the first one counts. JSON objects of other documents are passed over unparsed.

    Raises:
        InputError: a line that was parsed is malformed.
    """
    path = within(path, "corpus.jsonl")
    wanted = set(docids)
    found: dict[str, Passage] = {}
    for _, docid, passage in _entries(path, DOCID_KEYS, TEXT_KEYS, "document", _sieve(wanted)):
        if docid in wanted:
            found[docid] = passage
            wanted.discard(docid)
            if not wanted:
                break
    return found


def stream_passages(path: str | Path) -> Iterator[tuple[str, Passage]]:
    """Docids with their passages, in the order of the corpus; forms and errors as for `fetch_passages`."""
    path = within(path, "corpus.jsonl")
    for _, docid, passage in _entries(path, DOCID_KEYS, TEXT_KEYS, "document"):
        yield docid, passage


def text_of(record: Mapping[str, Any], keys: Collection[str] = TEXT_KEYS) -> str | None:
    """The first text that a record has under one of the keys; None if there is none."""
    return next((value for key in keys if isinstance(value := record.get(key), str)), None)


def name_in(record: Mapping[str, Any], keys: Collection[str]) -> str | None:
    """The first identifier that a record has under one of the keys, numbers as text; None if there is none."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
    return None


def _entries(
    path: Path,
    name_keys: tuple[str, ...],
    text_keys: tuple[str, ...],
    what: str,
    wanted: Callable[[bytes], bool] = lambda line: True,
) -> Iterator[tuple[int, str, Passage]]:
    """Line number, identifier and text of each entry; the first line tells JSONL from TSV.

    JSON lines that are not ``wanted`` are passed over.
    """
    json_file: bool | None = None
    for number, line in raw_lines(path):
        if json_file is None:
            json_file = line.lstrip()[:1] == b"{"
        if json_file:
            if not wanted(line):
                continue
            record = json_object(line, path, number)
            name, text = name_in(record, name_keys), text_of(record, text_keys)
            if not name:
                raise _missing(path, number, f"{what} without an identifier: one of {', '.join(name_keys)}")
            if text is None:
                raise _missing(path, number, f"{what} {name!r} without text: one of {', '.join(text_keys)}")
            title = record.get("title") if "title" not in text_keys else None
            yield number, name, Passage(text, title if isinstance(title, str) and title else None)
        else:
            name, tab, text = decoded(line, path, number).partition("\t")
            if not tab or not name.strip():
                raise _missing(path, number, f"expected 'identifier<TAB>text' or a JSON object for a {what}")
            yield number, name.strip(), Passage(text, None)


def _sieve(docids: Collection[str]) -> Callable[[bytes], bool]:
    """Tells whether a JSON line may be one of these documents; False is certain, and costs a quarter of a parse.

    Within JSON text quotes are escaped, so what looks like an identifier's key is one, at whatever depth. A line
    is passed over if it is whole and all such keys have plain values, none of them asked for.
    """
    literals = {form.encode("utf-8", "surrogatepass") for docid in docids for form in (docid, f'"{docid}"')}

    def wanted(line: bytes) -> bool:
        names = _NAMES.findall(line)
        return not names or b"" in names or line[-1:] != b"}" or not literals.isdisjoint(names)

    return wanted


_NAMES = re.compile(rb'"(?:%s)"\s*:\s*("[^"\\]*"|-?\d+|)' % "|".join(DOCID_KEYS).encode())
"""The value of each key that may hold a docid; nothing for one that is neither a plain string nor a number."""


def _missing(source: Source, number: int, what: str) -> InputError:
    return InputError(what, path=name_of(source), line=number)


__all__ = ["Passage", "fetch_passages", "name_in", "read_queries", "stream_passages", "text_of"]
