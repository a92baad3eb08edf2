"""What a first stage is worth to a local model: nDCG@10 of either alone, and of both fused.

    python -m eval.benchmarks.fusion --data DIR [--model embedded] [--scores FOLDER] [--collections dl21 dl19]

Weights are chosen on DL21; DL19 is for reporting.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from eval.benchmarks.local_tier import ndcg, rescored
from listwise.distill.collections import Scores, read_collection
from listwise.fusion import Fusion, fuse

FIRST_STAGES = ("bm25", "splade_p_p_ensemble_distil")
WAYS: tuple[tuple[str, Fusion, float], ...] = (
    ("first stage alone", "sum", 1.0),
    ("model alone", "none", 0.0),
    ("rrf 0.5", "rrf", 0.5),
    *((f"sum {weight}", "sum", weight) for weight in (0.1, 0.3, 0.5, 0.7)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--scores", type=Path, help="keep scores in this folder, and take those that are there")
    parser.add_argument("--collections", nargs="+", default=["dl21", "dl19"])
    chosen = parser.parse_args()
    print("| collection | first stage | " + " | ".join(name for name, _, _ in WAYS) + " |")
    print("|---" * (2 + len(WAYS)) + "|")
    for name in chosen.collections:
        collection = read_collection(chosen.data / name)
        for first_stage in FIRST_STAGES:
            run = rescored(chosen.data, name, chosen.model, chosen.scores, first_stage)
            own = {qid: list(scores.values()) for qid, scores in run.items()}
            given = collection.runs[first_stage]
            found = {qid: {docid: given[qid][docid] for docid in scores} for qid, scores in run.items()}
            figures = (ndcg(collection, fused(found, own, way, weight)) for _, way, weight in WAYS)
            print(
                f"| {name} | {first_stage} | " + " | ".join(f"{figure:.4f}" for figure in figures) + " |",
                flush=True,
            )


def fused(found: Scores, own: Mapping[str, list[float]], way: Fusion, weight: float) -> Scores:
    """The run that comes of both."""
    run = {}
    for qid, given in found.items():
        scores = fuse(way, weight, own[qid], range(len(given)), list(given.values()))
        run[qid] = {docid: score for docid, score in zip(given, scores, strict=True) if score is not None}
    return run


if __name__ == "__main__":
    main()
