"""How far an order has moved: what says that a top is settled."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2


def moved(before: Sequence[int], after: Sequence[int], top: int) -> float:
    """The share of the top's discounted gain that is elsewhere in one order than in the other."""
    gains = [1 / log2(place + 2) for place in range(top)]
    first, second = dict(zip(before, gains, strict=False)), dict(zip(after, gains, strict=False))
    moved = sum(abs(first.get(at, 0) - second.get(at, 0)) for at in first.keys() | second.keys())
    return moved / 2 / sum(gains)
