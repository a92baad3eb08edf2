"""The schedule of `listwise distill`: epochs over lessons, checks on held-out queries, early stop, checkpoints.

What a step learns follows from the recipe and the number of the step alone. So a training that was interrupted,
even by ``kill -9``, ends in the same weights as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import Any

import numpy as np
from torch import Tensor

from listwise.distill.checkpoints import Checkpoints
from listwise.distill.cross_encoder import Trainer, triangle
from listwise.distill.exams import Exam, marks
from listwise.distill.lessons import Lesson
from listwise.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train."""

    epochs: int = 3
    """Times that each lesson is seen at most, each time with other passages of it."""
    lessons_a_step: int = 4
    passages_a_lesson: int = 16
    rate: float = 3e-5
    """Peak learning rate."""
    warm_up: float = 0.1
    """Share of the steps in which the rate rises; then it falls to zero."""
    check_every: int = 50
    """Steps between two checks, each with a checkpoint."""
    patience: int = 3
    """Checks in a row without a new best nDCG@10 after which training stops."""
    seed: int = 0

    def steps(self, lessons: int) -> int:
        """In all, without early stop."""
        return self.epochs * math.ceil(lessons / self.lessons_a_step)


@dataclass(frozen=True, slots=True)
class Check:
    """One look at a model in training."""

    step: int
    loss: float | None
    """Mean of the steps since the last check; None before the first step."""
    ndcg: float | None
    """nDCG@10 over the held-out queries; None where none are held out."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What there is to see after a step."""

    step: int
    steps: int
    loss: float
    """Mean since the last check."""
    ndcg: float | None
    """At the last check."""
    seconds_left: float
    """At the pace of this process, without early stop."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a training went; the trainer holds the weights of the best check."""

    checks: tuple[Check, ...]
    best: Check
    """The last one, where no queries were held out."""
    steps: int
    """That there were to take, without early stop."""
    seconds: float
    """Of all processes that worked on it."""


class Interrupted(Exception):
    """Training was asked to stop; its last state is kept."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(f"interrupted after step {step} of {steps}")
        self.step, self.steps = step, steps


@dataclass(slots=True)
class _Course:
    """What is kept beside the weights."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    """Since the last check."""
    checks: list[Check] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def best(self) -> Check:
        """The first of the best; the last where nothing is measured."""
        measured = [check for check in self.checks if check.ndcg is not None]
        return max(measured, key=lambda check: (check.ndcg, -check.step)) if measured else self.checks[-1]

    def is_spent(self, patience: int) -> bool:
        """Whether it is time to stop early."""
        return self.best.ndcg is not None and len(self.checks) - 1 - self.checks.index(self.best) >= patience


def fit(
    trainer: Trainer,
    lessons: Sequence[Lesson],
    exams: Sequence[Exam],
    recipe: Recipe,
    checkpoints: Checkpoints,
    settings: Mapping[str, Any],
    report: Callable[[Progress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> Fitted:
    """Train, or go on with a training that was interrupted.

    Args:
        exams: on held-out queries. The start is examined, too: where no check is better, it is the best.
        settings: JSON that must be the same for a training to be gone on with.
        stop: asked after each step.

    Raises:
        ConfigError: the checkpoint is of a training with other settings.
        InputError: the checkpoint is damaged.
        Interrupted: ``stop`` said so.
        FloatingPointError: the loss is not finite.
    """
    course = _resumed(trainer, checkpoints, settings)
    steps, started, spent = recipe.steps(len(lessons)), time.monotonic(), course.seconds
    begun_at = course.step

    def keep() -> None:
        course.seconds = spent + time.monotonic() - started
        checkpoints.save(trainer.state(), {"settings": settings, "course": asdict(course)})

    def check() -> None:
        loss = fmean(course.losses) if course.losses else None
        ndcg = fmean(marks(exams, trainer.score).values()) if exams else None
        course.checks.append(Check(course.step, loss, ndcg))
        course.losses.clear()
        if course.best is course.checks[-1]:
            checkpoints.save_best(_weights(trainer), course.step)
        keep()
        checkpoints.forget(course.best.step)

    if not course.checks:
        check()
    while course.step < steps and not course.is_spent(recipe.patience):
        rate = triangle(course.step, steps, recipe.rate, recipe.warm_up)
        course.losses.append(trainer.step(drawn(lessons, recipe, course.step), rate))
        course.step += 1
        if course.step % recipe.check_every == 0 or course.step == steps:
            check()
        pace = (time.monotonic() - started) / (course.step - begun_at)
        loss = fmean(course.losses) if course.losses else course.checks[-1].loss or 0.0
        report(Progress(course.step, steps, loss, course.checks[-1].ndcg, pace * (steps - course.step)))
        if stop() and course.step < steps:
            keep()
            raise Interrupted(course.step, steps)
    course.seconds = spent + time.monotonic() - started
    trainer.model.load_state_dict(checkpoints.load_best(course.best.step))
    return Fitted(tuple(course.checks), course.best, steps, course.seconds)


def drawn(lessons: Sequence[Lesson], recipe: Recipe, step: int) -> list[Lesson]:
    """The lessons of a step, each with some of its passages: a function of the recipe and the step."""
    epoch, place = divmod(step, math.ceil(len(lessons) / recipe.lessons_a_step))
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(lessons))
    chosen = order[place * recipe.lessons_a_step :][: recipe.lessons_a_step]
    rng = np.random.default_rng([recipe.seed, epoch, place])
    return [lessons[at].draw(recipe.passages_a_lesson, rng) for at in chosen]


def _resumed(trainer: Trainer, checkpoints: Checkpoints, settings: Mapping[str, Any]) -> _Course:
    kept = checkpoints.load()
    if kept is None:
        return _Course()
    state, notes = kept
    check_same(notes["settings"], settings, str(checkpoints.folder))
    trainer.restore(state)
    course = _Course(**notes["course"])
    return replace(course, checks=[Check(**check) for check in notes["course"]["checks"]])


def check_same(before: Mapping[str, Any], now: Mapping[str, Any], where: str) -> None:
    """Raises:
    ConfigError: some settings differ; names them."""
    differing = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in [*before, *(name for name in now if name not in before)]
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise ConfigError(
            f"{where} holds a training with other settings: {'; '.join(differing)}. Go on with the same ones, or "
            "choose another --out"
        )


def _weights(trainer: Trainer) -> dict[str, Tensor]:
    return {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in trainer.model.state_dict().items()
    }
