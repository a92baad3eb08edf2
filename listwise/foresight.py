"""What will become of queries, before anything is spent: the plan of a run, and why a query goes where it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from listwise.course import Course
from listwise.errors import InputError
from listwise.estimating import Habits
from listwise.explaining import Explanation
from listwise.planning import Plan, Work, plan_stage, plan_strategy, tiers_for
from listwise.routing.spellings import Spellings
from listwise.stages.cascade import Cascade
from listwise.stages.scored import Scored
from listwise.strategies import StrategyName, by_scores
from listwise.types import Request, Route


async def plan_of(
    course: Course, requests: Sequence[Request], strategies: Sequence[StrategyName], sample: int | None
) -> Plan:
    """See `listwise.Reranker.aplan`."""
    looked_at = requests if sample is None else _spread(requests, sample)
    scale = len(requests) / max(1, len(looked_at))
    if course.spellings is not None:
        spellings = Spellings(course.policy.depth)
        looked_at = [await spellings.first(each, course.store) for each in looked_at]
    names = dict.fromkeys((course.policy.strategy, *strategies))
    unspent = course.cascade.unspent()
    by_score = any(map(by_scores, names))
    work, routes = await _work(course, unspent, looked_at, by_scores=by_score, scale=scale)
    counts = {route: round(count * scale) for route, count in sorted(routes.items())}
    stages = tuple(plan_stage(each, course.policy).times(scale, course.policy) for each in unspent.foreseen)
    if course.llm is None:
        return Plan(len(requests), counts, stages=stages)
    first = course.llm.first
    await course.purse.ledger.flush()
    habits = Habits.of(first.name, course.purse.ledger.samples(first.name))
    tiers, left_out = tiers_for(names, course.llm)
    plans = [await plan_strategy(name, tier, course.policy, work, habits) for name, tier in tiers.items()]
    return Plan(
        queries=len(requests),
        routes=counts,
        stages=stages,
        strategies=tuple(each.times(scale, course.policy) for each in plans),
        llm=first.name,
        price_source=first.price.source if first.price else None,
        counted=first.counter.rung,
        learned_from=habits.learned.calls(first.name),
        sampled=None if len(looked_at) == len(requests) else len(looked_at),
        left_out=left_out,
    )


async def explanation_of(course: Course, requests: Sequence[Request], qid: str) -> Explanation:
    """See `listwise.Reranker.aexplain`."""
    places = [at for at, each in enumerate(requests) if each.query.qid == qid]
    if not places:
        raise InputError("no such query", qid=qid)
    together = requests if course.steering.waits_for_all(requests) else [requests[places[0]]]
    unspent = course.cascade.unspent()
    scored = [await unspent.score(each, course.tab(each)) for each in together]
    return course.steering.explain(scored, places[0] if together is requests else 0)


async def _work(
    course: Course, unspent: Cascade, requests: Sequence[Request], *, by_scores: bool, scale: float
) -> tuple[list[Work], Counter[Route]]:
    """What the LLM would get, and how many queries take which route.

    Args:
        by_scores: whether a strategy goes by scores.
        scale: how many queries each stands for.
    """
    reads_all = course.policy.escalate == "always" and course.policy.llm_depth is None and not by_scores
    if reads_all and not unspent.foreseen:
        scored = [Scored.as_given(each, course.policy.depth) for each in requests]
    else:
        scored = [await unspent.score(each, course.tab(each)) for each in requests]
    decisions = course.steering.decide_all(scored, scale)
    routes = Counter(decision.route for decision in decisions)
    decided = zip(scored, decisions, strict=True)
    return [Work(each, decision.option) for each, decision in decided if decision.route == "llm"], routes


def _spread(requests: Sequence[Request], count: int) -> Sequence[Request]:
    """So many of them, evenly spread."""
    if count >= len(requests):
        return requests
    return [requests[at * len(requests) // count] for at in range(count)]
