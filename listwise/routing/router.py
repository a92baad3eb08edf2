"""Who ranks a query: the local tier, or the LLM, how deep, and with how many votes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from listwise.policy import Escalation
from listwise.routing.decisions import most_gain
from listwise.routing.exploration import explores, propensity
from listwise.routing.goals import Choice, Goal
from listwise.routing.offers import Offer, Option
from listwise.routing.signals import Signals
from listwise.spend.routes import Why
from listwise.types import Route


@dataclass(frozen=True, slots=True)
class Asked:
    """What the router is told of a query."""

    key: str
    """What tells it apart: its identifier and text."""
    offers: Sequence[Offer] = ()
    """Empty where nothing can be said of a gain; then the query is escalated."""
    signals: Signals = field(default_factory=dict)

    @property
    def margin(self) -> float | None:
        """Around rank 10."""
        return self.signals.get("margin")


@dataclass(frozen=True, slots=True)
class Decision:
    """A route, and why, in plain words."""

    route: Route
    reason: str
    signal: float | None = None
    """The margin around rank 10."""
    why: Why = "rule"
    offer: Offer | None = None
    """What was taken; or, where the query stays, the best that was refused."""
    propensity: float = 1.0
    """With which probability a query like this one is escalated."""
    signals: Mapping[str, float] = field(default_factory=dict)

    @property
    def option(self) -> Option | None:
        """What is to be carried out; None for all that the policy reads, or for nothing."""
        return self.offer.option if self.offer and self.route == "llm" else None


@dataclass(frozen=True, slots=True)
class Router:
    """Escalates queries by what the LLM is expected to gain on them and to cost.

    ``stay`` is the route of a query that is not escalated, ``scored_by`` says whose scores the signals are of.
    """

    escalate: Escalation
    goal: Goal | None
    """None where a rule decides, that looks at no gain."""
    stay: Route
    scored_by: str
    has_llm: bool
    threshold: float | None = None
    """Under ``auto``, without a goal: a margin below which queries are escalated."""
    explore: float = 0.0
    """The share of the queries that stay which is escalated by chance."""
    seed: int = 0

    @property
    def needs_all(self) -> bool:
        """Whether a decision depends on the other queries."""
        return self.goal is not None and self.goal.needs_all

    @property
    def gains_by_all(self) -> bool:
        """Whether decisions are better made for queries that are known together, where they are."""
        return self.goal is not None and self.goal.gains_by_all

    async def decide(self, asked: Asked) -> Decision:
        """The route of one query on its own."""
        decision = self._fixed(asked)
        if decision is None:
            assert self.goal is not None
            decision = self._chosen(asked, await self.goal.choose(asked.offers))
        return self._explored(asked, decision)

    def decide_all(self, asked: Sequence[Asked], stand_for: float = 1.0) -> list[Decision]:
        """The routes of queries that are known together, each of which may ``stand_for`` several; and what a plan
        foresees."""
        fixed = [self._fixed(each) for each in asked]
        free = [each.offers for each, rule in zip(asked, fixed, strict=True) if rule is None]
        choices = iter(self.goal.choose_all(free, stand_for) if self.goal and free else ())
        return [
            self._explored(each, rule or self._chosen(each, next(choices)))
            for each, rule in zip(asked, fixed, strict=True)
        ]

    def settled(self, decision: Decision, nano_usd: int, besides: int = 0) -> None:
        """What a decision led to is done, and did cost so much. To be told once of each.

        Args:
            nano_usd: what the LLM did cost.
            besides: what else was spent on the query.
        """
        if self.goal is None:
            return
        if decision.route == "llm" and decision.offer is not None and decision.why == "gain":
            self.goal.settled(decision.offer, nano_usd)
        else:
            besides += nano_usd
        if besides:
            self.goal.settled(None, besides)

    def _fixed(self, asked: Asked) -> Decision | None:
        """What a rule decides; None where the goal does."""
        if self.escalate == "never":
            return self._left("escalation is off", asked, never=True)
        if not self.has_llm:
            return self._left("no LLM is configured", asked, never=True)
        if self.escalate == "always":
            return self._sent("every query is escalated", asked)
        if self.goal is not None and asked.offers:
            return None
        if asked.margin is None or self.threshold is None:
            return self._sent(f"nothing tells how ambiguous the query is: no {self.scored_by}", asked)
        told = f"margin {asked.margin:.2f} around rank 10 of the {self.scored_by}"
        if asked.margin < self.threshold:
            return self._sent(f"{told} is below {self.threshold:g}: ambiguous", asked)
        return self._left(f"{told} is at least {self.threshold:g}: clear enough", asked)

    def _sent(self, reason: str, asked: Asked) -> Decision:
        return Decision("llm", reason, asked.margin, signals=asked.signals)

    def _left(self, reason: str, asked: Asked, *, never: bool = False) -> Decision:
        refused = most_gain(asked.offers)
        share = 0.0 if never else self.explore
        return Decision(self.stay, reason, asked.margin, "rule", refused, propensity(False, share), asked.signals)

    def _chosen(self, asked: Asked, choice: Choice) -> Decision:
        if choice.offer is None:  # what there is no money for is not explored either
            return replace(self._left(choice.reason, asked, never=choice.why == "budget"), why=choice.why)
        return Decision("llm", choice.reason, asked.margin, choice.why, choice.offer, signals=asked.signals)

    def _explored(self, asked: Asked, decision: Decision) -> Decision:
        """A query that would stay may be escalated by chance, so that what is learnt is not only of those that the
        rule escalates."""
        stays = decision.route != "llm" and decision.propensity > 0
        if not stays or not explores(self.seed, asked.key, self.explore):
            return decision
        reason = f"explored, as {self.explore:.0%} of those are that would stay: {decision.reason}"
        return replace(decision, route="llm", why="explored", reason=reason)
