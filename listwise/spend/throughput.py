"""What a server of one's own does in a second, from what it has answered: the other half of a price by the hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

READ_PER_WRITTEN = 10.0
"""Tokens that a server reads in the time in which it writes one. Only both together can be measured from outside:
this says no more than how an hour's price is shared between them; over the work that was measured it adds up."""


class Served(NamedTuple):
    """An answered attempt: when it began (Unix time), how long it took, and its tokens."""

    at: float
    seconds: float
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was measured."""

    answers: int
    busy_s: float
    """Seconds in which at least one attempt was under way."""
    input_tokens_per_s: float
    output_tokens_per_s: float


def measured(attempts: Sequence[Served]) -> Throughput | None:
    """Tokens a second while the server was busy; None where nothing was answered.

    The time it was busy is what reading all the tokens took, at ``input_tokens_per_s``, and writing them, at
    ``output_tokens_per_s``.
    """
    busy = busy_s((each.at, each.at + each.seconds) for each in attempts)
    read, written = sum(each.input_tokens for each in attempts), sum(each.output_tokens for each in attempts)
    if not busy or not read + written:
        return None
    writes = (read / READ_PER_WRITTEN + written) / busy
    return Throughput(len(attempts), busy, READ_PER_WRITTEN * writes, writes)


def busy_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that lie in at least one of these spans (begin, end)."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
