"""The head of the list in one window: the cheapest way to ask an LLM at all."""

from __future__ import annotations

from collections.abc import Sequence

from listwise.strategies.base import Play, Step, Strategy, reorder


def single(window: int = 20) -> Strategy:
    """Order the first ``window`` candidates once; the others keep their places behind them."""

    def run(n: int, scores: Sequence[float] | None = None) -> Play:
        order = tuple(range(n))
        shown = order[:window]
        if len(shown) < 2:
            return order
        (answer,) = yield Step((shown,), order)
        return (*reorder(shown, answer), *order[window:])

    return run


def full(depth: int = 100) -> Strategy:
    """Order the first ``depth`` candidates in one prompt, for models with a long context."""
    return single(depth)
