"""The two stretches in which the embedded cross-encoder is trained, each with its schedule.

First it is distilled: it learns how much better the teachers think one passage is than another. Then it is tuned,
briefly, on what people and a better ranker said, beside more of the same. The figures are those it was made with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from listwise.distill.cross_encoder import TOKENS_A_BATCH, PairEncoder, Trainer
from listwise.distill.lessons import Lesson, LossName
from listwise.distill.losses import LOSSES, Loss, lambda_of_grades
from listwise.distill.pool import Listed, Pool
from listwise.distill.tuning import Mixture

PAIR_TOKENS = 160
"""Longest pair in training."""
DISTILLED_LESSONS = 64
"""In a step, of 16 passages each: some 20 GB of memory on processors."""
LAMBDA_WEIGHT = 4.0
"""Of the loss over grades: of a step's three kinds of lessons, it would else count least."""
GPU_TOKENS_A_BATCH = 65_536
SAID_EVERY = 25
SEED = 5

Draw = Callable[[np.random.Generator], Sequence[Lesson]]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps and their learning rates."""

    steps: int
    peak: float
    rising: int
    """Steps in which the rate rises."""
    lowest: float
    """Share of the peak below which the falling rate does not go."""

    def rate(self, step: int) -> float:
        """Of a step, from 0."""
        falling = max(self.lowest, 1 - step / self.steps)
        return self.peak * min(1.0, (step + 1) / self.rising) * falling


DISTILLING = Schedule(steps=3752, peak=2e-4, rising=150, lowest=0.01)
TUNING = Schedule(steps=120, peak=3e-5, rising=30, lowest=0.02)


def distil(
    model: PairEncoder, pool: Pool, listed: Sequence[Listed], schedule: Schedule, lessons: int, say: Say
) -> Trainer:
    """Teach a model what the teachers think of a pool, in steps of so many lessons."""

    def draw(rng: np.random.Generator) -> list[Lesson]:
        chosen = rng.choice(len(listed), min(lessons, len(listed)), replace=False)
        return [pool.lesson(listed[at], rng) for at in chosen]

    trainer = trainer_of(model)
    play(trainer, draw, schedule, say)
    return trainer


def tune(model: PairEncoder, mixture: Mixture, schedule: Schedule, say: Say) -> None:
    """Teach a distilled model what people and a better ranker said, too."""
    play(trainer_of(model, {**LOSSES, "lambda": weighted_lambda}), mixture.draw, schedule, say)


def weighted_lambda(scores: Tensor, grades: Tensor) -> Tensor:
    """`lambda_of_grades`, `LAMBDA_WEIGHT` times."""
    return LAMBDA_WEIGHT * lambda_of_grades(scores, grades)


def trainer_of(model: PairEncoder, losses: Mapping[LossName, Loss] = LOSSES) -> Trainer:
    """A trainer with batches as the device likes them."""
    tokens = GPU_TOKENS_A_BATCH if model.device.type == "cuda" else TOKENS_A_BATCH
    return Trainer(model, tokens_a_batch=tokens, losses=losses)


def play(trainer: Trainer, draw: Draw, schedule: Schedule, say: Say) -> None:
    """Take the steps of a schedule, and say how it goes."""
    rng = np.random.default_rng(SEED)
    trainer.model.read_at_most(PAIR_TOKENS)
    losses: list[float] = []
    started = time.monotonic()
    for step in range(schedule.steps):
        losses.append(trainer.step(draw(rng), schedule.rate(step)))
        if (step + 1) % SAID_EVERY == 0:
            took = time.monotonic() - started
            say(f"step {step + 1} of {schedule.steps}: loss {np.mean(losses[-SAID_EVERY:]):.3f}, {took:.0f} s")


def best_device() -> torch.device:
    """A GPU, where torch finds one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
