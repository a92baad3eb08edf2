"""Steers queries to the local tier or the LLM, by what a policy wants, and logs what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from listwise.explaining import Explanation
from listwise.offering import Offering, goal_of
from listwise.policy import Policy
from listwise.routing.disagreement import disagreement
from listwise.routing.gain import GainModel
from listwise.routing.offers import FIRST_CHOICE, Option
from listwise.routing.router import Asked, Decision, Router
from listwise.spend.purse import Purse
from listwise.spend.routes import RouteNote
from listwise.stages.scored import Scored
from listwise.tiers import LlmTier
from listwise.types import Ranking, Request


class Steering:
    """Decides the routes of a run's queries.

    Args:
        policy: says what escalation is to achieve.
        llm: None where there is none.
        purse: whose money is spent, and whose log is kept.
        scored: whether a scorer comes before the LLM.

    Raises:
        ConfigError: the router cannot be read, or cannot achieve with this LLM what the policy wants.
    """

    def __init__(self, policy: Policy, llm: LlmTier | None, purse: Purse, *, scored: bool) -> None:
        self._offering = Offering(GainModel.read(policy.router), llm, policy) if llm else None
        self._depth = min(policy.depth, policy.llm_depth or policy.depth)
        self._router = Router(
            escalate=policy.escalate,
            goal=goal_of(policy, self._offering, purse) if self._offering else None,
            stay="local" if scored else "first_stage",
            scored_by="local scores" if scored else "first-stage scores",
            has_llm=llm is not None,
            threshold=policy.margin,
            explore=policy.explore,
            seed=policy.seed or 0,
        )

    def waits_for_all(self, requests: object) -> bool:
        """Whether all of the requests are to be known before the first decision: it depends on the others, or is
        better for them and they are at hand."""
        return self._router.needs_all or (self._router.gains_by_all and isinstance(requests, Sequence))

    async def decide(self, scored: Scored) -> Decision:
        """The route of one query on its own."""
        return self._unasked(scored.request) or await self._router.decide(self._asked(scored))

    def decide_all(self, scored: Sequence[Scored], stand_for: float = 1.0) -> list[Decision]:
        """The routes of queries that are known together, each of which may ``stand_for`` several; and what a plan
        foresees."""
        alone = [self._unasked(each.request) for each in scored]
        asked = [self._asked(each) for each, decision in zip(scored, alone, strict=True) if decision is None]
        decisions = iter(self._router.decide_all(asked, stand_for))
        return [decision or next(decisions) for decision in alone]

    def explain(self, scored: Sequence[Scored], at: int) -> Explanation:
        """Why one of some queries, that are known together, takes the route that it takes."""
        each = scored[at]
        decision = self.decide_all(scored)[at]
        model = self._offering.model if self._offering else None
        return Explanation(each.request.query, self._asked(each), decision, model)

    async def aclose(self) -> None:
        """Keep what the goal has learnt."""
        if self._router.goal is not None:
            await self._router.goal.aclose()

    def settled(self, decision: Decision, nano_usd: int, besides: int) -> None:
        """See `Router.settled`."""
        self._router.settled(decision, nano_usd, besides)

    def log(self, decision: Decision, scored: Scored, ranking: Ranking, nano_usd: int, purse: Purse) -> None:
        """Put what was decided, and what came of it, into the log of routes.

        Args:
            nano_usd: what the LLM did cost.
            purse: whose log it is.
        """
        if self._offering is None:
            return
        offer, receipt = decision.offer, ranking.receipt
        local = [scored.request.candidates[at].docid for at in scored.order]
        final = [each.docid for each in ranking.candidates[: len(local)]]
        read = decision.option or Option(FIRST_CHOICE, min(self._depth, len(local)))
        sent = decision.route == "llm"
        note = RouteNote(
            why=decision.why,
            signals=decision.signals,
            tier=read.tier if sent else None,
            depth=read.depth if sent else 0,
            votes=read.votes if sent else 0,
            model=receipt.model or "",
            router=self._offering.model.name,
            propensity=decision.propensity,
            predicted_gain=offer.gain if offer else None,
            predicted_nano_usd=offer.nano_usd if offer else None,
            disagreement=disagreement(local, final) if receipt.ordered_by and not receipt.fallback else None,
            nano_usd=nano_usd,
            cache_hits=receipt.cache_hits,
        )
        purse.note_route(receipt.qid, note)

    def _unasked(self, request: Request) -> Decision | None:
        """What needs no router: where there is nothing to put in order."""
        if not request.candidates:
            return Decision("empty", "no candidates", propensity=0.0)
        if len(request.candidates) == 1:
            return Decision(self._router.stay, "a single candidate is ranked as it is", propensity=0.0)
        if self._depth == 1 and self._router.has_llm:
            return Decision(self._router.stay, "an LLM would read a single candidate", propensity=0.0)
        return None

    def _asked(self, scored: Scored) -> Asked:
        """What the router is told of a query.

        Of one whose scores a plan does not know it is told nothing. Where a query does not compete with others for
        its route it has no offers either, so that it counts as escalated: the plan's high figure is to hold.
        """
        query = scored.request.query
        signals = scored.signals if scored.certain else {}
        competes = scored.certain or self._router.gains_by_all
        offers = self._offering.of(scored, signals) if self._offering and competes else ()
        return Asked(f"{query.qid}\0{query.text}", offers, signals)
