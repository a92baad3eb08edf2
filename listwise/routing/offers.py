"""What may be done with a query, what it is expected to gain, and what it is expected to cost."""

from __future__ import annotations

from dataclasses import dataclass

Tier = str
"""Who ranks: `FIRST_CHOICE`, or the name of another LLM of the policy's chain, ``provider/name``."""
FIRST_CHOICE: Tier = "llm"


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
    known: bool = True
    """Whether it goes by the query; if not, nothing is known of it, and the gain is that of queries in the mean."""
