"""Scores as they travel and are kept: checked when they come from a vendor, and again when from the cache."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any


def in_order(pairs: Sequence[tuple[int, float]], documents: int) -> list[float]:
    """The scores of all documents, in the order of the request.

    Raises:
        ValueError: a document is missing, scored twice or none of the request's, or a score is no number.
    """
    scores: dict[int, float] = {}
    for index, score in pairs:
        if not 0 <= index < documents:
            raise ValueError(f"it scores document {index} of {documents}")
        if index in scores:
            raise ValueError(f"it scores document {index} twice")
        if not math.isfinite(score):
            raise ValueError(f"the score of document {index} is no number")
        scores[index] = score
    if missing := documents - len(scores):
        raise ValueError(f"{missing} of {documents} documents have no score")
    return [scores[index] for index in range(documents)]


def written(scores: Sequence[float]) -> str:
    """The text of an answer of form ``scores``."""
    return json.dumps(scores, allow_nan=False)


def read_scores(text: str, documents: int) -> tuple[float, ...] | None:
    """What `written` was given; None where the text is not one finite number for each document."""
    try:
        scores = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(scores, list) or len(scores) != documents or not all(map(_is_score, scores)):
        return None
    return tuple(map(float, scores))


def _is_score(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of three hundred digits
        return False


def _refuse(constant: str) -> float:
    raise ValueError(constant)
