"""Held-out queries: which they are, and how good a ranking of their candidates is."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from listwise.distill.opinions import Opinions, teachers_order
from listwise.formats import Qrels
from listwise.types import Request

CUTOFF = 10
MOST_QUERIES = 100
"""Queries that are held out at most: measuring them takes its time at every check."""

Score = Callable[[str, Sequence[str]], Sequence[float]]
"""Scores of a query's passages."""


@dataclass(frozen=True, slots=True)
class Exam:
    """One held-out query with its candidates, in the first stage's order."""

    request: Request
    gains: tuple[float, ...]
    """Of each candidate."""
    ideal: tuple[float, ...]
    """The highest gains there are, at most `CUTOFF`, those of passages that are no candidates included."""

    def mark(self, scores: Sequence[float]) -> float:
        """nDCG@10 of the candidates by their scores, ties as the first stage has them."""
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        return dcg([self.gains[place] for place in order]) / dcg(self.ideal)

    @property
    def first_stage(self) -> float:
        """nDCG@10 of the candidates as they came."""
        return dcg(self.gains) / dcg(self.ideal)


def dcg(gains: Sequence[float]) -> float:
    """Discounted cumulative gain at `CUTOFF`, with gains as they are, as trec_eval has it."""
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains[:CUTOFF]))


def held_out(qids: Collection[str], share: float, seed: int) -> set[str]:
    """The queries to hold out: a share, of at least one and at most `MOST_QUERIES`, and never all; none for a share
    of 0."""
    if not share:
        return set()
    ordered = sorted(qids)
    count = min(MOST_QUERIES, len(ordered) - 1, max(1, round(share * len(ordered))))
    return {ordered[place] for place in np.random.default_rng(seed).permutation(len(ordered))[:count]}


def exams_by_judges(requests: Sequence[Request], qrels: Qrels) -> list[Exam]:
    """Exams on people's grades; queries without a relevant passage are left out."""
    exams = []
    for request in requests:
        grades = {docid: float(max(0, grade)) for docid, grade in qrels.get(request.query.qid, {}).items()}
        ideal = tuple(sorted(grades.values(), reverse=True)[:CUTOFF])
        if request.candidates and dcg(ideal) > 0:
            exams.append(Exam(request, tuple(grades.get(one.docid, 0.0) for one in request.candidates), ideal))
    return exams


def exams_by_teachers(requests: Sequence[Request], opinions: Sequence[Opinions]) -> list[Exam]:
    """Exams on agreement with the teachers' order: its first ten are worth 10, 9, ..., 1."""
    exams = []
    for request in requests:
        known = [each for each in opinions if request.query.qid in each.by_query]
        if not known or len(request.candidates) < 2:
            continue
        worth = {docid: float(CUTOFF - at) for at, docid in enumerate(teachers_order(request, known)[:CUTOFF])}
        gains = tuple(worth.get(candidate.docid, 0.0) for candidate in request.candidates)
        exams.append(Exam(request, gains, tuple(sorted(worth.values(), reverse=True))))
    return exams


def marks(exams: Sequence[Exam], score: Score) -> dict[str, float]:
    """nDCG@10 by qid."""
    return {
        exam.request.query.qid: exam.mark(
            score(exam.request.query.text, [candidate.content for candidate in exam.request.candidates])
        )
        for exam in exams
    }
