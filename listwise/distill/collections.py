"""Test collections to learn from: a directory each, of queries, passages, runs and, maybe, judgements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from listwise.formats.collections import fetch_passages, read_queries
from listwise.formats.trec import Qrels, read_qrels, read_run

Scores = Mapping[str, Mapping[str, float]]
"""qid to docid to score, best first."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Queries and passages by their identifiers, with what is known about which passage suits which query."""

    queries: Mapping[str, str]
    passages: Mapping[str, str]
    """Those that a run holds or somebody judged, as far as the corpus has them."""
    qrels: Qrels
    """Empty where nobody judged."""
    runs: Mapping[str, Scores]
    """By file name without ``.trec.gz``."""


def read_collection(path: Path) -> Collection:
    """Read ``queries.tsv``, ``corpus.jsonl.gz``, ``*.trec.gz`` and, where it exists, ``qrels.txt``.

    Raises:
        InputError: a file is missing or malformed.
    """
    runs = {run.name.removesuffix(".trec.gz"): _scores(run) for run in sorted(path.glob("*.trec.gz"))}
    qrels = read_qrels(path / "qrels.txt") if (path / "qrels.txt").exists() else {}
    named = [*qrels.values(), *(scores for run in runs.values() for scores in run.values())]
    passages = fetch_passages(path / "corpus.jsonl.gz", {docid for docids in named for docid in docids})
    return Collection(
        queries=read_queries(path / "queries.tsv"),
        passages={docid: passage.text for docid, passage in passages.items()},
        qrels=qrels,
        runs=runs,
    )


def _scores(path: Path) -> Scores:
    return {qid: {entry.docid: entry.score for entry in entries} for qid, entries in read_run(path).items()}
