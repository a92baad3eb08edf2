"""Rankings, written one by one as they are done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any, Literal

from listwise.formats.lines import text_lines
from listwise.formats.trec import run_lines
from listwise.types import Candidate, Ranking

RankingForm = Literal["trec", "jsonl", "text"]

TAG, SIMULATED_TAG = "listwise", "listwise-simulated"
"""The last column of a TREC run; the second where an LLM that was a simulation had a part in it."""


class RankingWriter:
    """Writes rankings to a text file and flushes each, so that an interrupt keeps what is done.

    ``trec`` is a TREC run; ``jsonl`` is rank_llm's result, whose scores fall by one like the run's, and whose docs
    are those that were read; ``text`` is for people: rank, docid and text, with tabs between.
    """

    def __init__(self, file: IO[str], form: RankingForm) -> None:
        self._file = file
        self._form = form

    def write(self, ranking: Ranking) -> None:
        """Write one ranking.

        Raises:
            InputError: a qid or docid cannot stand in a TREC run.
        """
        simulated = ranking.receipt.simulated
        match self._form:
            case "trec":
                self._file.write(run_lines(ranking.query.qid, ranking.docids, SIMULATED_TAG if simulated else TAG))
            case "jsonl":
                self._file.write(json.dumps(_record(ranking), ensure_ascii=False) + "\n")
            case "text":
                for rank, candidate in enumerate(ranking.candidates, 1):
                    self._file.write(f"{rank}\t{candidate.docid}\t{' '.join(candidate.content.split())}\n")
        self._file.flush()


def is_simulated(path: str | Path) -> bool:
    """Whether a simulation had a part in any ranking of a TREC run, by its tags.

    Raises:
        InputError: the file cannot be read.
    """
    return any(line.split()[-1:] == [SIMULATED_TAG] for _, line in text_lines(path))


def _record(ranking: Ranking) -> dict[str, Any]:
    count = len(ranking.candidates)
    label = {"simulated": True} if ranking.receipt.simulated else {}
    return label | {
        "query": {"text": ranking.query.text, "qid": ranking.query.qid},
        "candidates": [
            {"docid": candidate.docid, "score": float(count - at), "doc": _doc(candidate)}
            for at, candidate in enumerate(ranking.candidates)
        ],
    }


def _doc(candidate: Candidate) -> dict[str, Any]:
    if candidate.doc is not None:
        return dict(candidate.doc)
    return {"title": candidate.title, "text": candidate.text} if candidate.title else {"text": candidate.text}
