"""Strategies: which windows to read, and in what order. Pure; see `listwise.strategies.base`."""

from __future__ import annotations

from typing import Literal, get_args

from listwise.errors import ConfigError
from listwise.strategies.base import Play, Step, Strategy, play
from listwise.strategies.single import full, single
from listwise.strategies.sliding import sliding

StrategyName = Literal["sliding", "single", "full"]

__all__ = ["Play", "Step", "Strategy", "StrategyName", "full", "make", "play", "single", "sliding"]


def make(name: str, *, window: int, stride: int, depth: int) -> Strategy:
    """The strategy called ``name``.

    Raises:
        ConfigError: the name is unknown, or the sizes do not go together.
    """
    if window < 2:
        raise ConfigError(f"window is {window}: a window orders at least 2 passages")
    if not 1 <= stride < window:
        raise ConfigError(f"stride is {stride}: it must be at least 1 and less than the window, {window}")
    if depth < 1:
        raise ConfigError(f"depth is {depth}: at least one candidate must be looked at")
    match name:
        case "sliding":
            return sliding(window, stride, depth)
        case "single":
            return single(min(window, depth))
        case "full":
            return full(depth)
        case _:
            raise ConfigError(f"no strategy {name!r}; there are: {', '.join(get_args(StrategyName))}")
