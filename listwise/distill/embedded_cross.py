"""Trains the cross-encoder that comes with the package: python -m listwise.distill.embedded_cross --data DIR ...

It learns from no judgement: from what the embedded hybrid's encoders and a sentence encoder think together of
passages of TREC DL 2021 to 2023, for real queries that nobody judged. Needs what `listwise.distill.embedded` needs,
and ``--sentences``, a directory of multilingual-e5-small as Hugging Face has it.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from listwise.distill.collections import read_collection
from listwise.distill.embedded import MAX_TOKENS, TRAINING_TOKENS, starting_points

COLLECTIONS = ("dl21", "dl22", "dl23")
QUERIES = 8000
SHARE = 0.7
"""Of the queries, those that have anything in the pool."""
PAIR_TOKENS = 112
"""Longest pair in training."""
LESSONS_A_STEP = 4
PEAK = 1.2e-4
STEPS = 900
CALIBRATION_LESSONS = 40
SAID_EVERY = 25


def main(arguments: Sequence[str] | None = None) -> None:
    """Read queries and passages, encode them by the teachers, train, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of dl21, dl22, dl23 and queries")
    parser.add_argument("--sentences", type=Path, required=True, help="directory of multilingual-e5-small")
    parser.add_argument("--out", type=Path, required=True, help="directory to write the model to")
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--passages", type=int, help="no more than so many (default: all)")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=2, help="processor threads (default: 2)")
    chosen = parser.parse_args(arguments)

    import torch

    from listwise.distill.cross_encoder import PairEncoder, Trainer, triangle
    from listwise.distill.cross_encoder_export import export_cross_encoder, spread
    from listwise.distill.pool import Pool
    from listwise.distill.sentences import Sentences
    from listwise.distill.student import Student

    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    minilm, splade = starting_points()
    hybrid = Student(minilm, splade, TRAINING_TOKENS).eval()
    queries, passages = read_texts(chosen.data, chosen.queries, chosen.passages)
    say(f"encoding {len(queries):,} queries and {len(passages):,} passages")
    pool = Pool.of(hybrid, Sentences(chosen.sentences), queries, passages, TRAINING_TOKENS)
    candidates = pool.likeliest(SHARE)
    model = PairEncoder(minilm, PAIR_TOKENS)
    trainer = Trainer(model)
    rng = np.random.default_rng(5)
    losses = []
    started = time.monotonic()
    for step in range(chosen.steps):
        drawn = rng.choice(list(candidates), LESSONS_A_STEP, replace=False)
        lessons = [pool.lesson(int(at), candidates[int(at)], rng) for at in drawn]
        losses.append(trainer.step(lessons, triangle(step, chosen.steps, PEAK, warm_up=0.06)))
        if (step + 1) % SAID_EVERY == 0:
            took = time.monotonic() - started
            say(f"step {step + 1} of {chosen.steps}: loss {np.mean(losses[-SAID_EVERY:]):.3f}, {took:.0f} s")
    some = [pool.lesson(at, candidates[at], rng) for at in list(candidates)[:CALIBRATION_LESSONS]]
    pairs = [(lesson.query, text) for lesson in some for text in lesson.passages]
    model.max_tokens = MAX_TOKENS
    model.tokenizer.enable_truncation(MAX_TOKENS)
    export_cross_encoder(model, spread(pairs), chosen.out, token_bits=4)


def read_texts(data: Path, most_queries: int, most_passages: int | None) -> tuple[list[str], list[str]]:
    """Queries without judgements, shuffled, and the passages that some run found."""
    with gzip.open(data / "queries" / "msmarco_unlabelled.tsv.gz", "rt", encoding="utf-8") as lines:
        queries = [line.rstrip("\n").split("\t")[1] for line in lines]
    random.Random(1).shuffle(queries)
    collections = [read_collection(data / name) for name in COLLECTIONS]
    passages = {docid: text for each in collections for docid, text in each.passages.items()}
    return queries[:most_queries], list(passages.values())[:most_passages]


def say(what: str) -> None:
    """To whoever waits."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
