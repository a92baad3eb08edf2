"""Ranks what clients ask: one reranker a policy, one local model for all of them, and one ledger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

from listwise.errors import AnswerError, ConfigError, Unpriced
from listwise.models.base import Scorer
from listwise.models.local import load_scorer
from listwise.models.rerank.naming import is_rerank_api
from listwise.policy import Policy
from listwise.reranker import Reranker
from listwise.serve.admission import Gate
from listwise.serve.bodies import Ask, cut, tokens_of
from listwise.serve.refusals import Refusal, busy
from listwise.serve.scores import ScoreType, scores_of
from listwise.serve.settings import ServeSettings
from listwise.serve.tally import Tally
from listwise.serve.wishes import check_size, deadline_s, policy_named, wish_of
from listwise.spend.ledger import Ledger
from listwise.spend.terms import Terms
from listwise.telemetry.listening import heard_by
from listwise.types import Candidate, Query, Ranking, Receipt, Request, Watcher

SLACK_S = 0.25
"""Beyond a deadline, for a ranking that keeps it to come back; after that its request is answered without it."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What came of a request."""

    request_id: str
    policy: str
    ranking: Ranking
    score_type: ScoreType
    scores: list[float]
    tokens: int
    top: int | None

    @property
    def places(self) -> list[int]:
        """The documents to be returned, best first, by their places in the request."""
        return [int(docid) for docid in self.ranking.docids[: self.top]]


class Service:
    """Everything that one worker holds.

    Attributes:
        draining: whether it is about to stop, and takes on nothing new.

    Raises:
        ConfigError: a policy cannot work here.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.draining = False
        self.gate = Gate(settings.limits.running, settings.limits.queue)
        self.rerankers: dict[str, Reranker] = {}
        self._scorers: dict[tuple[str, str], Scorer] = {}
        self._work: set[asyncio.Task[Ranking]] = set()
        try:
            for name, policy in settings.policies.items():
                self.rerankers[name] = self._reranker(policy)
        except BaseException:
            self.close()
            raise

    @property
    def ledger(self) -> Ledger:
        """Of the first policy; all those that spend from the same file share it."""
        return self.rerankers[self.settings.default].purse.ledger

    async def rank(
        self,
        ask: Ask,
        *,
        request_id: str,
        headers: Mapping[str, str],
        account: str | None = None,
        watch: Watcher | None = None,
        tally: Tally | None = None,
    ) -> Ranked:
        """Rank a client's documents, within its deadline from now on; where that passes, as they came.

        ``tally`` hears of all that is done for it.

        Raises:
            Refusal: it cannot be taken on, or there are no dollars left and the service says so.
        """
        began, tally = time.monotonic(), tally or Tally()
        limits = self.settings.limits
        wish = wish_of(ask, headers)
        name = policy_named(wish, ask, self.settings.policies)
        check_size(ask, limits)
        reranker = self.rerankers[name]
        request = _request(request_id, ask)
        left_s = deadline_s(wish, reranker.policy, limits)

        async def work() -> Ranking:
            async with self.gate.entered():
                terms = Terms(account, wish.budget_usd, max(0.001, left_s - (time.monotonic() - began)))
                return await reranker.arerank(request, terms=terms, watch=watch)

        try:
            with heard_by(tally), self._task(asyncio.create_task(work())) as task:
                async with asyncio.timeout(left_s + SLACK_S):
                    ranking = await task
        except TimeoutError:
            ranking = _as_it_came(request, tally.most_usd, time.monotonic() - began)
        except Unpriced as error:
            raise Refusal(422, "invalid", str(error)) from error
        except AnswerError as error:
            raise Refusal(502, "failed", str(error)) from error
        except asyncio.CancelledError:
            if not self.draining or _is_cancelled():
                raise
            raise stopping() from None
        self._check_paid(ranking.receipt)
        kind, scores = scores_of(ranking)
        return Ranked(request_id, name, ranking, kind, scores, tokens_of(ask), ask.top)

    def cancel(self) -> None:
        """End the rankings that run: what they spent is settled, and their clients are told to come again."""
        for task in self._work:
            task.cancel()

    async def aclose(self) -> None:
        """Cancel what runs, settle, and let go of files and connections."""
        self.cancel()
        for reranker in self.rerankers.values():
            await reranker.aclose()

    def close(self) -> None:
        """The same where no event loop ran."""
        for reranker in self.rerankers.values():
            reranker.close()

    @contextmanager
    def _task(self, task: asyncio.Task[Ranking]) -> Iterator[asyncio.Task[Ranking]]:
        self._work.add(task)
        try:
            yield task
        finally:
            self._work.discard(task)
            task.cancel()

    def _check_paid(self, receipt: Receipt) -> None:
        """Whether there were dollars for what was to be asked, where the service refuses without."""
        over = receipt.over_cap
        if self.settings.over_cap == "refuse" and over not in (None, "query") and not receipt.ordered_by:
            raise Refusal(402, "over_cap", f"no dollars are left: the cap of the {over} is reached")

    def _reranker(self, policy: Policy) -> Reranker:
        """A reranker that shares the local model with those before it, where it has the same."""
        scorer = None
        alone = policy.local[0] if len(policy.local) == 1 else None
        if alone is not None and alone.depth is None and not is_rerank_api(alone.scorer):
            key = (alone.scorer, policy.long_passages)
            if key not in self._scorers:
                self._scorers[key] = load_scorer(*key)
            scorer = self._scorers[key]
        reranker = Reranker(policy, scorer=scorer, run_id=self.settings.run_id)
        if self.settings.keys is not None and policy.pays and policy.llm is not None and reranker.price is None:
            reranker.close()
            raise ConfigError(
                f"{policy.llm}: keys have caps in dollars, and no price is known for it: give one with --price"
            )
        return reranker


def stopping() -> Refusal:
    """For requests that come, or are still under way, when the service stops."""
    return busy("the service is stopping: ask again", 1.0, status=503, outcome="draining")


def _request(request_id: str, ask: Ask) -> Request:
    most = ask.document_tokens
    texts = ask.texts if most is None else [cut(text, most) for text in ask.texts]
    return Request(Query(request_id, ask.query), tuple(Candidate(str(at), text) for at, text in enumerate(texts)))


def _as_it_came(request: Request, most_usd: Decimal, seconds: float) -> Ranking:
    """The best order that there is where nothing was ranked in time, with the most that it can have cost."""
    why = "the deadline passed before anything was ranked: the order stands as it came"
    receipt = Receipt(
        qid=request.query.qid,
        route="first_stage",
        reason="the deadline passed",
        candidates=len(request.candidates),
        fallback="first_stage",
        degraded=(why,),
        usd=most_usd,
        seconds=seconds,
    )
    return Ranking(request.query, request.candidates, receipt)


def _is_cancelled() -> bool:
    """Whether it is the current task itself that is to end, and not one that it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
