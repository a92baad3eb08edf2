"""What may be done with a query, what it is expected to gain, and what it is expected to cost."""

from __future__ import annotations

from dataclasses import dataclass

Tier = str
"""Who ranks: ``llm``, the policy's first choice, or the name of one of its fallbacks."""


@dataclass(frozen=True, slots=True, order=True)
class Option:
    """A way of ranking a query that is not left to the local tier."""

    tier: Tier
    depth: int
    """How many candidates of the local order are read."""
    votes: int = 1


@dataclass(frozen=True, slots=True)
class Offer:
    """An option for one query, with what it is expected to bring and to take."""

    option: Option
    gain: float
    """Expected nDCG@10 with the option less nDCG@10 of the local order; may be negative."""
    nano_usd: int
    """Expected dollars, in billionths; at least 0."""
