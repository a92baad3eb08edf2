"""A ranker that is simulated from judgements: pure, and the same for the same seed.

What it thinks of a passage is its judged grade and three kinds of error, all in grades:

- one that persists: whatever the window, this model takes this passage for better or worse than it is;
- one that is drawn anew for every call, and grows with the number of passages shown;
- one that goes by the place at which the passage is shown (positional bias).

It orders a window by the sum. So its mistakes have the causes that strategies, votes and budgets are meant to deal
with, each of a size that is chosen; figures got from it are of a simulation, and say nothing about any real model.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import exp
from typing import Literal

from listwise.strategies.base import Graded

Bias = Literal["none", "head", "tail", "ends", "middle"]
"""Which places of a window are favoured."""
WINDOW = 20
"""Passages to which ``noise`` refers."""
MOST_ODDS = 30.0
"""Log-odds that are as good as certain."""
RELEVANT = 1.5
"""The grade from which a passage is rather relevant than not."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a simulated ranker is like; sizes are in grades of the judgements."""

    error: float = 0.5
    """Standard deviation of the error that persists."""
    noise: float = 0.4
    """Standard deviation of the error of a call that shows 20 passages."""
    length: float = 0.5
    """How noise grows with the number of passages shown: by its power (0: it does not)."""
    bias: Bias = "none"
    strength: float = 0.5
    """By how much the most favoured place is better than the least, if there is a bias."""
    echo: float = 0.0
    """Share of answers that repeat the order shown."""
    malformed: float = 0.0
    """Share of answers that are not a whole ranking: cut off, incomplete, or none at all."""
    seed: int = 0


class SimulatedRanker:
    """Ranks the passages of queries that there are judgements for."""

    def __init__(self, traits: Traits, qrels: Mapping[str, Mapping[str, float]]) -> None:
        """``qrels``: grades by qid and docid; what is not judged is not relevant."""
        self.traits = traits
        self._qrels = qrels
        self._opinions: dict[tuple[str, str], float] = {}

    def rank(self, qid: str, docids: Sequence[str], sample: int = 0) -> tuple[int, ...]:
        """The order of the passages, shown in this order: positions, best first."""
        return tuple(self.grade(qid, docids, sample))

    def grade(self, qid: str, docids: Sequence[str], sample: int = 0) -> Graded:
        """The same with what it thinks of each, as log-odds of being relevant."""
        draw = self.draw(qid, docids, sample)
        if draw.random() < self.traits.echo:
            return Graded.by([-float(at) for at in range(len(docids))])
        n = len(docids)
        noise = self.traits.noise * (n / WINDOW) ** self.traits.length
        return Graded.by(
            [
                self.opinion(qid, docid) + draw.gauss(0, noise) + self.favour(at, n) - RELEVANT
                for at, docid in enumerate(docids)
            ]
        )

    def draw(self, qid: str, docids: Sequence[str], sample: int) -> random.Random:
        """The chance in one call: the same for the same question."""
        return self._random("call", qid, str(sample), *docids)

    def opinion(self, qid: str, docid: str) -> float:
        """What it always thinks of a passage: its grade and the error that persists."""
        key = qid, docid
        if key not in self._opinions:
            error = self._random("passage", qid, docid).gauss(0, self.traits.error)
            self._opinions[key] = self._qrels.get(qid, {}).get(docid, 0) + error
        return self._opinions[key]

    def favour(self, at: int, n: int) -> float:
        """By how much a place is favoured, over the mean of all."""
        place = at / (n - 1) if n > 1 else 0.5
        slope = {"none": 0.0, "head": 0.5 - place, "tail": place - 0.5}
        bend = 2 * abs(place - 0.5) - 0.5
        shape = {**slope, "ends": bend, "middle": -bend}[self.traits.bias]
        return self.traits.strength * shape

    def _random(self, *about: str) -> random.Random:
        digest = blake2b("\0".join((str(self.traits.seed), *about)).encode(), digest_size=8)
        return random.Random(int.from_bytes(digest.digest()))


def probability(log_odds: float) -> float:
    """Of being relevant."""
    return 1 / (1 + exp(-max(-MOST_ODDS, min(log_odds, MOST_ODDS))))
