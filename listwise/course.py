"""The course of one query: its stages, its route, the LLM where it goes there, and its receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from listwise.cache import AnswerStore
from listwise.engine import Outcome, trace_of
from listwise.errors import Unpriced
from listwise.loops import PerLoop
from listwise.models.base import Model, Scorer
from listwise.policy import Policy
from listwise.receipts import billed, fallback_of, ranking_of, spent
from listwise.routing.offers import Option
from listwise.routing.router import Decision
from listwise.routing.spellings import Spellings, said_of
from listwise.spend.money import usd_of
from listwise.spend.purse import Purse
from listwise.spend.tab import Tab
from listwise.spend.terms import Terms
from listwise.stages.cascade import Cascade
from listwise.stages.scored import Scored
from listwise.steering import Steering
from listwise.tiers import LlmTier
from listwise.types import Query, Ranking, Receipt, Request, StepTrace, Watcher, WindowTrace

AS_THE_POLICY = Terms()


@dataclass(frozen=True, slots=True)
class Begun:
    """A request after the stages before the LLM, and the account that they opened."""

    query: Query
    """As it came; the request that was scored may spell it otherwise."""
    scored: Scored
    tab: Tab


class Course:
    """What a policy has every query go through.

    Args:
        own: models instead of the policy's ``llm`` and ``fallback``.
        scorer: a local model instead of those that the policy's ``local`` names.
        trace: whether rankings carry a record of every window.

    Raises:
        ConfigError: a model, a key or a price is missing or does not fit.
    """

    def __init__(
        self, policy: Policy, purse: Purse, own: Sequence[Model] = (), scorer: Scorer | None = None, *, trace: bool
    ) -> None:
        self.policy, self.purse, self.trace = policy, purse, trace
        capped = bool(purse.ledger.caps(policy.account))
        self.cascade = Cascade.of(policy, scorer, capped=capped)
        self.llm = LlmTier.of(policy, own, capped=capped) if policy.llm else None
        self.steering = Steering(policy, self.llm, purse, scored=bool(self.cascade.stages))
        self._cascades = PerLoop(self.cascade, Cascade.again)
        self._llms = PerLoop(self.llm, LlmTier.again) if self.llm else None
        shares = policy.duplicates == "share" and policy.pays
        self.spellings = Spellings(policy.depth) if shares else None

    def see(self, request: Request) -> None:
        """A request that will come: another one of the same words and candidates can share its answers."""
        if self.spellings is not None:
            self.spellings.see(request)

    async def begin(self, request: Request, tab: Tab) -> Begun:
        """Put a query through the stages before the LLM."""
        cascade = self._cascades.here()
        asked = request
        if self.spellings is not None and len(request.candidates) > 1:
            asked = await self.spellings.first(request, self.store)
            if cascade.store is not None:
                await self.spellings.keep(asked, cascade.store)
        return Begun(request.query, await cascade.score(asked, tab), tab)

    async def rank(
        self, work: Request | Begun, decision: Decision | None, terms: Terms, watch: Watcher | None = None
    ) -> Ranking:
        """Take one query, from where it is, to its ranking; its account is closed."""
        tab = work.tab if isinstance(work, Begun) else self.tab(work, terms)
        try:
            begun = work if isinstance(work, Begun) else await self.begin(work, tab)
            tab.resume(begun.scored.seconds)
            ranking = _as_it_came(await self._routed(begun.scored, tab, decision, watch), begun.query)
            tab.purse.note(ranking.receipt)
            return ranking
        finally:
            tab.close()

    async def _routed(self, scored: Scored, tab: Tab, decision: Decision | None, watch: Watcher | None) -> Ranking:
        request = scored.request
        decision = decision or await self.steering.decide(scored)
        if decision.route == "empty":
            return ranking_of(scored, (), Receipt(request.query.qid, "empty", decision.reason, 0))
        offer = decision.offer
        receipt = Receipt(
            qid=request.query.qid,
            route=decision.route,
            reason=decision.reason,
            candidates=len(request.candidates),
            local=self.cascade.name,
            stages=scored.stages,
            signal=decision.signal,
            expected_gain=offer.gain if offer else None,
            expected_usd=usd_of(offer.nano_usd) if offer else None,
            fallback="first_stage" if scored.stages and scored.scores is None else None,
            priced=self.cascade.priced,
            degraded=scored.degraded,
        )
        before = tab.nano_usd
        ranking = ranking_of(scored, scored.order, spent(receipt, tab))
        try:
            if decision.route == "llm" and self._llms is not None:
                ranking = await self._escalate(self._llms.here(), decision.option, scored, tab, receipt, watch)
        finally:
            self.steering.settled(decision, tab.nano_usd - before, before)
        self.steering.log(decision, scored, ranking, tab.nano_usd - before, tab.purse)
        return ranking

    async def _escalate(
        self,
        llm: LlmTier,
        option: Option | None,
        scored: Scored,
        tab: Tab,
        receipt: Receipt,
        watch: Watcher | None,
    ) -> Ranking:
        depth = self.policy.llm_depth or self.policy.depth
        if option is not None:
            llm, depth = llm.taking(option), option.depth
        if self.spellings is not None:
            await self.spellings.keep(scored.request, llm.store)
        try:
            scores = scored.prior_scores(depth)
            outcome = await llm.engine.rank(
                scored.request,
                scored.order[:depth],
                tab,
                scores=scores,
                trace=self.trace,
                watch=watch and _with_those_below(watch, scored, depth),
            )
        except BaseException as error:  # what was spent on a query that got no ranking stands in the books, too
            why = f"no ranking: {type(error).__name__}"
            nothing = Outcome(scored.order, stopped=why, asked={each.name for each in llm.chain})
            tab.purse.note(billed(receipt, llm, nothing, tab))
            raise
        receipt = replace(receipt, fallback=fallback_of(outcome, llm, scored))
        order = (*outcome.order, *scored.order[depth:])
        ranking = ranking_of(scored, order, billed(receipt, llm, outcome, tab))
        windows = tuple(trace_of(scored.request, reading) for reading in outcome.readings)
        return replace(ranking, windows=windows)

    @property
    def store(self) -> AnswerStore | None:
        """Where answers are kept."""
        llm = self._llms.here().store if self._llms is not None else None
        return llm or self._cascades.here().store

    def tab(self, request: Request, terms: Terms = AS_THE_POLICY) -> Tab:
        """An account for a query."""
        budget, purse = terms.budget(self.policy.budget), terms.purse(self.purse)
        return Tab(request.query.qid, budget, purse, patience_s=self.policy.timeout_s)

    def check_priced(self) -> None:
        """Whether dollars can be kept to.

        Raises:
            Unpriced: they cannot, as nobody states what a model costs that may be asked.
        """
        unpriced = [each.name for each in self.llm.chain if each.price is None] if self.llm is not None else []
        if not self.cascade.priced:
            unpriced.append(str(self.cascade.name))
        if unpriced:
            raise Unpriced(
                f"a budget in dollars, but no price is known of {', '.join(unpriced)}: set one with price "
                f"('{unpriced[0]}=INPUT,OUTPUT', in USD per million tokens), or limit calls or tokens instead"
            )

    async def aclose(self) -> None:
        """Close this event loop's connections."""
        await self.steering.aclose()
        for tier in (self._cascades.leave(), self._llms.leave() if self._llms else None):
            if tier is not None:
                await tier.aclose()

    def shut(self) -> None:
        """Let go of what all loops share: threads and caches."""
        self.cascade.shut()
        if self.llm is not None and self.llm.store is not None:
            self.llm.store.close()


def _as_it_came(ranking: Ranking, query: Query) -> Ranking:
    """The ranking for the query as it is spelt; the receipt says how it was asked."""
    if ranking.query == query:
        return ranking
    notes = (said_of(ranking.query.text), *ranking.receipt.notes)
    return replace(ranking, query=query, receipt=replace(ranking.receipt, notes=notes))


def _with_those_below(watch: Watcher, scored: Scored, depth: int) -> Watcher:
    """The same, told of the candidates below the depth that is read, too."""
    candidates = scored.request.candidates
    places = (*scored.order[depth:], *range(len(scored.order), len(candidates)))
    below = tuple(candidates[at].docid for at in places)

    def told(seen: StepTrace | WindowTrace) -> None:
        watch(replace(seen, docids=(*seen.docids, *below)) if isinstance(seen, StepTrace) else seen)

    return told
