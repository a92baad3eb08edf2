"""What a student learns from: a query, some passages, and what a teacher thinks of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

LossName = Literal["ranknet", "listmle", "lambda", "margin-mse", "cross-entropy"]
"""How a student's scores are held against a teacher's opinion, see `listwise.distill.losses`."""
LOSS_NAMES: tuple[LossName, ...] = get_args(LossName)


@dataclass(frozen=True, slots=True)
class Lesson:
    """One query and what a teacher thinks of some passages for it."""

    qid: str
    query: str
    passages: tuple[str, ...]
    utilities: NDArray[np.float32]
    """[passages], higher is better; losses that look at more than the order take them as logits."""
    loss: LossName = "cross-entropy"

    def draw(self, size: int, rng: np.random.Generator) -> Lesson:
        """A part of at most ``size`` passages, half of them from the best third; the others are the negatives,
        hard ones as far as a first stage found them."""
        if len(self.passages) <= size:
            return self
        order = np.argsort(-self.utilities, kind="stable")
        best, rest = np.split(order, [-(-len(order) // 3)])
        some = rng.permutation(best)[: size // 2]
        chosen = np.concatenate([some, rng.permutation(rest)[: size - len(some)]])
        texts = tuple(self.passages[place] for place in chosen)
        return Lesson(self.qid, self.query, texts, self.utilities[chosen], self.loss)
