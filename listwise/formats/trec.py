"""TREC runs, ``qid Q0 docid rank score tag``, and judgements, ``qid 0 docid grade``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from listwise.errors import InputError
from listwise.formats.lines import not_empty, text_lines, within


class Scored(NamedTuple):
    """A line of a run."""

    docid: str
    score: float
    line: int
    """Where it stands in its file, from 1."""


Run = Mapping[str, Sequence[Scored]]
"""By qid, best first."""

Qrels = Mapping[str, Mapping[str, int]]
"""Grades by qid and docid."""


def read_run(path: str | Path) -> Run:
    """Read a run; queries in the order of the file, candidates by the rank column, ties in the order of the file.

    The ranks decide, not the scores: a run that was written with rounded scores keeps its order.

    Raises:
        InputError: a line is malformed, or a docid stands twice under a query.
    """
    ranked: dict[str, list[tuple[int, Scored]]] = {}
    seen: dict[tuple[str, str], int] = {}
    for number, line in text_lines(path):
        fields = line.split()
        if len(fields) != 6:
            raise InputError(
                f"expected 'qid Q0 docid rank score tag', found {len(fields)} fields", path=path, line=number
            )
        qid, _, docid, rank, score, _ = fields
        first = seen.setdefault((qid, docid), number)
        if first != number:
            raise InputError(
                f"document {docid!r} occurs twice, first on line {first}", path=path, line=number, qid=qid
            )
        entry = Scored(docid, _number(score, "score", path, number), number)
        ranked.setdefault(qid, []).append((_integer(rank, "rank", path, number), entry))
    not_empty(ranked, path, "run lines")
    return {qid: [entry for _, entry in sorted(entries, key=lambda e: e[0])] for qid, entries in ranked.items()}


def read_qrels(path: str | Path) -> Qrels:
    """Read judgements: TREC's four columns, or BEIR's ``query-id corpus-id score`` with its header; of a BEIR
    folder its ``qrels/test.tsv``.

    Raises:
        InputError: a line is malformed.
    """
    path = within(path, "qrels/test.tsv")
    grades: dict[str, dict[str, int]] = {}
    for number, line in text_lines(path):
        fields = line.split()
        if number == 1 and fields[:2] == ["query-id", "corpus-id"]:
            continue
        match fields:
            case [qid, _, docid, grade] | [qid, docid, grade]:
                grades.setdefault(qid, {})[docid] = _integer(grade, "grade", path, number)
            case _:
                raise InputError(
                    f"expected 'qid 0 docid grade', found {len(fields)} fields", path=path, line=number
                )
    not_empty(grades, path, "judgements")
    return grades


def run_lines(qid: str, docids: Sequence[str], tag: str) -> str:
    """A ranking as run lines; scores fall by one from the number of candidates, so that no tie can disturb it.

    Raises:
        InputError: a qid or docid is empty or has white space, which the format cannot hold.
    """
    for name in (qid, *docids):
        if not name or name.split() != [name]:
            raise InputError(f"{name!r} cannot stand in a TREC run: use --format jsonl", qid=qid)
    return "".join(
        f"{qid} Q0 {docid} {rank} {len(docids) + 1 - rank} {tag}\n" for rank, docid in enumerate(docids, 1)
    )


def _number(text: str, what: str, path: str | Path, line: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"the {what} {text!r} is not a number", path=path, line=line)
    return value


def _integer(text: str, what: str, path: str | Path, line: int) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise InputError(f"the {what} {text!r} is not a whole number", path=path, line=line) from error
