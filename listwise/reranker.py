"""The public face: re-rank one query, or many, with a local model, an LLM, or both."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from listwise.cache import AnswerStore
from listwise.engine import Outcome, trace_of
from listwise.errors import ConfigError, InputError, Unpriced
from listwise.estimating import Habits
from listwise.explaining import Explanation
from listwise.loops import PerLoop
from listwise.models.base import Model, Scorer
from listwise.models.rerank.naming import is_rerank_api
from listwise.planning import Plan, Work, plan_stage, plan_strategy, tiers_for
from listwise.policy import Policy
from listwise.portal import Portal
from listwise.receipts import billed, fallback_of, ranking_of, spent
from listwise.routing.offers import Option
from listwise.routing.router import Decision
from listwise.routing.spellings import Spellings, said_of
from listwise.spend.ledger import Ledger, MemoryLedger
from listwise.spend.money import usd_of
from listwise.spend.opening import open_ledger
from listwise.spend.prices import Price
from listwise.spend.purse import Purse, new_run_id
from listwise.spend.tab import Tab
from listwise.spend.terms import Terms
from listwise.stages.cascade import Cascade
from listwise.stages.scored import Scored
from listwise.steering import Steering
from listwise.strategies import StrategyName, by_scores
from listwise.strategies.adaptive import LOCAL_TRUST
from listwise.streams import astream, at_once
from listwise.telemetry import attributes
from listwise.telemetry.spans import begin
from listwise.tiers import LlmTier
from listwise.types import Candidate, Query, Ranking, Receipt, Request, Route

Passage = str | Candidate
AS_THE_POLICY = Terms()


@dataclass(frozen=True, slots=True)
class _Begun:
    """A request after the stages before the LLM, and the account that they opened."""

    query: Query
    """As it came; the request that was scored may spell it otherwise."""
    scored: Scored
    tab: Tab


class Reranker:
    """Re-ranks candidates; every ranking comes with its receipt.

    Settings are those of `listwise.policy.Policy`, by keyword, on top of a policy's name or file if one is given:

        with Reranker(llm="openai/gpt-4o", budget_usd="0.02") as reranker:
            ranking = reranker.rerank("why is the sky blue", ["Rayleigh scattering ...", "Paint ..."])

    The sync methods may be called from any thread; the async ones belong to one event loop at a time.

    Args:
        policy: a `Policy`, the name of a shipped one, or a TOML file.
        model: an LLM of your own instead of the policy's ``llm``; several are a chain, in which those after the
            first stand in for the policy's ``fallback``.
        scorer: a local model of your own instead of all that the policy's ``local`` names.
        ledger: where spending is counted: a file, ``off``, or a ledger of your own, which is not closed.
        run_id: the run that spending is counted for; the id of an earlier one goes on with what is left of its cap.
        trace: whether rankings carry a record of every window.
        settings: replace the policy's.

    Raises:
        ConfigError: a setting is unknown or cannot work; before any call is made.
    """

    def __init__(
        self,
        policy: Policy | str | Path | None = None,
        *,
        model: Model | Sequence[Model] | None = None,
        scorer: Scorer | None = None,
        ledger: Ledger | str | Path | None = None,
        run_id: str | None = None,
        trace: bool = False,
        **settings: Any,
    ) -> None:
        own = () if model is None else tuple(model) if isinstance(model, Sequence) else (model,)
        if own:
            settings = {**settings, "llm": own[0].identity.name}
        if isinstance(ledger, str | Path):
            settings, ledger = {**settings, "ledger": str(ledger)}, None
        self.policy = Policy.of(policy, **settings)
        if len(own) > max(1, len(self.policy.choices)):
            self.policy = Policy.of(self.policy, fallback=[each.identity.name for each in own[1:]])
        if scorer is not None and self.policy.trust is None:
            self.policy = Policy.of(self.policy, trust=LOCAL_TRUST)
        self.trace = trace
        self._own_ledger = ledger is None
        self.purse = Purse(
            ledger or self._open_ledger(run_id), run_id or new_run_id(), self.policy.account, self.policy.caps
        )
        try:
            capped = bool(self.purse.ledger.caps(self.policy.account))
            self._cascade = Cascade.of(self.policy, scorer, capped=capped)
            self._llm = LlmTier.of(self.policy, own, capped=capped) if self.policy.llm else None
            self._steering = Steering(self.policy, self._llm, self.purse, scored=bool(self._cascade.stages))
        except BaseException:
            if self._own_ledger:
                self.purse.ledger.close()
            raise
        self._cascades = PerLoop(self._cascade, Cascade.again)
        self._llms = PerLoop(self._llm, LlmTier.again) if self._llm else None
        self._closed = False
        shares = self.policy.duplicates == "share" and self.policy.pays
        self._spellings = Spellings(self.policy.depth) if shares else None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._portal: Portal | None = None
        self._portal_lock = threading.Lock()

    def rerank(
        self, query: str | Query | Request, passages: Sequence[Passage] = (), *, terms: Terms = AS_THE_POLICY
    ) -> Ranking:
        """Re-rank the passages of one query. See `arerank`."""
        return self._door().run(self.arerank(query, passages, terms=terms))

    async def arerank_anywhere(
        self, query: str | Query | Request, passages: Sequence[Passage] = (), *, terms: Terms = AS_THE_POLICY
    ) -> Ranking:
        """The same as `arerank`, for callers whose event loops are many, or come and go.

        The work is done in the loop behind the sync methods, and shares connections and limits with all that is
        done there.
        """
        return await self._door().wait(self.arerank(query, passages, terms=terms))

    def rerank_many(self, requests: Iterable[Request], *, ordered: bool = True) -> Iterator[Ranking]:
        """Re-rank many queries, as they come. See `arerank_many`."""
        return self._door().iterate(self.arerank_many(requests, ordered=ordered))

    async def arerank(
        self, query: str | Query | Request, passages: Sequence[Passage] = (), *, terms: Terms = AS_THE_POLICY
    ) -> Ranking:
        """Re-rank the passages of one query, given best first.

        Args:
            query: its text, a `Query`, or a whole `Request`.
            passages: texts, which get their position (from 0) as docid, or `Candidate` objects.
            terms: whose money it is, and limits below the policy's, for this query.

        Returns:
            Every candidate exactly once, best first, whatever the model said or failed to say.

        Raises:
            InputError: two candidates bear the same docid.
            Unpriced: the terms limit dollars, and nobody states what a model costs that may be asked.
            AnswerError: a bad answer, under the policy ``raise`` only.
        """
        request = query if isinstance(query, Request) else _request(query, passages)
        if terms.usd is not None:
            self._check_priced()
        self._see(request)
        return await self._turn(request, None, terms)

    async def arerank_many(
        self, requests: Iterable[Request] | AsyncIterable[Request], *, ordered: bool = True
    ) -> AsyncGenerator[Ranking, None]:
        """Re-rank a stream of queries, several at a time; rankings come in the order of the requests.

        With ``ordered=False`` they come as soon as they are done. Requests are taken from the stream only as there
        is room for them; but to escalate a share of the queries, all must be known first.
        """
        early: dict[int, Ranking] = {}
        following = 0
        async with aclosing(at_once(self._turns(requests), self.policy.concurrency)) as finished:
            async for at, ranking in finished:
                if not ordered:
                    yield ranking
                    continue
                early[at] = ranking
                while following in early:
                    yield early.pop(following)
                    following += 1

    async def ascore(self, request: Request) -> Scored:
        """Put a query through the stages before the LLM, and no further."""
        tab = self._tab(request)
        try:
            with self._at_work():
                return (await self._begin(request, tab)).scored
        finally:
            tab.close()

    @property
    def price(self) -> Price | None:
        """Of the LLM of first choice; None where there is none, or nobody states one."""
        return self._llm.first.price if self._llm is not None else None

    def plan(self, requests: Sequence[Request], **options: Any) -> Plan:
        """What re-ranking would take. See `aplan`."""
        return self._door().run(self.aplan(requests, **options))

    async def aplan(
        self, requests: Sequence[Request], *, strategies: Sequence[StrategyName] = (), sample: int | None = None
    ) -> Plan:
        """What re-ranking these queries would take in calls, tokens, dollars and time; nothing is spent.

        The local model runs only where the routes, or what the LLM is shown, depend on it.

        Args:
            requests: the queries.
            strategies: to be planned beside the policy's.
            sample: look at so many queries, evenly spread, and scale.
        """
        looked_at = requests if sample is None else _spread(requests, sample)
        scale = len(requests) / max(1, len(looked_at))
        if self._spellings is not None:
            spellings = Spellings(self.policy.depth)
            looked_at = [await spellings.first(each, self._store) for each in looked_at]
        names = dict.fromkeys((self.policy.strategy, *strategies))
        unspent = self._cascade.unspent()
        by_score = any(map(by_scores, names))
        work, routes = await self._work(unspent, looked_at, by_scores=by_score, scale=scale)
        counts = {route: round(count * scale) for route, count in sorted(routes.items())}
        stages = tuple(plan_stage(each, self.policy).times(scale, self.policy) for each in unspent.foreseen)
        if self._llm is None:
            return Plan(len(requests), counts, stages=stages)
        first = self._llm.first
        await self.purse.ledger.flush()
        habits = Habits.of(first.name, self.purse.ledger.samples(first.name))
        tiers, left_out = tiers_for(names, self._llm)
        plans = [await plan_strategy(name, tier, self.policy, work, habits) for name, tier in tiers.items()]
        return Plan(
            queries=len(requests),
            routes=counts,
            stages=stages,
            strategies=tuple(each.times(scale, self.policy) for each in plans),
            llm=first.name,
            price_source=first.price.source if first.price else None,
            counted=first.counter.rung,
            learned_from=habits.learned.calls(first.name),
            sampled=None if len(looked_at) == len(requests) else len(looked_at),
            left_out=left_out,
        )

    def explain(self, requests: Sequence[Request], qid: str) -> Explanation:
        """Why a query takes the route it takes. See `aexplain`."""
        return self._door().run(self.aexplain(requests, qid))

    async def aexplain(self, requests: Sequence[Request], qid: str) -> Explanation:
        """Why a query takes the route it takes; nothing is spent.

        Args:
            requests: all that are to be ranked together, where the routes depend on one another; or the one.
            qid: the query that is asked about.

        Raises:
            InputError: it is not among them.
        """
        places = [at for at, each in enumerate(requests) if each.query.qid == qid]
        if not places:
            raise InputError("no such query", qid=qid)
        together = requests if self._steering.waits_for_all(requests) else [requests[places[0]]]
        unspent = self._cascade.unspent()
        scored = [await unspent.score(each, self._tab(each)) for each in together]
        return self._steering.explain(scored, places[0] if together is requests else 0)

    async def _work(
        self, unspent: Cascade, requests: Sequence[Request], *, by_scores: bool, scale: float
    ) -> tuple[list[Work], Counter[Route]]:
        """What the LLM would get, and how many queries take which route.

        Args:
            by_scores: whether a strategy goes by scores.
            scale: how many queries each stands for.
        """
        reads_all = self.policy.escalate == "always" and self.policy.llm_depth is None and not by_scores
        if reads_all and not unspent.foreseen:
            scored = [Scored.as_given(each, self.policy.depth) for each in requests]
        else:
            scored = [await unspent.score(each, self._tab(each)) for each in requests]
        decisions = self._steering.decide_all(scored, scale)
        routes = Counter(decision.route for decision in decisions)
        decided = zip(scored, decisions, strict=True)
        return [Work(each, decision.option) for each, decision in decided if decision.route == "llm"], routes

    async def aclose(self) -> None:
        """Close connections, cache and ledger; may be called again. The reranker cannot be used afterwards.

        Queries that are under way in this event loop are cancelled. Connections of other event loops end with them.
        """
        self._closed = True
        try:
            await self._cancel_turns()
            await self._steering.aclose()
            for tier in (self._cascades.leave(), self._llms.leave() if self._llms else None):
                if tier is not None:
                    await tier.aclose()
        finally:
            self._cascade.shut()
            if self._llm is not None and self._llm.store is not None:
                self._llm.store.close()
            if self._own_ledger:
                self.purse.ledger.close()

    async def _cancel_turns(self) -> None:
        loop, this = asyncio.get_running_loop(), asyncio.current_task()
        under_way = [task for task in list(self._under_way) if task is not this and task.get_loop() is loop]
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)

    def close(self) -> None:
        """See `aclose`. What other threads are waiting for is cancelled."""
        with self._portal_lock:
            portal, self._portal = self._portal, None
        if portal is None:
            if self._closed:
                return
            portal = Portal()
        portal.cancel_all()
        portal.run(self.aclose())
        portal.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _door(self) -> Portal:
        with self._portal_lock:
            self._check_open()
            if self._portal is None:
                self._portal = Portal()
            return self._portal

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigError("this reranker is closed; make another one")

    async def _turns(
        self, requests: Iterable[Request] | AsyncIterable[Request]
    ) -> AsyncGenerator[Coroutine[Any, Any, Ranking], None]:
        """The work to be done, a coroutine a query."""
        stream = requests if isinstance(requests, AsyncIterable) else astream(requests)
        if not self._steering.waits_for_all(requests):
            async for request in stream:
                self._see(request)
                yield self._turn(request, None)
            return
        tabs: list[Tab] = []
        try:
            begun: dict[int, _Begun] = {}
            async with aclosing(at_once(self._beginnings(stream, tabs), self.policy.concurrency)) as finished:
                async for at, each in finished:
                    begun[at] = each
            in_order = [begun[at] for at in range(len(begun))]
            decisions = self._steering.decide_all([each.scored for each in in_order])
            for each, decision in zip(in_order, decisions, strict=True):
                yield self._turn(each, decision)
        except BaseException:  # left early: those that wait for their turn will not get it
            for tab in tabs:
                tab.close()
            raise

    async def _beginnings(
        self, stream: AsyncIterable[Request], tabs: list[Tab]
    ) -> AsyncGenerator[Coroutine[Any, Any, _Begun], None]:
        """The first half of the work, a coroutine a query; its account is among ``tabs`` from then on."""

        async def begin(request: Request, tab: Tab) -> _Begun:
            with self._at_work():
                return await self._begin(request, tab)

        async for request in stream:
            self._see(request)
            tabs.append(self._tab(request))
            yield begin(request, tabs[-1])

    async def _turn(
        self, work: Request | _Begun, decision: Decision | None, terms: Terms = AS_THE_POLICY
    ) -> Ranking:
        """One query, from its candidates to its ranking."""
        with self._at_work(), begin("rerank") as span:
            ranking = await self._ranked(work, decision, terms)
            if span.recording:
                span.note(attributes.of_receipt(ranking.receipt))
            return ranking

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """What the current task does is cancelled by `aclose`."""
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            yield
        finally:
            self._under_way.discard(task)

    async def _ranked(self, work: Request | _Begun, decision: Decision | None, terms: Terms) -> Ranking:
        tab = work.tab if isinstance(work, _Begun) else self._tab(work, terms)
        try:
            begun = work if isinstance(work, _Begun) else await self._begin(work, tab)
            tab.resume(begun.scored.seconds)
            ranking = _as_it_came(await self._routed(begun.scored, tab, decision), begun.query)
            tab.purse.note(ranking.receipt)
            return ranking
        finally:
            tab.close()

    async def _routed(self, scored: Scored, tab: Tab, decision: Decision | None) -> Ranking:
        request = scored.request
        decision = decision or await self._steering.decide(scored)
        if decision.route == "empty":
            return ranking_of(scored, (), Receipt(request.query.qid, "empty", decision.reason, 0))
        offer = decision.offer
        receipt = Receipt(
            qid=request.query.qid,
            route=decision.route,
            reason=decision.reason,
            candidates=len(request.candidates),
            local=self._cascade.name,
            stages=scored.stages,
            signal=decision.signal,
            expected_gain=offer.gain if offer else None,
            expected_usd=usd_of(offer.nano_usd) if offer else None,
            fallback="first_stage" if scored.stages and scored.scores is None else None,
            priced=self._cascade.priced,
            degraded=scored.degraded,
        )
        before = tab.nano_usd
        ranking = ranking_of(scored, scored.order, spent(receipt, tab))
        try:
            if decision.route == "llm" and self._llms is not None:
                ranking = await self._escalate(self._llms.here(), decision.option, scored, tab, receipt)
        finally:
            self._steering.settled(decision, tab.nano_usd - before, before)
        self._steering.log(decision, scored, ranking, tab.nano_usd - before, tab.purse)
        return ranking

    async def _escalate(
        self, llm: LlmTier, option: Option | None, scored: Scored, tab: Tab, receipt: Receipt
    ) -> Ranking:
        depth = self.policy.llm_depth or self.policy.depth
        if option is not None:
            llm, depth = llm.taking(option), option.depth
        if self._spellings is not None:
            await self._spellings.keep(scored.request, llm.store)
        try:
            scores = scored.prior_scores(depth)
            outcome = await llm.engine.rank(
                scored.request, scored.order[:depth], tab, scores=scores, trace=self.trace
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

    def _open_ledger(self, resumed: str | None) -> Ledger:
        """A file where money can be spent; where nothing costs any, nothing needs one."""
        policy = self.policy
        made_up = policy.simulated and policy.ledger is None
        if any(map(is_rerank_api, policy.scorers)) or (policy.llm and not made_up):
            return open_ledger(policy.ledger, policy.caps, resumed=resumed)
        return MemoryLedger()

    async def _begin(self, request: Request, tab: Tab) -> _Begun:
        """Put a query through the stages before the LLM."""
        self._check_open()
        cascade = self._cascades.here()
        asked = request
        if self._spellings is not None and len(request.candidates) > 1:
            asked = await self._spellings.first(request, self._store)
            if cascade.store is not None:
                await self._spellings.keep(asked, cascade.store)
        return _Begun(request.query, await cascade.score(asked, tab), tab)

    def _see(self, request: Request) -> None:
        if self._spellings is not None:
            self._spellings.see(request)

    @property
    def _store(self) -> AnswerStore | None:
        """Where answers are kept."""
        llm = self._llms.here().store if self._llms is not None else None
        return llm or self._cascades.here().store

    def _tab(self, request: Request, terms: Terms = AS_THE_POLICY) -> Tab:
        budget, purse = terms.budget(self.policy.budget), terms.purse(self.purse)
        return Tab(request.query.qid, budget, purse, patience_s=self.policy.timeout_s)

    def _check_priced(self) -> None:
        """Whether dollars can be kept to."""
        unpriced = [each.name for each in self._llm.chain if each.price is None] if self._llm is not None else []
        if not self._cascade.priced:
            unpriced.append(str(self._cascade.name))
        if unpriced:
            raise Unpriced(
                f"a budget in dollars, but no price is known of {', '.join(unpriced)}: set one with price "
                f"('{unpriced[0]}=INPUT,OUTPUT', in USD per million tokens), or limit calls or tokens instead"
            )


def _spread(requests: Sequence[Request], count: int) -> Sequence[Request]:
    """So many of them, evenly spread."""
    if count >= len(requests):
        return requests
    return [requests[at * len(requests) // count] for at in range(count)]


def _as_it_came(ranking: Ranking, query: Query) -> Ranking:
    """The ranking for the query as it is spelt; the receipt says how it was asked."""
    if ranking.query == query:
        return ranking
    notes = (said_of(ranking.query.text), *ranking.receipt.notes)
    return replace(ranking, query=query, receipt=replace(ranking.receipt, notes=notes))


def _request(query: str | Query, passages: Sequence[Passage]) -> Request:
    named = query if isinstance(query, Query) else Query("query", query)
    candidates = tuple(
        passage if isinstance(passage, Candidate) else Candidate(str(at), passage)
        for at, passage in enumerate(passages)
    )
    return Request(named, candidates)
