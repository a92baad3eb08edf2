"""The training loop: draws parts of lessons and moves the student's scores towards the teacher's distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from listwise.distill.lessons import Lesson
from listwise.distill.student import Student


@dataclass(frozen=True, slots=True)
class Recipe:
    """What there is to set; the values are those of the embedded model."""

    epochs: int = 1
    lessons_a_step: int = 4
    passages_a_lesson: int = 12
    dense_rate: float = 2e-5
    """Peak learning rate of the dense encoder."""
    sparse_rate: float = 3e-5
    """Peak learning rate of the sparse encoder."""
    temperature: float = 6.0
    """By which the student's scores are divided to be logits: about the ratio of their spread to the teachers'."""
    warm_up: float = 0.1
    """Share of the steps in which the rates rise."""
    share: float = 0.5
    """How far to go from the weights at the start to the trained ones: between both, a model that learned from few
    queries keeps what it knew of others (arXiv 2109.01903)."""
    seed: int = 7


def train(
    student: Student, lessons: Sequence[Lesson], recipe: Recipe, report: Callable[[int, float], None]
) -> None:
    """Train in place.

    Args:
        report: is told the number of each epoch, from 1, and its mean loss in nats.
    """
    torch.manual_seed(recipe.seed)
    start = [parameter.detach().clone() for parameter in student.parameters()]
    rng = np.random.default_rng(recipe.seed)
    steps = recipe.epochs * -(-len(lessons) // recipe.lessons_a_step)
    optimizer = torch.optim.AdamW(
        student.parameter_groups(recipe.dense_rate, recipe.sparse_rate), weight_decay=0.01
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps, recipe.warm_up))
    for epoch in range(1, recipe.epochs + 1):
        student.eval()  # without dropout: it costs a third of the time, and each epoch draws other passages
        losses = []
        for batch in _batches(lessons, recipe, rng):
            loss = _loss(student, batch, recipe.temperature)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        report(epoch, float(np.mean(losses)))
    with torch.no_grad():
        for parameter, before in zip(student.parameters(), start, strict=True):
            parameter.lerp_(before, 1 - recipe.share)


def _batches(lessons: Sequence[Lesson], recipe: Recipe, rng: np.random.Generator) -> Iterator[list[Lesson]]:
    order = rng.permutation(len(lessons))
    for start in range(0, len(order), recipe.lessons_a_step):
        places = order[start : start + recipe.lessons_a_step]
        yield [lessons[place].draw(recipe.passages_a_lesson, rng) for place in places]


def _loss(student: Student, batch: Sequence[Lesson], temperature: float) -> Tensor:
    """Cross-entropy of each lesson's distribution, over its own passages."""
    scores = student([lesson.query for lesson in batch], [text for lesson in batch for text in lesson.passages])
    own = scores.new_zeros(())
    start = 0
    for row, lesson in enumerate(batch):
        end = start + len(lesson.passages)
        wanted = torch.softmax(torch.from_numpy(lesson.utilities).to(scores), dim=0)
        own = own - (wanted * torch.log_softmax(scores[row, start:end] / temperature, dim=0)).sum()
        start = end
    return own / len(batch)


def _rate(step: int, steps: int, warm_up: float) -> float:
    """Linear up to the peak, then linear down to nothing."""
    rising = max(1, round(steps * warm_up))
    return min((step + 1) / rising, max(0.0, (steps - step) / max(1, steps - rising)))
