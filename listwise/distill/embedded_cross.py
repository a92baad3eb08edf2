"""Trains the cross-encoder that comes with the package: python -m listwise.distill.embedded_cross --data DIR ...

It is distilled from what the embedded hybrid and a sentence encoder think together of passages of TREC DL 2021 to
2023, for real queries that nobody judged; then tuned on the grades of DL21 and DL23 and on a SPLADE++ run's scores
of DL21 and DL22. It runs on a GPU where torch finds one; on processors the defaults take more than a day.
Needs what `listwise.distill.embedded` needs, and ``--sentences``, a directory of multilingual-e5-small as Hugging
Face has it.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from listwise.distill import phases
from listwise.distill.collections import Collection, read_collection
from listwise.distill.cross_encoder import PairEncoder, Trainer
from listwise.distill.cross_encoder_export import export_cross_encoder, spread
from listwise.distill.embedded import (
    FIRST_STAGE,
    MAX_TOKENS,
    TEACHER,
    TRAINING_TOKENS,
    read_lessons,
    starting_points,
    trained_student,
)
from listwise.distill.pool import Listed, Pool
from listwise.distill.sentences import Sentences
from listwise.distill.tuning import Mixture, grades, run_scores

JUDGED, SCORED = ("dl21", "dl23"), ("dl21", "dl22")
"""Collections with grades, and with a run of the teacher."""
COLLECTIONS = ("dl21", "dl22", "dl23")
UNJUDGED = "dl22"
"""Its queries join those of no collection."""
SHARE = 0.7
"""Of the queries, those that have anything in the pool."""
CALIBRATION_LESSONS = 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Read queries and passages, encode them by the teachers, distil, tune, export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of dl21, dl22, dl23 and queries")
    parser.add_argument("--sentences", type=Path, required=True, help="directory of multilingual-e5-small")
    parser.add_argument("--out", type=Path, required=True, help="directory to write the model to")
    parser.add_argument("--queries", type=int, help="no more without judgements than so many (default: all)")
    parser.add_argument("--passages", type=int, help="no more than so many (default: all)")
    parser.add_argument("--steps", type=int, default=phases.DISTILLING.steps, help="of distilling")
    parser.add_argument("--lessons", type=int, default=phases.DISTILLED_LESSONS, help="of a step of distilling")
    parser.add_argument("--tuning-steps", type=int, default=phases.TUNING.steps)
    parser.add_argument("--threads", type=int, default=2, help="processor threads (default: 2)")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    device = phases.best_device()
    collections = {name: read_collection(chosen.data / name) for name in COLLECTIONS}
    queries = [*unlabelled(chosen.data)[: chosen.queries], *collections[UNJUDGED].queries.values()]
    passages = {docid: text for each in collections.values() for docid, text in each.passages.items()}
    pool = encoded(chosen.data, chosen.sentences, queries, list(passages.values())[: chosen.passages], device)
    rng = np.random.default_rng(3)
    listed = pool.lists(SHARE, rng)
    model = PairEncoder(starting_points()[0], phases.PAIR_TOKENS).to(device)
    distilling = replace(phases.DISTILLING, steps=chosen.steps)
    trainer = phases.distil(model, pool, listed, distilling, chosen.lessons, say)
    mixture = mixed(trainer, collections, pool, listed)
    phases.tune(model, mixture, replace(phases.TUNING, steps=chosen.tuning_steps), say)
    some = rng.choice(len(listed), min(CALIBRATION_LESSONS, len(listed)), replace=False)
    lessons = [pool.lesson(listed[at], rng) for at in some]
    model.read_at_most(MAX_TOKENS)
    export_cross_encoder(model, spread([(one.query, text) for one in lessons for text in one.passages]), chosen.out)


def unlabelled(data: Path) -> list[str]:
    """Queries of no collection, shuffled."""
    with gzip.open(data / "queries" / "msmarco_unlabelled.tsv.gz", "rt", encoding="utf-8") as lines:
        queries = [line.rstrip("\n").split("\t")[1] for line in lines]
    random.Random(1).shuffle(queries)
    return queries


def encoded(
    data: Path, sentences: Path, queries: Sequence[str], passages: Sequence[str], device: torch.device
) -> Pool:
    """Train the hybrid, as `listwise.distill.embedded` does, and let both teachers read everything."""
    hybrid = trained_student(*starting_points(), read_lessons(data)).to(device)
    say(f"encoding {len(queries):,} queries and {len(passages):,} passages")
    return Pool.of(hybrid, Sentences(sentences, device), queries, passages, TRAINING_TOKENS)


def mixed(trainer: Trainer, collections: Mapping[str, Collection], pool: Pool, listed: Sequence[Listed]) -> Mixture:
    """What the distilled model is tuned on."""
    judged = grades([collections[name] for name in JUDGED], FIRST_STAGE)
    scored = run_scores([collections[name] for name in SCORED], TEACHER, trainer.score)
    return Mixture(judged, scored, pool, listed)


def say(what: str) -> None:
    """To whoever waits."""
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
