"""Who ranks a query: the local tier, or the LLM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from listwise.policy import Escalation
from listwise.types import Route


@dataclass(frozen=True, slots=True)
class Decision:
    """A route, and why, in plain words; ``signal`` is the margin that was looked at, if any."""

    route: Route
    reason: str
    signal: float | None


@dataclass(frozen=True, slots=True)
class Router:
    """Escalates queries by the margin of their scores around rank 10; a small margin is an ambiguous query.

    ``stay`` is the route of a query that is not escalated, ``scored_by`` says whose scores the margin is of.
    """

    escalate: Escalation
    threshold: float
    stay: Route
    scored_by: str
    has_llm: bool

    @property
    def needs_all(self) -> bool:
        """Whether a decision depends on the other queries' margins."""
        return self.has_llm and isinstance(self.escalate, float)

    def decide(self, signal: float | None) -> Decision:
        """The route of one query on its own."""
        if self.escalate == "never":
            return Decision(self.stay, "escalation is off", signal)
        if not self.has_llm:
            return Decision(self.stay, "no LLM is configured", signal)
        if self.escalate == "always":
            return Decision("llm", "every query is escalated", signal)
        if signal is None:
            return Decision("llm", f"nothing tells how ambiguous the query is: no {self.scored_by}", None)
        seen = f"margin {signal:.2f} around rank 10 of the {self.scored_by}"
        if signal < self.threshold:
            return Decision("llm", f"{seen} is below {self.threshold:g}: ambiguous", signal)
        return Decision(self.stay, f"{seen} is at least {self.threshold:g}: clear enough", signal)

    def decide_all(self, signals: Sequence[float | None]) -> list[Decision]:
        """The routes of queries that are known together; a share escalates the smallest margins first.

        Queries without a signal count as most ambiguous, ties go to the earlier query, and the number escalated
        is the share of the queries, rounded half up.
        """
        if not self.needs_all:
            return [self.decide(signal) for signal in signals]
        share = float(self.escalate)
        count = int(share * len(signals) + 0.5)
        by_margin = sorted(range(len(signals)), key=lambda at: -1.0 if (s := signals[at]) is None else s)
        place = {at: rank for rank, at in enumerate(by_margin, 1)}
        return [self._ranked(signal, place[at], count, len(signals)) for at, signal in enumerate(signals)]

    def _ranked(self, signal: float | None, place: int, count: int, total: int) -> Decision:
        margin = "unknown" if signal is None else f"{signal:.2f}"
        verb = "is" if place <= count else "is not"
        reason = (
            f"margin {margin} around rank 10 of the {self.scored_by}: number {place} of {total} in ambiguity, "
            f"{verb} among the {count} to escalate"
        )
        return Decision("llm" if place <= count else self.stay, reason, signal)
