"""What an experiment would cost, before anything is spent: the plan of ``listwise plan`` for every system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from listwise.estimating import NOTHING, Span
from listwise.eval.experiments.folder import Entry
from listwise.eval.experiments.jobs import Job
from listwise.models.base import Model
from listwise.planning import Plan
from listwise.policy import Policy
from listwise.reranker import Reranker

State = Literal["done", "free", "simulated", "paid"]
"""What is left to do: nothing; what costs no money; what only a simulation is asked for; what may cost some."""


@dataclass(frozen=True, slots=True)
class Line:
    """One system on one collection."""

    collection: str
    system: str
    group: str
    """Its name without the seed."""
    state: State
    queries: int
    """That are to be done; 0 where all are."""
    model: str | None = None
    calls: int = 0
    """To all models that are paid: LLMs and rerank APIs."""
    cached: int = 0
    """Calls whose answers are in the cache, free of charge."""
    usd: Span = NOTHING
    seconds: Span = NOTHING
    priced: bool = True
    """False where a model has no known price: dollars are then 0."""


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """All systems on all collections, and the money there is for them."""

    lines: tuple[Line, ...]
    most_usd: Decimal | None
    """The experiment's budget."""
    spent_usd: Decimal
    """What earlier runs into the same folder spent of it."""

    @property
    def usd(self) -> Span:
        """All that is yet to be spent; never more than what is left of the budget."""
        total = sum((line.usd for line in self.lines), NOTHING)
        if self.most_usd is None:
            return total
        left = max(0.0, float(self.most_usd - self.spent_usd))
        return Span(min(total.low, left), min(total.expected, left), min(total.high, left))

    @property
    def seconds(self) -> Span:
        """Systems are run one after the other."""
        return sum((line.seconds for line in self.lines), NOTHING)

    @property
    def priced(self) -> bool:
        """Whether all that is to be paid has a known price."""
        return all(line.priced for line in self.lines)

    @property
    def may_cost(self) -> bool:
        """Whether anything can be spent, so that somebody is to be asked."""
        return any(line.state == "paid" and (line.usd.high > 0 or not line.priced) for line in self.lines)

    @property
    def short(self) -> bool:
        """Whether the budget may end before the work does: more is expected than is left."""
        expected = sum(line.usd.expected for line in self.lines)
        return self.most_usd is not None and expected > float(self.most_usd - self.spent_usd)


def plan_line(job: Job, entry: Entry | None, model_of: Callable[[Policy], Model]) -> Line:
    """What one job would take.

    Args:
        entry: what is known of it, if it was run before.
        model_of: an LLM by its policy, which is not going to be asked.

    Raises:
        ConfigError: a model cannot be used.
    """
    label = " (simulated)" if job.simulated and "simulated" not in job.system.name else ""
    named = job.material.name, job.system.name + label, job.system.group + label
    if entry is not None and not entry.lacking:
        return Line(*named, "done", 0)
    if job.policy is None or not job.policy.pays:
        state: State = "simulated" if job.simulated else "free"
        return Line(*named, state, len(job.requests or job.material.queries), job.system.model)
    with Reranker(job.policy, model=[model_of(choice) for choice in job.policy.choices] or None) as reranker:
        return _of(job, reranker.plan(job.requests))


def _of(job: Job, plan: Plan) -> Line:
    strategy = plan.strategies[0] if plan.strategies else None
    stages = plan.stages
    return Line(
        job.material.name,
        job.system.name,
        job.system.group,
        "paid",
        plan.queries,
        job.system.model,
        calls=sum(stage.calls for stage in stages) + (strategy.calls if strategy else 0),
        cached=sum(stage.cached for stage in stages) + (strategy.cached if strategy else 0),
        usd=sum((stage.usd for stage in stages), strategy.usd if strategy else NOTHING),
        seconds=strategy.seconds if strategy else NOTHING,
        priced=all(stage.priced for stage in stages) and (plan.llm is None or plan.price_source is not None),
    )
