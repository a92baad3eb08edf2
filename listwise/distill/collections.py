"""Reads test collections: a directory each, of queries, passages, runs and judgements."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from listwise.errors import InputError

Run = dict[str, dict[str, float]]
"""qid to docid to score."""
Qrels = dict[str, dict[str, int]]
"""qid to docid to grade."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Queries and passages by their identifiers, with what is known about which passage suits which query."""

    name: str
    queries: dict[str, str]
    passages: dict[str, str]
    qrels: Qrels
    """Empty where nobody judged."""
    runs: dict[str, Run]
    """By file name without ``.trec.gz``."""


def read_collection(path: Path) -> Collection:
    """Read ``queries.tsv``, ``corpus.jsonl.gz``, ``*.trec.gz`` and, where it exists, ``qrels.txt``.

    Raises:
        InputError: a file is missing.
    """
    passages = (json.loads(line) for line in _lines(path / "corpus.jsonl.gz"))
    qrels = path / "qrels.txt"
    return Collection(
        name=path.name,
        queries=dict(_pair(line) for line in _lines(path / "queries.tsv")),
        passages={passage["id"]: passage["text"] for passage in passages},
        qrels=_read_qrels(qrels) if qrels.exists() else {},
        runs={run.name.removesuffix(".trec.gz"): _read_run(run) for run in sorted(path.glob("*.trec.gz"))},
    )


def _lines(path: Path) -> Iterator[str]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8") as lines
        ):
            yield from lines
    except FileNotFoundError as exc:
        raise InputError("the collection lacks this file", path=path) from exc


def _pair(line: str) -> tuple[str, str]:
    qid, _, text = line.rstrip("\n").partition("\t")
    return qid, text


def _read_run(path: Path) -> Run:
    run: Run = defaultdict(dict)
    for line in _lines(path):
        qid, _, docid, _, score, _ = line.split()
        run[qid][docid] = float(score)
    return dict(run)


def _read_qrels(path: Path) -> Qrels:
    qrels: Qrels = defaultdict(dict)
    for line in _lines(path):
        qid, _, docid, grade = line.split()
        qrels[qid][docid] = int(grade)
    return dict(qrels)
