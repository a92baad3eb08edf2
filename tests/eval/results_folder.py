"""A results folder as an experiment leaves it, made up.

Rankings, windows and receipts are the library's own, by its simulated ranker; collections, passages and the systems
called real are invented.

    python -m tests.eval.results_folder FOLDER [QUERIES]
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from statistics import fmean
from typing import Any

from listwise import Candidate, Query, Ranking, Request, Reranker
from listwise.eval.measures import compare, evaluate
from listwise.eval.statistics import bootstrap
from listwise.formats import read_qrels, read_run, run_lines
from listwise.policy import Policy

MEASURES = ("nDCG@10", "RR(rel=2)@10")
DEPTH = 60
HOSTILE = "</script><script>alert(1)</script> & <b>\x1b[31m\u202e ' \" -->"
"""Stands in a query, a passage and a docid of every collection."""
TOPICS = (
    "why is the sky blue", "how long does a cold last", "what is the daily life of thai people",
    "definition of a sigmet", "causes of left ventricular hypertrophy", "is cdg airport in main paris",
    "how are some sharks warm blooded", "what types of food can you cook sous vide",
    "when was the salvation army founded",
    "difference between rn and bsn", "how to find the midsegment of a trapezoid", "who is robert gray",
)  # fmt: skip
SENTENCES = (
    "The answer depends on {a}, which most people first meet in connection with {b}.",
    "Researchers have studied {a} for decades, and agree that {b} plays a part.",
    "In general {a} lasts between three and ten days, unless {b} makes it worse.",
    "There is no simple rule for {a}; a guide to {b} lists the exceptions.",
    "Visitors often ask about {a}. The short answer is that {b} comes first.",
    "A common mistake is to take {a} for {b}, although the two have little in common.",
)


@dataclass
class Made:
    """One collection on its way into the folder."""

    root: Path
    name: str
    requests: list[Request]
    systems: list[dict[str, Any]] = field(default_factory=list)
    totals: list[dict[str, Any]] = field(default_factory=list)

    def add(self, system: str, kind: str, orders: Mapping[str, Sequence[str]], **more: Any) -> None:
        """Write a run and note the system."""
        path = f"runs/{self.name}/{_file(system)}.trec"
        lines = [run_lines(qid, docids, "made-up") for qid, docids in orders.items()]
        _write(self.root / path, "".join(lines))
        line = {"collection": self.name, "system": system, "kind": kind, "group": system, "run": path, "note": ""}
        usual = {
            "simulated": False,
            "model": None,
            "strategy": None,
            "seed": None,
            "baseline": False,
            "receipts": None,
            "trace": None,
        }
        self.systems.append(usual | line | more)

    def rerank(self, group: str, seed: int, **settings: Any) -> None:
        """Let the library re-rank with a simulated LLM."""
        system = f"{group} seed={seed}"
        policy = Policy.of("balanced", **{"local": "none", "escalate": "always", **settings})
        with Reranker(policy, trace=True) as reranker:
            rankings = [reranker.rerank(request) for request in self.requests]
        names = {kind: f"{kind}/{self.name}/{_file(system)}.jsonl" for kind in ("receipts", "traces")}
        _lines(self.root / names["receipts"], [asdict(each.receipt) for each in rankings])
        _lines(self.root / names["traces"], [asdict(window) for each in rankings for window in each.windows])
        self.add(
            system, "llm", {each.query.qid: each.docids for each in rankings},
            group=group, seed=seed, simulated=True, model=rankings[0].receipt.model,
            strategy=rankings[0].receipt.strategy, receipts=names["receipts"], trace=names["traces"],
        )  # fmt: skip
        self._total(system, rankings)

    def _total(self, system: str, rankings: Sequence[Ranking]) -> None:
        receipts = [each.receipt for each in rankings]
        names = ("calls", "passages_read", "input_tokens", "output_tokens", "cache_hits")
        usd = sum((each.usd for each in receipts), Decimal(0))
        self.totals.append(
            {
                **{
                    "collection": self.name,
                    "system": system,
                    "usd": str(usd),
                    "bill_usd": str(usd),
                    "priced": True,
                },
                **{name: sum(getattr(each, name) for each in receipts) for name in names},
                "seconds": round(sum(each.seconds for each in receipts), 3),
            }
        )


def make(root: Path, queries: int = 12, *, collections: Sequence[str] = ("dl-one",), seeds: int = 2) -> Path:
    """Write a folder; the same one for the same arguments, but for seconds."""
    made = [_collection(root, name, queries, number) for number, name in enumerate(collections)]
    for collection in made:
        _systems(collection, seeds)
    _lines(root / "systems.jsonl", [line for each in made for line in each.systems])
    _lines(root / "totals.jsonl", [line for each in made for line in each.totals])
    measures: list[dict[str, Any]] = []
    values: list[dict[str, Any]] = []
    for collection in made:
        for figure, by_query in _measured(collection):
            measures.append(figure)
            values += by_query
    _lines(root / "measures.jsonl", measures)
    _lines(root / "per_query.jsonl", values)
    _lines(root / "groups.jsonl", [line for each in made for line in _grouped(each, measures, values)])
    _write(root / "experiment.toml", f'description = "Made up."\ncollections = {json.dumps(list(collections))}\n')
    environment = {
        "experiment": "made-up",
        "listwise": "1.0",
        "python": "3.12",
        "platform": "Linux",
        "packages": {"numpy": "2.3"},
    }
    more = {"started": "2026-01-02T03:04:05Z", "seconds": 61.5, "sha256": "0123456789abcdef" * 4}
    _write(root / "environment.json", json.dumps(environment | more))
    _write(root / "bias" / "weak.json", json.dumps(_study()))
    return root


def _collection(root: Path, name: str, count: int, number: int) -> Made:
    draw = random.Random(number)
    requests, grades = [], []
    texts: dict[str, str] = {}
    for at in range(count):
        topic = TOPICS[at] if at < len(TOPICS) else f"{TOPICS[at % len(TOPICS)]} {at}"
        query = Query(f"{1000 * number + at * 37 + 11}", f"{HOSTILE} {topic}" if at == 1 else topic)
        ranked = _candidates(draw, query.qid, topic, hostile=at == 1)
        requests.append(Request(query, tuple(candidate for candidate, _ in ranked)))
        grades += [f"{query.qid} 0 {candidate.docid} {grade}\n" for candidate, grade in ranked if grade is not None]
        texts |= {candidate.docid: candidate.text for candidate, _ in ranked}
    _lines(
        root / "queries" / f"{name}.jsonl", [{"qid": each.query.qid, "text": each.query.text} for each in requests]
    )
    _write(root / "qrels" / f"{name}.txt", "".join(grades))
    _lines(root / "texts" / f"{name}.jsonl", [{"docid": docid, "text": text} for docid, text in texts.items()])
    return Made(root, name, requests)


def _candidates(draw: random.Random, qid: str, topic: str, *, hostile: bool) -> list[tuple[Candidate, int | None]]:
    """Candidates in first-stage order, with grades that it agrees with so far; one in five is not judged."""
    grades = [draw.choices([3, 2, 1, 0], [3, 7, 15, 75])[0] for _ in range(DEPTH)]
    scored = sorted(((0.7 * grade + draw.gauss(0, 1), grade) for grade in grades), reverse=True)
    found: list[tuple[Candidate, int | None]] = []
    for at, (score, grade) in enumerate(scored):
        text = " ".join(
            draw.choice(SENTENCES).format(a=topic, b=draw.choice(TOPICS)) for _ in range(draw.randint(3, 5))
        )
        docid = "<i>odd</i>&" if hostile and at == 3 else f"{draw.randint(10_000, 8_800_000)}_{at}"
        judged = None if grade == 0 and draw.random() < 0.2 else grade
        found.append((Candidate(docid, f"{HOSTILE} {text}" if hostile and at == 3 else text, score), judged))
    return found


def _systems(made: Made, seeds: int) -> None:
    first = {each.query.qid: [candidate.docid for candidate in each.candidates] for each in made.requests}
    made.add("BM25", "first_stage", first, baseline=True)
    qrels = made.root / "qrels" / f"{made.name}.txt"
    grades = read_qrels(qrels)
    for name, kind, noise in (("SPLADE++", "first_stage", 1.5), ("embedded", "local", 1.7)):
        made.add(name, kind, _noisy(first, grades, noise, name))
    made.totals.append(
        {"collection": made.name, "system": "embedded", "usd": "0", "calls": 0, "seconds": 4.2, "priced": True}
    )
    for run in range(seeds):
        orders = _noisy(first, grades, 1.2, f"recorded {run}")
        made.add(f"recorded LLM run={run}", "recorded", orders, group="recorded LLM", seed=run)
    made.add(
        "vote of the recorded LLM, by reciprocal ranks",
        "vote",
        _noisy(first, grades, 1.0, "vote"),
        note="Borda count over its runs, recorded_llm__bm25__top100__2023-08-04T232651.trec.gz",
    )
    made.add("priced API", "llm", _noisy(first, grades, 0.9, "priced"), model="openai/gpt-4o", strategy="sliding")
    made.add(
        "cheap API", "llm", _noisy(first, grades, 1.1, "cheap"), model="openai/gpt-4o-mini", strategy="adaptive"
    )
    for system, usd in (("priced API", "1.9371"), ("cheap API", "0.0831")):
        counts = {"calls": 5 * len(first), "passages_read": 100 * len(first), "input_tokens": 9000 * len(first)}
        rest = {"output_tokens": 400 * len(first), "cache_hits": 0, "seconds": 31.0, "priced": True, "usd": usd}
        made.totals.append({"collection": made.name, "system": system, "bill_usd": None, **counts, **rest})
    for seed in range(seeds):
        made.rerank("sliding on sim/strong", seed, llm=f"sim/strong,seed={seed},qrels={qrels}", strategy="sliding")
        weak = f"sim/weak,malformed=0.3,bias=head,seed={seed},qrels={qrels}"
        made.rerank("sliding on sim/weak", seed, llm=weak, strategy="sliding")
        made.rerank(
            "adaptive on sim/strong", seed, llm=f"sim/strong,seed={seed},qrels={qrels}", strategy="adaptive"
        )


def _noisy(
    first: Mapping[str, Sequence[str]], grades: Mapping[str, Mapping[str, int]], noise: float, name: str
) -> dict[str, list[str]]:
    """Orders by grades with errors."""
    draw = random.Random(name)
    return {
        qid: sorted(docids, key=lambda docid: -grades.get(qid, {}).get(docid, 0) - draw.gauss(0, noise))
        for qid, docids in first.items()
    }


def _measured(made: Made) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    qrels = read_qrels(made.root / "qrels" / f"{made.name}.txt")
    base = evaluate(read_run(made.root / made.systems[0]["run"]), qrels, MEASURES)
    for system in made.systems:
        for measured, baseline in zip(
            evaluate(read_run(made.root / system["run"]), qrels, MEASURES), base, strict=True
        ):
            key = {"collection": made.name, "system": system["system"], "measure": measured.measure}
            figure = {
                **key,
                **asdict(measured.interval),
                "ceiling": 0.97,
                "p": None,
                "p_corrected": None,
                "difference": None,
            }
            if not system["baseline"]:
                told = compare(measured, baseline)
                figure |= {"p": told.p_value, "p_corrected": min(1.0, 5 * told.p_value), "wins": told.wins}
                gap = told.difference
                figure |= {"losses": told.losses, "difference": [gap.mean, gap.low, gap.high]}
            yield figure, [{**key, "qid": qid, "value": value} for qid, value in measured.by_query.items()]


def _grouped(
    made: Made, measures: Sequence[dict[str, Any]], values: Sequence[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The mean over seeds, with the first seed's comparison."""
    groups: dict[str, list[str]] = {}
    for system in made.systems:
        groups.setdefault(system["group"], []).append(system["system"])
    for group, members in groups.items():
        for measure in MEASURES if len(members) > 1 else ():
            key = (made.name, measure)
            of = [
                each
                for each in values
                if (each["collection"], each["measure"]) == key and each["system"] in members
            ]
            by_query: dict[str, list[float]] = {}
            for each in of:
                by_query.setdefault(each["qid"], []).append(each["value"])
            first = next(
                each
                for each in measures
                if (each["collection"], each["measure"]) == key and each["system"] == members[0]
            )
            interval = bootstrap([fmean(column) for column in by_query.values()])
            yield {**first, "system": group, **asdict(interval), "seeds": len(members)}


def _study() -> dict[str, Any]:
    """In the shape that ``listwise bias --json`` has."""
    n = 10
    matrix = [[1 / (1 + abs(shown - given)) for given in range(n)] for shown in range(n)]
    curve = [{"value": at / 10 - 0.45, "low": at / 10 - 0.6, "high": at / 10 - 0.3, "p": 0.01} for at in range(n)]
    slope = {
        "name": "slope",
        "effect": 0.1,
        "low": 0.06,
        "high": 0.14,
        "p": 0.0005,
        "words": "the head is favoured",
    }
    return {
        "model": "sim/weak", "simulated": True, "queries": 12, "findings": [slope],
        "positions": [{"size": n, "design": "reordered", "matrix": matrix, "effects": {"curve": curve}}],
    }  # fmt: skip


def _file(system: str) -> str:
    """A file's name for a system's."""
    return system.replace("/", "-").replace(" ", "_")


def _lines(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    _write(path, "".join(json.dumps(each, ensure_ascii=False, default=float) + "\n" for each in records))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 12)
