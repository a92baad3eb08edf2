"""Made-up queries, and what a simulated ranker answers to random orders of their passages."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from listwise.eval.bias.observations import Observation
from listwise.eval.bias.orders import shuffles
from listwise.eval.simulate import SimulatedRanker, Traits


@dataclass(frozen=True, slots=True)
class World:
    ranker: SimulatedRanker
    windows: list[tuple[str, list[str]]]
    observations: list[Observation]


def world(traits: Traits, *, queries: int = 20, size: int = 8, orders: int = 6) -> World:
    qrels = {}
    for number in range(queries):
        draw = random.Random(f"{traits.seed} {number}")
        qrels[f"q{number}"] = {
            f"d{number}-{at}": float(draw.choices([3, 2, 1, 0], [1, 1, 2, 4])[0]) for at in range(size)
        }
    ranker = SimulatedRanker(traits, qrels)
    windows = [(qid, list(grades)) for qid, grades in qrels.items()]
    return World(ranker, windows, shuffled(windows, ranker.rank, orders, seed=str(traits.seed)))


def shuffled(
    windows: Sequence[tuple[str, Sequence[str]]],
    rank: Callable[[str, Sequence[str], int], Sequence[int]],
    orders: int,
    seed: str = "",
) -> list[Observation]:
    return [
        Observation("m", qid, each.docids, tuple(rank(qid, each.docids, each.sample)), {}, "shuffled", each.sample)
        for qid, docids in windows
        for each in shuffles(docids, orders, f"{seed} {qid}")
    ]
