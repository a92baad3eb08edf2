"""Real passages that are taken for orders to the model, attacks that are found, and recorded models that echo."""

from __future__ import annotations

import gzip
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from listwise.permutation import complete, parse
from listwise.prompting import addresses_the_model
from listwise.strategies.guard import echoes, suspicious
from tests.attacks.corpus import CASES, attacked

COLLECTIONS = (
    *(("tuned on", name) for name in ("dl21", "dl22", "dl23")),
    ("reported", "dl19"),
    ("reported", "cranfield"),
)
SHOWN = 5
BASE, QUERY = "The moon is far away and has no air.", "why is the sky blue"
RESPONSES = Path("responses") / "dl19.jsonl.gz"


def flagged(data: Path, queries: int) -> Iterator[str]:
    """Passages of real collections that are taken for orders, and attacks that are."""
    for purpose, name in COLLECTIONS:
        started = time.process_time()
        passages = [record["text"] for record in _records(data / name / "corpus.jsonl.gz")]
        found = [text for text in passages if addresses_the_model(text)]
        each_us = 1e6 * (time.process_time() - started) / len(passages)
        yield (
            f"{name:9} {purpose}: {len(found)} of {len(passages)} passages taken for orders "
            f"({len(found) / len(passages):.3%}), {each_us:.0f} us a passage"
        )
        yield from (f"    {text[:200]}" for text in found[:SHOWN])
    orders = [case for case in CASES if case.order]
    missed = [f"{case.family}: {case.name}" for case in orders if not _found(case)]
    yield f"orders in the corpus: {len(orders) - len(missed)} of {len(orders)} found; missed: {', '.join(missed)}"


def echoed(data: Path, queries: int) -> Iterator[str]:
    """Recorded models whose windows come back in the order shown; a log is one pass over DL19."""
    runs: defaultdict[tuple[str, str], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for record in sorted(_records(data / RESPONSES), key=lambda record: record["call"]):
        if record["depth"] == 100:
            runs[record["model"], record["log"]][record["qid"]].append(record)
    by_model: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for (model, _), windows in runs.items():
        by_model[model] += [_echoes_of(calls) for calls in windows.values()]
    for model, counts in sorted(by_model.items()):
        asked, same, due = (sum(column) for column in zip(*counts, strict=True))
        yield f"{model}: {same} of {asked} windows echoed; {due} of {len(counts)} queries would be checked"


def _echoes_of(calls: Sequence[Mapping[str, Any]]) -> tuple[int, int, int]:
    """Windows of one query, those that were echoed, and whether the guard would look into it."""
    same = 0
    for call in calls:
        n = len(call["docids"])
        parsed = parse(call["response"], n)
        whole = parsed.failure is None and len(parsed.identifiers) == n
        same += whole and echoes(range(n), complete(parsed))
    return len(calls), same, int(suspicious(len(calls), same))


def _found(case: Any) -> bool:
    title, text = attacked(case, BASE, QUERY)
    texts = [f"{title} {text}" if title else text]
    if case.partner is not None:
        texts.append(case.partner(BASE, QUERY))
    return any(map(addresses_the_model, texts))


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
