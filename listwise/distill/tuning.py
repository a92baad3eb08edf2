"""What a distilled cross-encoder is tuned on: people's grades, a better ranker's scores, and, so that it does not
forget, what it was taught before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from listwise.distill.collections import Collection
from listwise.distill.exams import Score
from listwise.distill.lessons import Lesson
from listwise.distill.pool import Listed, Pool
from listwise.distill.teachers import judged_lessons

PASSAGES = 16
"""Of a lesson."""
GRADED = 9
"""Of them, those that have a grade above 0, at most."""
JUDGED, SCORED, TAUGHT = 12, 6, 12
"""Lessons of each kind in a step."""
RUN_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Mixture:
    """Three kinds of lessons, each whole; a step draws some of each, and some passages of those."""

    judged: Sequence[Lesson]
    scored: Sequence[Lesson]
    pool: Pool
    listed: Sequence[Listed]
    """What was taught before, of ``pool``."""

    def draw(self, rng: np.random.Generator) -> list[Lesson]:
        """The lessons of one step."""
        judged = [graded_part(self.judged[at], rng) for at in rng.integers(len(self.judged), size=JUDGED)]
        scored = [any_part(self.scored[at], rng) for at in rng.integers(len(self.scored), size=SCORED)]
        taught = [self.pool.lesson(self.listed[at], rng) for at in rng.integers(len(self.listed), size=TAUGHT)]
        return [*judged, *scored, *taught]


def grades(collections: Sequence[Collection], first_stage: str) -> list[Lesson]:
    """People's grades, by what swapping two passages would change of nDCG."""
    return [replace(one, loss="lambda") for each in collections for one in judged_lessons(each, first_stage)]


def run_scores(collections: Sequence[Collection], ranker: str, score: Score) -> list[Lesson]:
    """A ranker's scores of its `RUN_DEPTH` best passages, by their margins, on the scale of ``score``: one factor
    for all, such that both spread alike within a query, on average."""
    lessons = []
    for each in collections:
        for qid, scores in sorted(each.runs[ranker].items()):
            found = {docid: value for docid, value in list(scores.items())[:RUN_DEPTH] if docid in each.passages}
            texts = tuple(each.passages[docid] for docid in found)
            values = np.array(list(found.values()), np.float32)
            lessons.append(Lesson(qid, each.queries[qid], texts, values - values.mean(), "margin-mse"))
    factors = [np.std(score(one.query, one.passages)) / max(float(np.std(one.utilities)), 1e-9) for one in lessons]
    return [replace(one, utilities=one.utilities * np.float32(np.mean(factors))) for one in lessons]


def graded_part(lesson: Lesson, rng: np.random.Generator) -> Lesson:
    """`PASSAGES` of a lesson at most: up to `GRADED` that have a grade, the others without."""
    graded = rng.permutation(np.flatnonzero(lesson.utilities > 0))[:GRADED]
    others = rng.permutation(np.flatnonzero(lesson.utilities <= 0))[: PASSAGES - len(graded)]
    return _part(lesson, np.concatenate([graded, others]))


def any_part(lesson: Lesson, rng: np.random.Generator) -> Lesson:
    """`PASSAGES` of a lesson at most, whichever."""
    return _part(lesson, rng.permutation(len(lesson.passages))[:PASSAGES])


def _part(lesson: Lesson, places: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Lesson:
    texts = tuple(lesson.passages[place] for place in places)
    return replace(lesson, passages=texts, utilities=lesson.utilities[places])
