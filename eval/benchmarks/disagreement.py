"""Which measure of disagreement says most of what an LLM gains, where nobody judged.

    python -m eval.benchmarks.disagreement --data DIR [--scores FOLDER] [--seeds 5]

Over DL21 and DL23: the embedded model's order of BM25's top 100, and what sliding windows over its head make of it
with simulated LLMs. For each candidate measure its correlation over queries (Pearson, and Spearman's of ranks) with
the LLM's nDCG@10 less the local order's, pooled over seeds and depths; then the line through the origin from the
chosen measure to the gain, with a bootstrap interval over queries. **The LLMs are simulations.**
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from math import log2
from pathlib import Path
from statistics import correlation
from typing import NamedTuple

import numpy as np

from eval.benchmarks.local_tier import rescored
from eval.benchmarks.simulation import Judged
from listwise.eval.simulate import Prior, SimulatedRanker, simulate
from listwise.models.simulated.naming import PRESETS
from listwise.routing.disagreement import TOP, disagreement
from listwise.strategies import make

FITTED = ("dl21", "dl23")
LLMS = ("perfect", "strong", "weak", "biased")
DEPTHS = (20, 50, 100)
RESAMPLES = 2000

Order = Sequence[str]
Measure = Callable[[Order, Order], float]


def lost(worth: Callable[[int], float], local: Order, llm: Order) -> float:
    """1 - nDCG@10 of the local order, the LLM's rank r being worth ``worth(r)``, and nothing below the top."""
    grades = {docid: worth(rank) for rank, docid in enumerate(llm[:TOP], 1)}
    ideal = sum(grade / log2(rank + 1) for rank, grade in enumerate(grades.values(), 1))
    got = sum(grades.get(docid, 0.0) / log2(rank + 1) for rank, docid in enumerate(local[:TOP], 1))
    return 1 - got / ideal


def rbo_distance(persistence: float, local: Order, llm: Order) -> float:
    """1 - rank-biased overlap of the top 10 (Webber et al. 2010), with weights that sum to 1."""
    weights = [persistence**depth for depth in range(TOP)]
    agreed = [len({*local[:depth]} & {*llm[:depth]}) / depth for depth in range(1, TOP + 1)]
    return 1 - sum(map(float.__mul__, weights, agreed)) / sum(weights)


def ap_distance(local: Order, llm: Order) -> float:
    """(1 - AP correlation) / 2 of the top 10 (Yilmaz et al. 2008), the LLM's order being the true one."""
    places = {docid: place for place, docid in enumerate(llm)}
    shares = [
        sum(places[above] < places[local[at]] for above in local[:at]) / at for at in range(1, min(TOP, len(local)))
    ]
    return 1 - sum(shares) / len(shares)


MEASURES: Mapping[str, Measure] = {
    "nDCG lost, worth 1/log2(rank + 1)": partial(lost, lambda rank: 1 / log2(rank + 1)),
    "nDCG lost, worth 11 - rank": partial(lost, lambda rank: TOP + 1 - rank),
    "nDCG lost, worth 1 (not 0 by order)": partial(lost, lambda rank: 1.0),
    "RBO distance, p = 0.9": partial(rbo_distance, 0.9),
    "RBO distance, p = 0.7": partial(rbo_distance, 0.7),
    "AP distance": ap_distance,
    "chosen": disagreement,
}


class Pair(NamedTuple):
    """One query, ranked by one LLM."""

    query: str
    local: tuple[str, ...]
    llm: tuple[str, ...]
    gain: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scores", type=Path, help="keep scores in this folder, and take those that are there")
    parser.add_argument("--seeds", type=int, default=5)
    chosen = parser.parse_args()
    collections = {name: Judged(chosen.data / name) for name in FITTED}
    priors = {name: _priors(judged, chosen.data, chosen.scores) for name, judged in collections.items()}
    found: dict[tuple[str, int], list[Pair]] = defaultdict(list)
    for llm in LLMS:
        for depth in DEPTHS:
            for name, judged in collections.items():
                for seed in range(chosen.seeds):
                    found[llm, depth] += _pairs(judged, priors[name], llm, depth, seed)
    print("| measure | " + " | ".join(LLMS) + " | all |\n|---|" + "---|" * (len(LLMS) + 1))
    for label, measure in MEASURES.items():
        by_llm = [[pair for (name, _), pairs in found.items() if name == llm for pair in pairs] for llm in LLMS]
        cells = [_correlations(measure, pairs) for pairs in (*by_llm, list(chain(*by_llm)))]
        print(f"| {label} | {' | '.join(cells)} |", flush=True)
    print("\n| LLM | depth | mean gain | mean disagreement | slope | 95 % | residual s.d. |\n" + "|---" * 7 + "|")
    for (llm, depth), pairs in found.items():
        print(f"| {llm} | {depth} | {_line(pairs)} |")
    pooled = [pair for (llm, _), pairs in found.items() if llm in ("strong", "weak", "biased") for pair in pairs]
    print(f"| strong, weak and biased | all | {_line(pooled)} |")


def _priors(judged: Judged, data: Path, kept: Path | None) -> list[Prior]:
    run = rescored(data, judged.name, "embedded", kept)
    return [
        Prior(qid, tuple(sorted(scores, key=lambda docid: -scores[docid])))
        for qid, scores in run.items()
        if qid in judged.collection.qrels
    ]


def _pairs(judged: Judged, priors: Sequence[Prior], llm: str, depth: int, seed: int) -> list[Pair]:
    ranker = SimulatedRanker(replace(PRESETS[llm], seed=seed), judged.collection.qrels)
    strategy = make("sliding", window=20, stride=10, depth=depth)
    plays = [simulate(strategy, prior, ranker) for prior in priors]
    before = judged.ndcg({prior.qid: prior.docids for prior in priors})
    after = judged.ndcg({play.prior.qid: play.docids for play in plays})
    return [
        Pair(f"{judged.name} {qid}", play.prior.docids, play.docids, after[qid] - before[qid])
        for play in plays
        for qid in [play.prior.qid]
    ]


def _correlations(measure: Measure, pairs: Sequence[Pair]) -> str:
    values, gains = [measure(pair.local, pair.llm) for pair in pairs], [pair.gain for pair in pairs]
    return f"{correlation(values, gains):.3f}, {correlation(_ranks(values), _ranks(gains)):.3f}"


def _ranks(values: Sequence[float]) -> list[float]:
    """From the least, those that are equal in the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return list((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _line(pairs: Sequence[Pair]) -> str:
    """The line through the origin, by least squares; queries are drawn whole."""
    by_query: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for pair in pairs:
        by_query[pair.query].append((disagreement(pair.local, pair.llm), pair.gain))
    sums = np.array([[sum(d * g for d, g in each), sum(d * d for d, _ in each)] for each in by_query.values()])
    draws = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    drawn = sums[draws].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [0.025, 0.975])
    slope = float(sums[:, 0].sum() / sums[:, 1].sum())
    points = np.array([point for each in by_query.values() for point in each])
    residual = float(np.std(points[:, 1] - slope * points[:, 0]))
    means = points.mean(axis=0)
    return f"{means[1]:+.3f} | {means[0]:.3f} | {slope:.3f} | {low:.3f} to {high:.3f} | {residual:.3f}"


if __name__ == "__main__":
    main()
