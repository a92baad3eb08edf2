"""Why the router does with a query what it does, in plain words: pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from listwise.routing.decisions import POINT, most_gain
from listwise.routing.gain import GainModel
from listwise.routing.goals import expected
from listwise.routing.router import Asked, Decision
from listwise.routing.signals import MEANINGS
from listwise.types import Query

LEAST_POINTS = 0.05
"""Points of nDCG@10 below which what a signal adds is not worth a word."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the router knew of a query, what it expected, and what it decides."""

    query: Query
    asked: Asked
    decision: Decision
    model: GainModel | None
    """None where no LLM is configured."""

    def as_record(self) -> dict[str, object]:
        """For programs."""
        return {
            "qid": self.query.qid,
            "route": self.decision.route,
            "reason": self.decision.reason,
            "why": self.decision.why,
            "signals": dict(self.asked.signals),
            "offers": [
                {
                    "tier": offer.option.tier,
                    "depth": offer.option.depth,
                    "votes": offer.option.votes,
                    "gain": offer.gain,
                    "nano_usd": offer.nano_usd,
                    "taken": offer.option == self.decision.option,
                }
                for offer in self.asked.offers
            ],
            "router": self.model.name if self.model else None,
        }

    def lines(self) -> Iterator[str]:
        """A text for people."""
        yield f"query {_shown(self.query.qid)}: {_shown(self.query.text)}"
        where = "the LLM" if self.decision.route == "llm" else f"no LLM ({self.decision.route})"
        yield f"goes to {where}: {self.decision.reason}"
        if self.asked.signals:
            yield ""
            yield "What is seen of it:"
            yield from self._signals()
        if self.model is not None and self.asked.offers:
            yield ""
            yield "What the LLM is expected to gain, and to cost:"
            for offer in self.asked.offers:
                yield f"  {expected(offer)}{'  <- taken' if offer.option == self.decision.option else ''}"
            yield from self._reasons(self.model)

    def _signals(self) -> Iterator[str]:
        known = self.model.signals if self.model else {}
        for name, value in self.asked.signals.items():
            usual = f" (usually {known[name].mean:.3g})" if name in known else ""
            yield f"  {name:<13} {value:>8.3g}{usual:<18} {MEANINGS.get(name, '')}"

    def _reasons(self, model: GainModel) -> Iterator[str]:
        best = most_gain(self.asked.offers)
        if best is None:
            return
        if not model.told:
            yield "This router found no signal that tells gains apart: it expects the same of every query."
            return
        told = model.reasons(self.asked.signals, best.option)
        worth_a_word = [(name, added) for name, added in told if abs(added) >= LEAST_POINTS * POINT]
        yield ""
        yield "Why not the mean gain:" if worth_a_word else "That is about the mean gain."
        for name, added in worth_a_word:
            yield f"  {added / POINT:+.1f} points: {MEANINGS.get(name, name)}"


def _shown(text: str) -> str:
    """On one line, without what a terminal would obey."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
