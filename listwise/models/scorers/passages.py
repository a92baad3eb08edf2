"""A local scorer, whatever its kind: passages are cut, the kind scores the pieces, the best piece counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from listwise.models.base import LongPassages, ScoredPassages
from listwise.models.calibration import Calibration
from listwise.models.scorers.reading import Reader

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Array = NDArray[Any]


class Question(Protocol):
    """One query, ready to be compared with passages."""

    @property
    def room(self) -> int:
        """Tokens of a passage that fit beside it."""
        ...

    def score(self, pieces: Sequence[Sequence[int]]) -> Floats:
        """One score a piece, token ids without special tokens; it depends on the query and that piece alone."""
        ...


@runtime_checkable
class Reconsidering(Question, Protocol):
    """A query whose scores change once those of all passages are known."""

    def reconsider(self, scores: Floats) -> Floats:
        """The scores of all pieces that were scored, in that order, in the light of one another."""
        ...


class Kind(Protocol):
    """What tells the kinds of scorers apart."""

    @property
    def reader(self) -> Reader:
        """How texts become token ids."""
        ...

    def ask(self, query: str) -> Question:
        """Read a query, of any length."""
        ...


class PassageScorer:
    """Scores passages of any length and number in bounded memory. Safe to share between threads."""

    def __init__(
        self, name: str, kind: Kind, long_passages: LongPassages, calibration: Calibration | None = None
    ) -> None:
        self.name, self.kind, self.long_passages = name, kind, long_passages
        self.calibration = calibration

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """One raw score a passage, higher is better."""
        return list(self.read(query, passages).scores)

    def read(self, query: str, passages: Sequence[str]) -> ScoredPassages:
        """As ``score``, with an account of what was cut or chunked."""
        if not passages:
            return ScoredPassages([])
        question = self.kind.ask(query)
        places: list[int] = []
        found: list[Floats] = []
        cut = chunked = 0
        for group in self.kind.reader.groups(passages, question.room, self.long_passages):
            found.append(question.score(group.pieces))
            places += group.places
            cut, chunked = cut + group.cut, chunked + group.chunked
        pieces = np.concatenate(found)
        if isinstance(question, Reconsidering):
            pieces = question.reconsider(pieces)
        scores = np.full(len(passages), -np.inf, np.float32)
        np.maximum.at(scores, places, pieces)
        return ScoredPassages(scores.tolist(), cut, chunked)
