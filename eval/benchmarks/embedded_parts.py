"""What each part of the embedded model is worth: nDCG@10 of BM25's top 100, by every part alone and by their sums.

    python -m eval.benchmarks.embedded_parts --data DIR [--collections dl21 dl23] [--minilm DIR]

``--minilm`` is a directory of all-MiniLM-L6-v2, for it as it was published, a bi-encoder, by sentence-transformers
(extra ``cross-encoder``).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np

from eval.benchmarks.local_tier import DEPTH, FIRST_STAGE, ndcg
from listwise.distill.collections import Collection, Scores, read_collection
from listwise.models.local import load_scorer
from listwise.models.scorers.hybrid import Hybrid, Likeness
from listwise.models.scorers.passages import Floats

Sum = Callable[[Likeness, Floats], Floats]
WAYS: Mapping[str, Sum] = {
    "dense": lambda _, parts: parts[:, 0],
    "late": lambda _, parts: parts[:, 1],
    "sparse": lambda _, parts: parts[:, 2],
    "dense + sparse": lambda about, parts: about.weigh(parts * np.array([1, 0, 1], np.float32)),
    "dense + late": lambda about, parts: about.weigh(parts * np.array([1, 1, 0], np.float32)),
    "all three": lambda about, parts: about.weigh(parts),
    "all three, feedback": lambda about, parts: about.reconsider(about.weigh(parts)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--collections", nargs="+", default=["dl21", "dl23"])
    parser.add_argument("--minilm", type=Path)
    chosen = parser.parse_args()
    names = ["BM25", *WAYS, *(["MiniLM, a bi-encoder"] if chosen.minilm else [])]
    print("| collection | " + " | ".join(names) + " |\n" + "|---" * (1 + len(names)) + "|")
    for name in chosen.collections:
        collection = read_collection(chosen.data / name)
        runs = [collection.runs[FIRST_STAGE], *by_parts(collection)]
        if chosen.minilm:
            runs.append(by_minilm(collection, chosen.minilm))
        figures = " | ".join(f"{ndcg(collection, run):.4f}" for run in runs)
        print(f"| {name} | {figures} |", flush=True)


def by_parts(collection: Collection) -> list[Scores]:
    """A run for each of `WAYS`; every passage is read once."""
    kind = load_scorer("embedded").kind
    assert isinstance(kind, Hybrid)
    runs: list[dict[str, dict[str, float]]] = [{} for _ in WAYS]
    for qid, found in collection.runs[FIRST_STAGE].items():
        docids = list(found)[:DEPTH]
        about = kind.ask(collection.queries[qid])
        groups = kind.reader.groups([collection.passages[docid] for docid in docids], about.room, "first")
        parts = about.parts(list(chain.from_iterable(group.pieces for group in groups)))
        for run, way in zip(runs, WAYS.values(), strict=True):
            run[qid] = dict(zip(docids, map(float, way(about, parts)), strict=True))
    return list(runs)


def by_minilm(collection: Collection, directory: Path) -> Scores:
    """Cosines of all-MiniLM-L6-v2's mean states, as sentence-transformers has them."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    found = {qid: list(run)[:DEPTH] for qid, run in collection.runs[FIRST_STAGE].items()}
    docids = sorted({docid for run in found.values() for docid in run})
    vectors = model.encode([collection.passages[docid] for docid in docids], normalize_embeddings=True)
    asked = model.encode([collection.queries[qid] for qid in found], normalize_embeddings=True)
    place = {docid: at for at, docid in enumerate(docids)}
    return {
        qid: {docid: float(vectors[place[docid]] @ about) for docid in run}
        for (qid, run), about in zip(found.items(), asked, strict=True)
    }


if __name__ == "__main__":
    main()
