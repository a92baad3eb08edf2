"""Teachers' opinions as they lie in files: judgements, traces of an LLM, rankings, runs with scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from listwise.distill.lessons import Lesson, LossName
from listwise.errors import InputError
from listwise.formats import read_qrels, read_requests, read_run
from listwise.formats.lines import json_lines, raw_lines
from listwise.types import Request

Source = Literal["qrels", "trace", "permutations", "teacher"]
"""People's grades; windows that an LLM put in order; whole rankings by an LLM; scores of a better ranker."""
Utilities = Mapping[str, float]
"""By docid, higher is better."""

DEFAULT_LOSS: Mapping[Source, LossName] = {
    "qrels": "cross-entropy",
    "trace": "ranknet",
    "permutations": "ranknet",
    "teacher": "margin-mse",
}
TEACHER_SPREAD = 2.0
"""Standard deviation that a teacher's scores get within a query, on average: about that of a cross-encoder's
logits, so that margins can be learnt as they are."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """What one file says."""

    source: Source
    path: str
    by_query: Mapping[str, Sequence[Utilities]]
    """One a query, or one a window."""

    @property
    def count(self) -> int:
        """Lists of passages."""
        return sum(map(len, self.by_query.values()))


def read_opinions(source: Source, path: str | Path) -> Opinions:
    """Read a file of teachers' opinions.

    Raises:
        InputError: the file is missing or malformed; names the line.
    """
    match source:
        case "qrels":
            by_query = {qid: [dict(grades)] for qid, grades in read_qrels(path).items()}
            return Opinions(source, str(path), by_query)
        case "trace":
            return Opinions(source, str(path), _windows(path))
        case "permutations":
            return Opinions(source, str(path), {qid: [_by_rank(found)] for qid, found in _rankings(path).items()})
        case "teacher":
            return Opinions(source, str(path), {qid: [scores] for qid, scores in _scaled(path).items()})


def lessons_of(
    opinions: Opinions, requests: Mapping[str, Request], texts: Mapping[str, str], loss: LossName | None = None
) -> list[Lesson]:
    """What there is to learn from a file's opinions.

    Candidates of the first stage that nobody judged or ranked are the negatives, hard ones: without grade, below
    the last rank, or with the teacher's lowest score. A window stays as it was shown. Passages without a text, and
    lists of which all passages are worth the same, teach nothing.

    Args:
        requests: by qid.
        texts: by docid, of passages that are no candidates.
    """
    lessons = []
    for qid, lists in opinions.by_query.items():
        if (request := requests.get(qid)) is None:
            continue
        known = {candidate.docid: candidate.content for candidate in request.candidates}
        for said in lists:
            utilities = dict(said) if opinions.source == "trace" else _with_negatives(opinions.source, said, known)
            found = {docid: known.get(docid, texts.get(docid)) for docid in utilities}
            passages = {docid: text for docid, text in found.items() if text is not None}
            values = np.array([utilities[docid] for docid in passages], np.float32)
            if len(set(values.tolist())) > 1:
                name = loss or DEFAULT_LOSS[opinions.source]
                lessons.append(Lesson(qid, request.query.text, tuple(passages.values()), values, name))
    return lessons


def teachers_order(request: Request, opinions: Sequence[Opinions]) -> list[str]:
    """Candidates in the order that teachers would give them, best first: each file's opinions are applied to the
    first stage's order, window by window, and the ranks of several files are averaged."""
    docids = [candidate.docid for candidate in request.candidates]
    ranks = dict.fromkeys(docids, 0.0)
    for each in opinions:
        order = list(docids)
        for said in each.by_query.get(request.query.qid, ()):
            places = [place for place, docid in enumerate(order) if docid in said]
            best = sorted((order[place] for place in places), key=lambda docid: -said[docid])
            for place, docid in zip(places, best, strict=True):
                order[place] = docid
        for rank, docid in enumerate(order):
            ranks[docid] += rank
    return sorted(docids, key=ranks.__getitem__)


def _with_negatives(source: Source, said: Utilities, candidates: Mapping[str, str]) -> dict[str, float]:
    lowest = min(said.values(), default=0.0)
    rest = {"qrels": 0.0, "permutations": lowest - 1, "teacher": lowest}[source]
    return {**dict.fromkeys(candidates, rest), **said}


def _by_rank(docids: Sequence[str]) -> dict[str, float]:
    return {docid: -float(rank) for rank, docid in enumerate(docids)}


def _rankings(path: str | Path) -> dict[str, list[str]]:
    """A TREC run, or rank_llm's JSONL, by rank."""
    first = next((line for _, line in raw_lines(path)), b"")
    if first.lstrip()[:1] == b"{":
        return {each.query.qid: [one.docid for one in each.candidates] for each in read_requests(path)}
    return {qid: [entry.docid for entry in entries] for qid, entries in read_run(path).items()}


def _scaled(path: str | Path) -> dict[str, Utilities]:
    run = read_run(path)
    spreads = [float(np.std([entry.score for entry in entries])) for entries in run.values() if len(entries) > 1]
    spread = float(np.mean(spreads)) if spreads else 0.0
    if spread == 0:
        raise InputError("all scores of each query are the same: a teacher tells passages apart", path=path)
    factor = TEACHER_SPREAD / spread
    return {qid: {entry.docid: factor * entry.score for entry in entries} for qid, entries in run.items()}


def _windows(path: str | Path) -> dict[str, list[Utilities]]:
    """The windows of a trace that were put in order, as `listwise.types.WindowTrace` describes them."""
    windows: dict[str, list[Utilities]] = {}
    lines = 0
    for lines, record in json_lines(path):
        qid, docids, order = (record.get(name) for name in ("qid", "docids", "permutation"))
        if not isinstance(qid, str) or not isinstance(docids, list) or "permutation" not in record:
            raise InputError(
                "no window of a trace: expected qid, docids and permutation, as `listwise rerank --trace` writes "
                "them",
                path=path,
                line=lines,
            )
        if order is None:
            continue
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(map(str, range(len(docids)))):
            raise InputError(
                f"the permutation does not name each of {len(docids)} passages once", path=path, line=lines, qid=qid
            )
        windows.setdefault(qid, []).append(_window([str(docid) for docid in docids], [int(at) for at in order]))
    if not lines:
        raise InputError("no windows in it: the file is empty", path=path)
    return windows


def _window(docids: Sequence[str], order: Sequence[int]) -> Utilities:
    """Utilities by rank. Where the rest stands behind the first as it was shown, only the first was chosen, for all
    that can be known: then the rest is alike."""
    if list(order[1:]) == sorted(order[1:]):
        return {docid: float(at == order[0]) for at, docid in enumerate(docids)}
    return _by_rank([docids[at] for at in order])
