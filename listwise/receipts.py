"""Puts a ranking and its receipt together: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite

from listwise.engine import Outcome
from listwise.spend.money import usd_of
from listwise.spend.prices import is_simulated
from listwise.spend.tab import Tab
from listwise.tiers import LlmTier
from listwise.types import Fallback, Ranking, Receipt, Request


@dataclass(frozen=True, slots=True)
class Scored:
    """A request after the local tier."""

    request: Request
    order: tuple[int, ...]
    """Positions of the candidates within the depth, best first."""
    scores: tuple[float, ...] | None
    """Local scores of the candidates within the depth, in request order."""
    margin: float | None
    seconds: float
    degraded: tuple[str, ...] = ()

    def prior_scores(self, depth: int) -> list[float] | None:
        """The scores that made the order of the first ``depth``, best first: the local model's, else the first
        stage's; None where some are missing or no numbers, or say another order."""
        given = self.scores or [each.score for each in self.request.candidates[: len(self.order)]]
        scores = [score for at in self.order[:depth] if (score := given[at]) is not None and isfinite(score)]
        ordered = all(first >= then for first, then in pairwise(scores))
        return scores if ordered and len(scores) == min(depth, len(self.order)) else None


def ranking_of(
    request: Request, order: Sequence[int], receipt: Receipt, scores: Sequence[float] | None = None
) -> Ranking:
    """All candidates: those ordered first, then those below the depth as they came."""
    below = range(len(order), len(request.candidates))
    places = (*order, *below)
    return Ranking(
        query=request.query,
        candidates=tuple(request.candidates[at] for at in places),
        receipt=receipt,
        local_scores=None if scores is None else tuple(scores[at] if at < len(scores) else None for at in places),
    )


def fallback_of(outcome: Outcome, llm: LlmTier, scored: Scored) -> Fallback | None:
    """Where a ranking ended up that was to be the LLM's."""
    if not outcome.ordered_by:
        return "first_stage" if scored.scores is None else "local"
    return "llm" if outcome.passed_on else None


def billed(receipt: Receipt, llm: LlmTier, outcome: Outcome, tab: Tab) -> Receipt:
    """The receipt of an escalated query."""
    usage = tab.usage
    return replace(
        receipt,
        strategy=llm.strategy,
        model=llm.first.name,
        simulated=is_simulated(llm.first.name),
        ordered_by=dict(sorted(outcome.ordered_by.items())),
        calls=outcome.calls,
        attempts=tab.attempts,
        retries=tab.retries,
        cache_hits=outcome.cache_hits,
        passages_read=outcome.passages_read,
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usd=usd_of(tab.nano_usd),
        priced=llm.priced(outcome.asked),
        repairs=dict(sorted(outcome.repairs.items())),
        echoes=outcome.echoes,
        confirmed=len(outcome.findings.confirmed),
        refuted=len(outcome.findings.refuted) + len(outcome.findings.fallen),
        notes=tuple(outcome.notes),
        degraded=(*receipt.degraded, *outcome.degraded),
        truncated=outcome.truncated,
        counted=tab.counted,
        seconds=tab.seconds,
    )
