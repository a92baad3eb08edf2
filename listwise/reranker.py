"""The public face: re-rank one query, or many, with a local model, an LLM, or both."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from listwise.course import AS_THE_POLICY, Begun, Course
from listwise.errors import ConfigError
from listwise.explaining import Explanation
from listwise.foresight import explanation_of, plan_of
from listwise.models.base import Model, Scorer
from listwise.models.rerank.naming import is_rerank_api
from listwise.planning import Plan
from listwise.policy import Policy
from listwise.portal import Portal
from listwise.routing.router import Decision
from listwise.spend.ledger import Ledger, MemoryLedger
from listwise.spend.opening import open_ledger
from listwise.spend.prices import Price
from listwise.spend.purse import Purse, new_run_id
from listwise.spend.tab import Tab
from listwise.spend.terms import Terms
from listwise.stages.scored import Scored
from listwise.strategies import StrategyName
from listwise.strategies.adaptive import LOCAL_TRUST
from listwise.streams import astream, at_once
from listwise.telemetry import attributes
from listwise.telemetry.spans import begin
from listwise.types import Candidate, Query, Ranking, Request, Watcher

Passage = str | Candidate


class Reranker:
    """Re-ranks candidates; every ranking comes with its receipt.

    Settings are those of `listwise.policy.Policy`, by keyword, on top of a policy's name or file if one is given:

        with Reranker(llm="openai/gpt-4o", budget_usd="0.02") as reranker:
            ranking = reranker.rerank("why is the sky blue", ["Rayleigh scattering ...", "Paint ..."])

    The sync methods may be called from any thread; the async ones belong to one event loop at a time. It does not
    outlive a fork: processes that are forked make one of their own.

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
        self._own_ledger = ledger is None
        self.purse = Purse(
            ledger or self._open_ledger(run_id), run_id or new_run_id(), self.policy.account, self.policy.caps
        )
        try:
            self._course = Course(self.policy, self.purse, own, scorer, trace=trace)
        except BaseException:
            if self._own_ledger:
                self.purse.ledger.close()
            raise
        self._closed, self._process = False, os.getpid()
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
        self,
        query: str | Query | Request,
        passages: Sequence[Passage] = (),
        *,
        terms: Terms = AS_THE_POLICY,
        watch: Watcher | None = None,
    ) -> Ranking:
        """Re-rank the passages of one query, given best first.

        Args:
            query: its text, a `Query`, or a whole `Request`.
            passages: texts, which get their position (from 0) as docid, or `Candidate` objects.
            terms: whose money it is, and limits below the policy's, for this query.
            watch: is told of each window that the LLM reads, as it is read.

        Returns:
            Every candidate exactly once, best first, whatever the model said or failed to say.

        Raises:
            InputError: two candidates bear the same docid.
            ConfigError: this reranker is closed, or of another process.
            Unpriced: the terms limit dollars, and nobody states what a model costs that may be asked.
            AnswerError: a bad answer, under the policy ``raise`` only.
        """
        request = query if isinstance(query, Request) else _request(query, passages)
        if terms.usd is not None:
            self._course.check_priced()
        self._course.see(request)
        return await self._turn(request, None, terms, watch)

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
        tab = self._course.tab(request)
        try:
            with self._at_work():
                return (await self._course.begin(request, tab)).scored
        finally:
            tab.close()

    @property
    def price(self) -> Price | None:
        """Of the LLM of first choice; None where there is none, or nobody states one."""
        return self._course.llm.first.price if self._course.llm is not None else None

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
        return await plan_of(self._course, requests, strategies, sample)

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
        return await explanation_of(self._course, requests, qid)

    async def aclose(self) -> None:
        """Close connections, cache and ledger; may be called again. The reranker cannot be used afterwards.

        Queries that are under way in this event loop are cancelled. Connections of other event loops end with them.
        """
        self._closed = True
        try:
            await self._cancel_turns()
            await self._course.aclose()
        finally:
            self._course.shut()
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
        """See `aclose`. What other threads wait for is cancelled; in a forked process, nothing is."""
        if self._process != os.getpid():
            return
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
        self._check_open()
        with self._portal_lock:
            if self._portal is None:
                self._portal = Portal()
            return self._portal

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigError("this reranker is closed; make another one")
        if self._process != os.getpid():
            raise ConfigError(
                "this reranker was made before a fork: its threads and connections are the other process's; "
                "make one in each process"
            )

    async def _turns(
        self, requests: Iterable[Request] | AsyncIterable[Request]
    ) -> AsyncGenerator[Coroutine[Any, Any, Ranking], None]:
        """The work to be done, a coroutine a query."""
        stream = requests if isinstance(requests, AsyncIterable) else astream(requests)
        if not self._course.steering.waits_for_all(requests):
            async for request in stream:
                self._course.see(request)
                yield self._turn(request, None)
            return
        tabs: list[Tab] = []
        try:
            begun: dict[int, Begun] = {}
            async with aclosing(at_once(self._beginnings(stream, tabs), self.policy.concurrency)) as finished:
                async for at, each in finished:
                    begun[at] = each
            in_order = [begun[at] for at in range(len(begun))]
            decisions = self._course.steering.decide_all([each.scored for each in in_order])
            for each, decision in zip(in_order, decisions, strict=True):
                yield self._turn(each, decision)
        except BaseException:  # left early: those that wait for their turn will not get it
            for tab in tabs:
                tab.close()
            raise

    async def _beginnings(
        self, stream: AsyncIterable[Request], tabs: list[Tab]
    ) -> AsyncGenerator[Coroutine[Any, Any, Begun], None]:
        """The first half of the work, a coroutine a query; its account is among ``tabs`` from then on."""

        async def begin(request: Request, tab: Tab) -> Begun:
            with self._at_work():
                return await self._course.begin(request, tab)

        async for request in stream:
            self._course.see(request)
            tabs.append(self._course.tab(request))
            yield begin(request, tabs[-1])

    async def _turn(
        self,
        work: Request | Begun,
        decision: Decision | None,
        terms: Terms = AS_THE_POLICY,
        watch: Watcher | None = None,
    ) -> Ranking:
        """One query, from its candidates to its ranking."""
        with self._at_work(), begin("rerank") as span:
            ranking = await self._course.rank(work, decision, terms, watch)
            if span.recording:
                span.note(attributes.of_receipt(ranking.receipt))
            return ranking

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """What the current task does is cancelled by `aclose`.

        Raises:
            ConfigError: that was called already.
        """
        self._check_open()
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            yield
        finally:
            self._under_way.discard(task)

    def _open_ledger(self, resumed: str | None) -> Ledger:
        """A file where money can be spent; where nothing costs any, nothing needs one."""
        policy = self.policy
        made_up = policy.simulated and policy.ledger is None
        if any(map(is_rerank_api, policy.scorers)) or (policy.llm and not made_up):
            return open_ledger(policy.ledger, policy.caps, resumed=resumed)
        return MemoryLedger()


def _request(query: str | Query, passages: Sequence[Passage]) -> Request:
    named = query if isinstance(query, Query) else Query("query", query)
    candidates = tuple(
        passage if isinstance(passage, Candidate) else Candidate(str(at), passage)
        for at, passage in enumerate(passages)
    )
    return Request(named, candidates)
