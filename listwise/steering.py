"""Puts the router to work for a policy: tells it of a query, and logs what it did and what came of it."""

from __future__ import annotations

from listwise.offering import Offering, goal_of
from listwise.policy import Policy
from listwise.routing.disagreement import disagreement
from listwise.routing.gain import GainModel
from listwise.routing.offers import FIRST_CHOICE
from listwise.routing.router import Asked, Decision, Router
from listwise.spend.purse import Purse
from listwise.spend.routes import RouteNote
from listwise.stages.scored import Scored
from listwise.tiers import LlmTier
from listwise.types import Ranking, Route


class Steering:
    """The router of a policy, with what it goes by.

    Args:
        llm: None where no LLM is configured.
        purse: whose money is spent, and whose ledger keeps the log of routes.
        stay: the route of queries that are not escalated.

    Raises:
        ConfigError: the fitted router cannot be read, or dollars are to be weighed and the LLM has no price.
    """

    def __init__(self, policy: Policy, llm: LlmTier | None, purse: Purse, stay: Route) -> None:
        self._policy, self._purse = policy, purse
        self._offering = Offering(GainModel.read(policy.router), llm, policy) if llm else None
        by_gain = (
            self._offering is not None and policy.margin is None and policy.escalate not in ("never", "always")
        )
        self.router = Router(
            escalate=policy.escalate,
            goal=goal_of(policy, self._offering, purse) if self._offering and by_gain else None,
            stay=stay,
            scored_by="local scores" if stay == "local" else "first-stage scores",
            has_llm=llm is not None,
            threshold=policy.margin,
            explore=policy.explore,
            seed=policy.seed or 0,
        )

    @property
    def model(self) -> GainModel | None:
        """What predicts gains; None where no LLM is configured."""
        return self._offering.model if self._offering else None

    def asked(self, scored: Scored) -> Asked:
        """What the router is told of a query; of one whose scores a plan does not know, no signals."""
        query = scored.request.query
        signals = scored.signals if scored.certain else {}
        offers = self._offering.of(scored, signals) if self._offering else ()
        return Asked(f"{query.qid}\0{query.text}", offers, signals)

    def log(self, decision: Decision, scored: Scored, ranking: Ranking, nano_usd: int) -> None:
        """Put what the router did with a query into the log of routes.

        Args:
            nano_usd: spent on it, the stages before the LLM left out.
        """
        if self._offering is None:
            return
        local = [scored.request.candidates[at].docid for at in scored.order]
        final = [each.docid for each in ranking.candidates[: len(local)]]
        receipt, offer, taken = ranking.receipt, decision.offer, decision.taken
        depth = min(len(local), self._policy.llm_depth or self._policy.depth)
        escalated = receipt.route == "llm"
        note = RouteNote(
            why=decision.why,
            signals=decision.signals,
            tier=(taken.option.tier if taken else FIRST_CHOICE) if escalated else None,
            depth=(taken.option.depth if taken else depth) if escalated else 0,
            votes=taken.option.votes if taken else 0,
            model=receipt.model or "",
            router=self._offering.model.name,
            propensity=decision.propensity,
            predicted_gain=offer.gain if offer else None,
            predicted_nano_usd=offer.nano_usd if offer else None,
            disagreement=disagreement(local, final) if receipt.ordered_by else None,
            nano_usd=nano_usd,
            cache_hits=receipt.cache_hits,
        )
        self._purse.note_route(receipt.qid, note)

    async def aclose(self) -> None:
        """Keep what the goal learnt."""
        if self.router.goal is not None:
            await self.router.goal.aclose()
