"""What a provider says, with its answers, about how much more it will take: pure data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """One rate limit of a provider: a bucket that holds ``limit`` and refills steadily."""

    limit: int
    remaining: int
    """What was left when the provider looked, for all processes that share the key."""
    reset_s: float
    """Seconds from then until the bucket is full again, if nothing more is taken."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The rate limits that a provider states; None for those that it does not."""

    requests: Quota | None = None
    tokens: Quota | None = None
    """Input and output tokens together."""
    input_tokens: Quota | None = None
    output_tokens: Quota | None = None
