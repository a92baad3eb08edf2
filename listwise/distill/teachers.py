"""What the student learns from: passages with a utility each, from people's grades or a better ranker's run.

A teacher's word counts as a distribution: the softmax of the utilities of the passages drawn, so that grades and
scores teach in the same way.
"""

from __future__ import annotations

import numpy as np

from listwise.distill.collections import Collection
from listwise.distill.lessons import Lesson

GRADE_UTILITY = 1.0
"""Utility of one grade: a passage that is a grade better is e times as likely to be the best."""
RUN_UTILITY = 1.5
"""Utility of one standard deviation of a run's scores."""


def judged_lessons(collection: Collection, first_stage: str) -> list[Lesson]:
    """People's grades of all judged passages and of what ``first_stage`` found; unjudged means grade 0.

    Queries without a relevant passage teach nothing and are left out.
    """
    lessons = []
    for qid, grades in sorted(collection.qrels.items()):
        known = {docid: float(grade) for docid, grade in grades.items() if docid in collection.passages}
        found = collection.runs[first_stage].get(qid, {})
        graded = {docid: known.get(docid, 0.0) for docid in [*known, *found]}
        if max(graded.values(), default=0) > 0:
            lessons.append(_lesson(collection, qid, {docid: GRADE_UTILITY * g for docid, g in graded.items()}))
    return lessons


def run_lessons(collection: Collection, teacher: str, first_stage: str) -> list[Lesson]:
    """The scores of a better ranker's run; what only ``first_stage`` found is worth as much as the run's last."""
    lessons = []
    for qid, scores in sorted(collection.runs[teacher].items()):
        lowest = min(scores.values())
        scored = {
            docid: scores.get(docid, lowest) for docid in [*scores, *collection.runs[first_stage].get(qid, {})]
        }
        lessons.append(_lesson(collection, qid, _standardized(scored)))
    return lessons


def _standardized(scores: dict[str, float]) -> dict[str, float]:
    values = np.array(list(scores.values()))
    spread = max(float(values.std()), 1e-9)
    return {docid: RUN_UTILITY * (score - float(values.mean())) / spread for docid, score in scores.items()}


def _lesson(collection: Collection, qid: str, utilities: dict[str, float]) -> Lesson:
    texts = tuple(collection.passages[docid] for docid in utilities)
    return Lesson(qid, collection.queries[qid], texts, np.array(list(utilities.values()), np.float32))
