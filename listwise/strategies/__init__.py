"""Strategies: which windows to read, and in what order. Pure; see `listwise.strategies.base`."""

from __future__ import annotations

from listwise.strategies.base import Graded, Play, Question, Step, Strategy, play
from listwise.strategies.registry import StrategyName, adapts, by_scores, make, most_windows, question_of
from listwise.strategies.single import full, single
from listwise.strategies.sliding import sliding

__all__ = [
    "Graded",
    "Play",
    "Question",
    "Step",
    "Strategy",
    "StrategyName",
    "adapts",
    "by_scores",
    "full",
    "make",
    "most_windows",
    "play",
    "question_of",
    "single",
    "sliding",
]
