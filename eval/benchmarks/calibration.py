"""Fits the probabilities of a local model on DL21, and measures them on collections that it was not fitted on.

    python -m eval.benchmarks.calibration --data DIR [--model embedded] [--scores FOLDER] [--write]

Candidates are BM25's top 100; relevant is a grade of 2 or more, and what nobody judged is not. ``--write`` puts the
fitted curve into the model's config.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import pairwise
from math import log
from pathlib import Path
from statistics import fmean

from eval.benchmarks.local_tier import rescored
from listwise.distill.collections import read_collection
from listwise.distill.platt import fit
from listwise.models.calibration import Calibration
from listwise.models.local import directory_of

FITTED, MEASURED = "dl21", ("dl23", "dl19", "cranfield")
RELEVANT = {"cranfield": 1}
"""The least grade of a relevant document, where it is not 2."""
BINS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--scores", type=Path, help="keep scores in this folder, and take those that are there")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    scores, relevant = judged(chosen.data, FITTED, chosen.model, chosen.scores)
    found = fit(scores, relevant, FITTED)
    print(f"slope {found.slope:.5f}, intercept {found.intercept:.5f}, fitted on {FITTED}")
    print(report(FITTED, found, scores, relevant), flush=True)
    for name in MEASURED:
        print(report(name, found, *judged(chosen.data, name, chosen.model, chosen.scores)), flush=True)
    if chosen.write:
        path = directory_of(chosen.model) / "config.json"
        settings = json.loads(path.read_text())
        curve = {"slope": round(found.slope, 5), "intercept": round(found.intercept, 5), "fitted_on": FITTED}
        path.write_text(json.dumps(settings | {"calibration": curve}, indent=2) + "\n")


def judged(data: Path, name: str, model: str, kept: Path | None) -> tuple[list[float], list[bool]]:
    """The raw score of every candidate of every judged query, and whether it is relevant."""
    collection = read_collection(data / name)
    least = RELEVANT.get(name, 2)
    run = rescored(data, name, model, kept)
    pairs = [
        (score, collection.qrels[qid].get(docid, 0) >= least)
        for qid, scored in run.items()
        if qid in collection.qrels
        for docid, score in scored.items()
    ]
    return [score for score, _ in pairs], [relevant for _, relevant in pairs]


def report(name: str, curve: Calibration, scores: Sequence[float], relevant: Sequence[bool]) -> str:
    """How far the probabilities are from what was seen: as a whole, and by bins."""
    likely = [curve.probability(score) for score in scores]
    share = fmean(relevant)
    loss = -fmean(log(max(1e-12, p if r else 1 - p)) for p, r in zip(likely, relevant, strict=True))
    constant = -(share * log(share) + (1 - share) * log(1 - share))
    rows, error = [], 0.0
    for low, high in pairwise(BINS):
        inside = [(p, r) for p, r in zip(likely, relevant, strict=True) if low <= p < high]
        if inside:
            said, seen = fmean(p for p, _ in inside), fmean(r for _, r in inside)
            error += abs(said - seen) * len(inside) / len(likely)
            rows.append(f"{said:.3f}>{seen:.3f} ({len(inside)})")
    return (
        f"{name}: {len(scores)} candidates, {share:.3f} relevant; error {error:.3f}, log loss {loss:.4f} "
        f"(the same probability for all: {constant:.4f}); said>seen by bins: {', '.join(rows)}"
    )


if __name__ == "__main__":
    main()
