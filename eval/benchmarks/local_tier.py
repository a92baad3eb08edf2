"""Measures a local model: quality, speed, memory, cold start, and the margins that the router will see.

    python -m eval.benchmarks.local_tier --data DIR [--model embedded] [--scores FOLDER] [--only quality ...]

``DIR`` holds the collections ``dl19``, ``cranfield``, ``dl21`` and ``dl23``. Quality is nDCG@10 of BM25's top 100,
re-ranked, on the two that no model of ours was trained on. Speed and memory take passages of DL21.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles

from listwise.distill.collections import Collection, Scores, read_collection
from listwise.models.base import Scorer
from listwise.models.local import load_scorer
from listwise.routing.signals import margin

REPORTED = ("dl19", "cranfield")
CALIBRATION = ("dl21", "dl23")
FIRST_STAGE = "bm25"
DEPTH = 100
SIZES = (100, 10_000)
"""Candidates of one request."""
QUERY = "what is the theory of relativity"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--scores", type=Path, help="keep scores in this folder, and take those that are there")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--in-this-process", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.in_this_process is not None:
        print(json.dumps(measure_once(chosen.model, chosen.data, chosen.in_this_process)))
        return
    for name in chosen.only:
        for line in PARTS[name](chosen.model, chosen.data, chosen.scores):
            print(line, flush=True)


def quality(model: str, data: Path, kept: Path | None) -> Iterable[str]:
    """nDCG@10 of the first stage and of the model, with ties broken as trec_eval does."""
    for name in REPORTED:
        collection, run = read_collection(data / name), rescored(data, name, model, kept)
        first, local = ndcg(collection, collection.runs[FIRST_STAGE]), ndcg(collection, run)
        yield f"{name}: nDCG@10 {first:.4f} {FIRST_STAGE}, {local:.4f} {model}"


def margins(model: str, data: Path, kept: Path | None) -> Iterable[str]:
    """How the router's signal is distributed where its thresholds are set."""
    pooled: list[float] = []
    for name in CALIBRATION:
        scores = rescored(data, name, model, kept).values()
        seen = [value for each in scores if (value := margin(list(each.values()))) is not None]
        pooled += seen
        yield f"{name}: median margin {median(seen):.3f} over {len(seen)} queries"
    deciles = ", ".join(f"{value:.2f}" for value in quantiles(pooled, n=10))
    yield f"{' and '.join(CALIBRATION)}: median margin {median(pooled):.3f}; deciles {deciles}"


def speed_and_memory(model: str, data: Path, kept: Path | None) -> Iterable[str]:
    """One request of each size, each in a process of its own."""
    for size in SIZES:
        seen = in_process(model, data, size)
        yield (
            f"{size} candidates: {size / seen['score_s']:.0f} pairs/s, {seen['score_s']:.2f} s, "
            f"peak memory {seen['peak_mib']:.0f} MiB, of which {seen['base_mib']:.0f} MiB before the request"
        )


def cold_start(model: str, data: Path, kept: Path | None) -> Iterable[str]:
    """In a fresh interpreter, to import and load and then to score one passage; the median of five."""
    seen = [json.loads(subprocess.check_output([sys.executable, "-c", COLD_START, model])) for _ in range(5)]
    loaded, first = (median(times) for times in zip(*seen, strict=True))
    yield f"cold start: {loaded:.2f} s to import and load, {first:.3f} s more to the first score"


COLD_START = """
import sys, time
started = time.perf_counter()
from listwise.models.local import load_scorer
scorer = load_scorer(sys.argv[1])
loaded = time.perf_counter()
scorer.score("why is the sky blue", ["Air scatters blue light."])
print([loaded - started, time.perf_counter() - loaded])
"""

PARTS: dict[str, Callable[[str, Path, Path | None], Iterable[str]]] = {
    "quality": quality,
    "margin": margins,
    "speed": speed_and_memory,
    "start": cold_start,
}


def rescored(data: Path, name: str, model: str, kept: Path | None, first_stage: str = FIRST_STAGE) -> Scores:
    """A collection's candidates with the model's scores; from the folder ``kept`` if they are there, else kept."""
    file = kept / f"{name}.{first_stage}.{Path(model).name}.json" if kept else None
    if file is not None and file.is_file():
        found: dict[str, dict[str, float]] = json.loads(file.read_text())
        return found
    run = rescore(read_collection(data / name), load_scorer(model), first_stage)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(run))
    return run


def rescore(collection: Collection, scorer: Scorer, first_stage: str = FIRST_STAGE) -> Scores:
    """The best `DEPTH` of a first stage with the model's scores."""
    run: dict[str, dict[str, float]] = {}
    for qid, found in collection.runs[first_stage].items():
        docids = list(found)[:DEPTH]
        texts = [collection.passages[docid] for docid in docids]
        run[qid] = dict(zip(docids, scorer.score(collection.queries[qid], texts), strict=True))
    return run


def ndcg(collection: Collection, run: Scores) -> float:
    """The mean over the judged queries."""
    import ir_measures

    measured = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], collection.qrels, run)
    return float(measured[ir_measures.nDCG @ 10])


def in_process(model: str, data: Path, size: int) -> dict[str, float]:
    """`measure_once` in a fresh interpreter."""
    command = [sys.executable, __file__, "--data", str(data), "--model", model, "--in-this-process", str(size)]
    seen = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name: float(value) for name, value in json.loads(seen).items()}


def measure_once(model: str, data: Path, size: int) -> dict[str, float]:
    """Load the model and score one request."""
    scorer = load_scorer(model)
    passages = list(islice(cycle(read_collection(data / "dl21").passages.values()), size))
    base = peak_mib()
    asked = time.perf_counter()
    scorer.score(QUERY, passages)
    return {"score_s": time.perf_counter() - asked, "base_mib": base, "peak_mib": peak_mib()}


def peak_mib() -> float:
    """The most memory that this process held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
