"""What settled calls teach about the size of the next ones: for estimates only, never for an upper bound.

Per model, how many tokens the provider billed for each one that was estimated, and how many tokens an answer has
for each passage. Both are medians over the latest calls, so a wrong usage report changes next to nothing; and the
ratio starts from what is assumed without any call, that estimates are right, which takes a few calls to outweigh.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from listwise.types import Usage

WINDOW = 101
"""Calls of each model that are looked back on."""
PRIOR_CALLS = 2
"""For how many calls the assumption that estimates are right counts."""
LEAST_RATIO, MOST_RATIO = 0.2, 5.0
"""No tokenizer is further from another than this on a prompt; what is further is a wrong report."""


class Settled(NamedTuple):
    """A call of the past, as the ledger remembers it."""

    model: str
    """``provider/name``."""
    estimated_input: int
    """Input tokens as they were estimated before the call, by the counter alone."""
    input_tokens: int
    """Input tokens as they were billed."""
    passages: int
    output_tokens: int
    """Output tokens as they were billed, reasoning included."""


@dataclass(slots=True)
class _Lessons:
    """The latest calls of one model, oldest first."""

    ratios: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    outputs: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """Output tokens a passage."""


class Learned:
    """Corrects estimates by what was settled before. Safe over threads."""

    def __init__(self, history: Iterable[tuple[str, int, int, int, int]] = ()) -> None:
        """``history`` has a row for each settled call, oldest first, as in `Settled`."""
        self._lock = threading.Lock()
        self._models: dict[str, _Lessons] = {}
        for row in history:
            self._add(Settled(*row))

    def observe(self, model: str, estimated: int, usage: Usage, passages: int) -> None:
        """Learn from a call that was answered; ``estimated`` is its input as the counter alone estimated it."""
        self._add(Settled(model, estimated, usage.input_tokens, passages, usage.output_tokens))

    def ratio(self, model: str) -> float:
        """Billed input tokens for each estimated one; 1 where nothing was learned."""
        with self._lock:
            lessons = self._models.get(model)
            return median((*lessons.ratios, *[1.0] * PRIOR_CALLS)) if lessons and lessons.ratios else 1.0

    def input_tokens(self, model: str, estimated: int) -> int:
        """An estimate of a prompt's tokens, corrected."""
        return math.ceil(estimated * self.ratio(model))

    def output_tokens(self, model: str, passages: int) -> int | None:
        """Tokens that an answer about so many passages usually has; None where nothing was learned."""
        with self._lock:
            lessons = self._models.get(model)
            return math.ceil(median(lessons.outputs) * passages) if lessons and lessons.outputs else None

    def calls(self, model: str) -> int:
        """How many calls are being looked back on."""
        with self._lock:
            lessons = self._models.get(model)
            return max(len(lessons.ratios), len(lessons.outputs)) if lessons else 0

    def _add(self, call: Settled) -> None:
        with self._lock:
            lessons = self._models.setdefault(call.model, _Lessons())
            ratio = call.input_tokens / call.estimated_input if call.estimated_input > 0 else 0.0
            if LEAST_RATIO <= ratio <= MOST_RATIO:
                lessons.ratios.append(ratio)
            if call.passages > 0 and call.output_tokens > 0:
                lessons.outputs.append(call.output_tokens / call.passages)
