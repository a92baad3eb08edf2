"""Sliding windows that are read by one token.

The windows are RankGPT's; the model is asked for an order, but only the probabilities of the first identifier of
its answer are looked at: they order the whole window. An answer costs one output token.

Source: Reddy et al. 2024, "FIRST: Faster Improved Listwise Reranking with Single Token Decoding", arXiv 2406.15657.
"""

from __future__ import annotations

from listwise.strategies.base import Strategy
from listwise.strategies.sliding import sliding


def first(window: int = 20, stride: int = 10, depth: int = 100) -> Strategy:
    """Order ``window`` candidates at a time, from the bottom up; see `sliding`, of which this is the same play."""
    return sliding(window, stride, depth)
