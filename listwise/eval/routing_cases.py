"""Makes cases for the router: of judged queries that an LLM ranks, or ranked; of the log of routes, without
judgements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from listwise.eval.measures import evaluate
from listwise.eval.simulate import Prior, replay
from listwise.formats.trec import Qrels, Run, Scored
from listwise.policy import Policy
from listwise.reranker import Reranker
from listwise.routing.cases import Case, Outcome
from listwise.routing.exploration import labels
from listwise.routing.offers import FIRST_CHOICE, Option
from listwise.routing.signals import Signals
from listwise.spend.money import nano_usd_up
from listwise.spend.routes import Routed
from listwise.strategies import make
from listwise.types import Ranking, Request

MEASURE = "nDCG@10"


async def asked(
    policy: Policy,
    requests: Sequence[Request],
    qrels: Qrels,
    options: Sequence[Option],
    collection: str = "",
    said: Callable[[str], None] = lambda line: None,
) -> list[Case]:
    """Cases of judged queries, each ranked by the policy's LLM once for each option. It is paid for, through the
    policy's cache and under its budgets; ``said`` is told how far it got."""
    judged = [request for request in requests if request.query.qid in qrels]
    signals, local = await _local(policy, judged)
    base = _ndcg(local, qrels)
    reached: list[tuple[Option, Mapping[str, float], Mapping[str, int]]] = []
    for option in options:
        deep = Policy.of(policy, escalate="always", llm_depth=option.depth, votes=option.votes)
        async with Reranker(deep) as reranker:
            rankings = [each async for each in reranker.arerank_many(judged)]
        spent = sum((each.receipt.usd for each in rankings), Decimal(0))
        said(f"depth {option.depth}, votes {option.votes}: {len(rankings)} queries ranked, ${spent:.4f}")
        costs = {each.query.qid: nano_usd_up(each.receipt.usd) for each in rankings}
        reached.append((option, _ndcg(rankings, qrels), costs))
    return [
        Case(
            qid,
            signals[qid],
            base[qid],
            tuple(Outcome(option, ndcg[qid], costs[qid]) for option, ndcg, costs in reached),
            collection,
            (policy.llm or "").partition(",qrels=")[0],
        )
        for qid in signals
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
    window that the policy's strategy asks. Nothing is asked or spent."""
    judged = [request for request in requests if request.query.qid in qrels]
    signals, local = await _local(policy, judged)
    base = _ndcg(local, qrels)
    cases = []
    for name, run in runs.items():
        reached = []
        for option in options:
            measures = policy.measures
            measures["depth"] = option.depth
            strategy = make(policy.strategy, **measures)
            orders = {}
            for ranking in local:
                docids = tuple(each.docid for each in ranking.candidates)
                prior = Prior(ranking.query.qid, docids, _scores(ranking))
                held = [each.docid for each in run.get(ranking.query.qid, ())]
                orders[ranking.query.qid] = replay(strategy, prior, held or docids).docids
            reached.append((option, _measured(orders, qrels)))
        cases += [
            Case(
                qid,
                signals[qid],
                base[qid],
                tuple(Outcome(option, ndcg[qid]) for option, ndcg in reached),
                collection,
                name,
            )
            for qid in signals
        ]
    return cases


def logged(log: Iterable[Routed], gain_per_disagreement: float) -> list[Case]:
    """Cases without judgements: of queries in the log of routes that an LLM ranked. What it gained is taken to be
    in proportion to how much it disagreed with the local order. All count as one option, the deepest."""
    found = list(labels(log, gain_per_disagreement))
    if not found:
        return []
    deepest = max(label.option.depth for label in found)
    option = Option(FIRST_CHOICE, deepest)
    return [
        Case(
            f"{label.qid} #{at}",
            label.signals,
            0.0,
            (Outcome(option, label.gain, label.nano_usd or 0),),
            "the log of routes",
            "",
            label.weight,
        )
        for at, label in enumerate(found)
    ]


async def _local(policy: Policy, requests: Sequence[Request]) -> tuple[dict[str, Signals], list[Ranking]]:
    """The signals of each query, and its local ranking."""
    quiet = Policy.of(policy, escalate="never", ledger="off")
    async with Reranker(quiet) as reranker:
        rankings = [each async for each in reranker.arerank_many(requests)]
        signals = {
            each.query.qid: (await reranker.aexplain([each], each.query.qid)).asked.signals for each in requests
        }
    return signals, rankings


def _scores(ranking: Ranking) -> tuple[float, ...] | None:
    scores = ranking.local_scores or [each.score for each in ranking.candidates]
    known = [score for score in scores if score is not None]
    return tuple(known) if len(known) == len(scores) else None


def _ndcg(rankings: Iterable[Ranking], qrels: Qrels) -> Mapping[str, float]:
    return _measured({each.query.qid: [one.docid for one in each.candidates] for each in rankings}, qrels)


def _measured(orders: Mapping[str, Sequence[str]], qrels: Qrels) -> Mapping[str, float]:
    run = {
        qid: [Scored(docid, -float(at), at + 1) for at, docid in enumerate(docids)]
        for qid, docids in orders.items()
    }
    (measured,) = evaluate(run, {qid: qrels[qid] for qid in orders}, [MEASURE])
    return measured.by_query
