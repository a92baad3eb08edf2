"""Makes cases for the router: of judged queries that an LLM ranks, or ranked; of the log of routes, without
judgements."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple

from listwise.eval.measures import evaluate
from listwise.eval.simulate import Prior, replay
from listwise.formats.trec import Qrels, Run
from listwise.formats.trec import Scored as Ranked
from listwise.policy import Policy
from listwise.reranker import Reranker
from listwise.routing.cases import LOG, Case, Outcome
from listwise.routing.disagreement import disagreement
from listwise.routing.exploration import labels
from listwise.routing.offers import FIRST_CHOICE, Option
from listwise.spend.money import nano_usd_up
from listwise.spend.prices import Price
from listwise.spend.purse import Purse
from listwise.spend.routes import Routed
from listwise.stages.scored import Scored
from listwise.strategies import make
from listwise.streams import at_once
from listwise.types import Ranking, Request, WindowTrace

MEASURE = "nDCG@10"
_NO_AIM: Mapping[str, Any] = {
    "margin": None,
    "point_usd": None,
    "max_loss": None,
    "pace": False,
    "explore": 0.0,
}


async def asked(
    policy: Policy,
    requests: Sequence[Request],
    qrels: Qrels,
    options: Sequence[Option],
    collection: str = "",
    told: Callable[[Ranking], None] = lambda ranking: None,
) -> list[Case]:
    """Cases of judged queries, each ranked by the policy's LLM once for each option.

    It is paid for, through the policy's cache and under its budgets, all of it as one run. Queries that the LLM of
    first choice did not rank every time, because it failed or money was short, make no case.

    Args:
        told: of each ranking, as soon as it is there.
    """
    judged, policies = judged_among(requests, qrels), [_deep(policy, option) for option in options]
    async with Reranker(_ruled(policy, escalate="always")) as books:
        local = await _scored(policy, judged, books.purse)
        base = _measured({qid: _order(scored) for qid, scored in local.items()}, qrels)
        reached = [await _asked(deep, judged, books.purse, told) for deep in policies]
    ndcg = [_measured({qid: one.docids for qid, one in by_query.items()}, qrels) for by_query in reached]
    return [
        Case(
            qid,
            scored.signals,
            base[qid],
            tuple(
                Outcome(option, measured[qid], by_query[qid].nano_usd, _differ(scored, by_query[qid].docids))
                for option, measured, by_query in zip(options, ndcg, reached, strict=True)
            ),
            collection,
            (policy.llm or "").partition(",qrels=")[0],
        )
        for qid, scored in local.items()
        if all(qid in by_query for by_query in reached)
    ]


async def recorded(
    policy: Policy,
    requests: Sequence[Request],
    qrels: Qrels,
    options: Sequence[Option],
    runs: Mapping[str, Run],
    collection: str = "",
) -> list[Case]:
    """Cases of judged queries that LLMs ranked elsewhere: their runs, by name, are taken for their opinion of every
    window that the policy's strategy asks. No LLM is asked. A query that a run does not have makes no case."""
    local = await _scored(policy, judged_among(requests, qrels), None)
    base = _measured({qid: _order(scored) for qid, scored in local.items()}, qrels)
    cases = []
    for name, run in runs.items():
        ranked = {qid: scored for qid, scored in local.items() if run.get(qid)}
        reached = []
        for option in options:
            measures = policy.measures
            measures["depth"] = option.depth
            strategy = make(policy.strategy, **measures)
            orders = {}
            for qid, scored in ranked.items():
                docids, within = _order(scored), len(scored.order)
                scores = scored.prior_scores(within)
                prior = Prior(qid, docids[:within], None if scores is None else tuple(scores))
                played = replay(strategy, prior, [each.docid for each in run[qid]])
                orders[qid] = (*played.docids, *docids[within:])
            reached.append((option, _measured(orders, qrels), orders))
        cases += [
            Case(
                qid,
                scored.signals,
                base[qid],
                tuple(
                    Outcome(option, ndcg[qid], 0, _differ(scored, orders[qid])) for option, ndcg, orders in reached
                ),
                collection,
                name,
            )
            for qid, scored in ranked.items()
        ]
    return cases


def logged(log: Iterable[Routed], gain_per_disagreement: float) -> list[Case]:
    """Cases without judgements: of queries in the log of routes that an LLM ranked. What it gained is taken to be
    in proportion to how much it disagreed with the local order. All count as one option, the deepest.

    A query that comes again, which is one with the same signals, is the same query: fits count it once, and do not
    take it for new where they look at what they were not fitted to.
    """
    found = list(labels(log, gain_per_disagreement))
    if not found:
        return []
    option = Option(FIRST_CHOICE, max(label.option.depth for label in found))
    names: dict[object, str] = {}
    return [
        Case(
            names.setdefault(tuple(sorted(label.signals.items())) or label.qid, f"{label.qid} #{len(names)}"),
            label.signals,
            0.0,
            (Outcome(option, label.gain, label.nano_usd or 0),),
            LOG,
            "",
            label.weight,
        )
        for label in found
    ]


def judged_among(requests: Iterable[Request], qrels: Qrels) -> list[Request]:
    """Those of which it can be told what an LLM gains: judged, with something to put in order."""
    return [each for each in requests if each.query.qid in qrels and len(each.candidates) > 1]


class _Reached(NamedTuple):
    """What the LLM made of one query."""

    docids: tuple[str, ...]
    nano_usd: int
    """What it costs to ask for the first time, wherever the answers came from."""


def _deep(policy: Policy, option: Option) -> Policy:
    """What asks for an option. One vote leaves it to the policy how many are held, as it does in a router."""
    votes = {} if option.votes == 1 else {"votes": option.votes}
    return _ruled(policy, escalate="always", llm_depth=option.depth, **votes)


async def _asked(
    policy: Policy, requests: Sequence[Request], books: Purse, told: Callable[[Ranking], None]
) -> dict[str, _Reached]:
    """By qid, of the queries that the LLM of first choice ranked."""
    found = {}
    async with (
        Reranker(policy, ledger=books.ledger, run_id=books.run, trace=True) as reranker,
        aclosing(reranker.arerank_many(requests, ordered=False)) as rankings,
    ):
        async for ranking in rankings:
            told(ranking)
            if ranking.receipt.ordered_by and ranking.receipt.fallback is None:
                costs = sum(_nano_usd(window, reranker.price) for window in ranking.windows)
                found[ranking.query.qid] = _Reached(ranking.docids, costs)
    return found


def _nano_usd(window: WindowTrace, price: Price | None) -> int:
    return price.cost(window.usage) if window.cached and price else nano_usd_up(window.usd)


async def _scored(policy: Policy, requests: Sequence[Request], books: Purse | None) -> dict[str, Scored]:
    """Each query after the stages before the LLM, by qid.

    Args:
        books: what these cost is counted there; by default as the policy says.
    """
    quiet = _ruled(policy, escalate="never", llm=None, fallback=())
    ledger, run = (books.ledger, books.run) if books else (None, None)
    async with Reranker(quiet, ledger=ledger, run_id=run) as reranker:

        async def works() -> AsyncGenerator[Coroutine[Any, Any, Scored], None]:
            for request in requests:
                yield reranker.ascore(request)

        async with aclosing(at_once(works(), policy.concurrency)) as finished:
            done = {at: scored async for at, scored in finished}
    return {request.query.qid: done[at] for at, request in enumerate(requests)}


def _ruled(policy: Policy, **settings: Any) -> Policy:
    """The policy without what it aims for, so that it may say itself which queries go where."""
    return Policy.of(policy, **{**_NO_AIM, **settings})


def _order(scored: Scored) -> tuple[str, ...]:
    """All candidates in the local order."""
    candidates = scored.request.candidates
    return tuple(candidates[at].docid for at in (*scored.order, *range(len(scored.order), len(candidates))))


def _differ(scored: Scored, docids: Sequence[str]) -> float:
    return disagreement(_order(scored), docids)


def _measured(orders: Mapping[str, Sequence[str]], qrels: Qrels) -> Mapping[str, float]:
    if not orders:
        return {}
    run = {
        qid: [Ranked(docid, -float(at), at + 1) for at, docid in enumerate(docids)]
        for qid, docids in orders.items()
    }
    (measured,) = evaluate(run, {qid: qrels[qid] for qid in orders}, [MEASURE])
    return measured.by_query
