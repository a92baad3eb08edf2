"""What the log of routes holds: what the router knew of a query, what it did, and what came of it.

No text of queries or passages is among it. `listwise route check` and fits without judgements read the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal, NamedTuple

Why = Literal["gain", "rule", "explored", "budget"]
"""What decided: the predicted gain for its price; a rule that looks at no gain (``always``, a margin, no LLM); the
dice of exploration; or money that was short."""


def as_logged(value: float | None) -> float | None:
    """A number as the log keeps it: with six digits, and None where it is not finite."""
    return float(f"{value:.6g}") if value is not None and isfinite(value) else None


@dataclass(frozen=True, slots=True)
class RouteNote:
    """One query as the router saw it and left it. Numbers that are not finite are not kept."""

    why: Why
    signals: Mapping[str, float] = field(default_factory=dict)
    tier: str | None = None
    """Who was to rank it, as in `listwise.routing.offers.Option`; None where it stayed with the local order."""
    depth: int = 0
    votes: int = 0
    model: str = ""
    """The LLM asked, ``provider/name``; empty where it stayed."""
    router: str = ""
    """Whose predictions these are: name and version of the fitted router; empty without one."""
    propensity: float = 0.0
    """With which probability a query like this one is escalated: 1 where the rule escalates it, the share of
    exploration where the rule leaves it, whether or not the dice then took it. 0: never."""
    predicted_gain: float | None = None
    """Of the option taken, or, where it stayed, of the best one refused; in nDCG@10."""
    predicted_nano_usd: int | None = None
    """Of the same option."""
    disagreement: float | None = None
    """What the local order loses in the LLM's eyes (`listwise.routing.disagreement`), 0 to 1; None where none
    put it in order, or another one than that asked."""
    nano_usd: int = 0
    """Spent on the query, the stages before the LLM left out."""
    cache_hits: int = 0
    """Calls answered from the cache: with any, ``nano_usd`` says nothing of what the option costs."""

    @property
    def explored(self) -> bool:
        """Whether the dice escalated it."""
        return self.why == "explored"


class Routed(NamedTuple):
    """A note with when, for whom and for which query."""

    at: float
    """Unix seconds."""
    run: str
    account: str
    qid: str
    note: RouteNote


@dataclass(frozen=True, slots=True)
class RouteFilter:
    """Which entries are read; None is all."""

    run: str | None = None
    account: str | None = None
    since: float | None = None
    """Unix seconds."""
    until: float | None = None
    """Up to but not including this moment."""
    router: str | None = None

    def fits(self, routed: Routed) -> bool:
        """Whether an entry is among them."""
        return (
            self.run in (None, routed.run)
            and self.account in (None, routed.account)
            and self.router in (None, routed.note.router)
            and (self.since is None or routed.at >= self.since)
            and (self.until is None or routed.at < self.until)
        )
