"""Puts a ranking and its receipt together: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from listwise.engine import Outcome
from listwise.spend.money import usd_of
from listwise.spend.prices import is_simulated
from listwise.spend.tab import Tab
from listwise.stages.scored import Scored
from listwise.tiers import LlmTier
from listwise.types import Fallback, Ranking, Receipt


def ranking_of(scored: Scored, order: Sequence[int], receipt: Receipt) -> Ranking:
    """All candidates: those ordered first, then those below the depth as they came."""
    request = scored.request
    places = (*order, *range(len(order), len(request.candidates)))

    def ordered(values: Sequence[float | None] | None) -> tuple[float | None, ...] | None:
        return None if values is None else tuple(values[at] if at < len(values) else None for at in places)

    return Ranking(
        query=request.query,
        candidates=tuple(request.candidates[at] for at in places),
        receipt=receipt,
        local_scores=ordered(scored.scores),
        probabilities=ordered(scored.probabilities),
    )


def fallback_of(outcome: Outcome, llm: LlmTier, scored: Scored) -> Fallback | None:
    """Where a ranking ended up that was to be the LLM's."""
    if not outcome.ordered_by:
        return "first_stage" if scored.scores is None else "local"
    return "llm" if outcome.passed_on else None


def spent(receipt: Receipt, tab: Tab) -> Receipt:
    """The receipt with what its query's account holds."""
    usage = tab.usage
    return replace(
        receipt,
        attempts=tab.attempts,
        retries=tab.retries,
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usd=usd_of(tab.nano_usd),
        over_cap=tab.over_cap,
        counted=tab.counted,
        seconds=tab.seconds,
    )


def billed(receipt: Receipt, llm: LlmTier, outcome: Outcome, tab: Tab) -> Receipt:
    """The receipt of an escalated query."""
    return replace(
        spent(receipt, tab),
        strategy=llm.strategy,
        model=llm.first.name,
        simulated=is_simulated(llm.first.name),
        ordered_by=dict(sorted(outcome.ordered_by.items())),
        calls=outcome.calls,
        cache_hits=outcome.cache_hits,
        passages_read=outcome.passages_read,
        priced=receipt.priced and llm.priced(outcome.asked),
        repairs=dict(sorted(outcome.repairs.items())),
        echoes=outcome.echoes,
        confirmed=len(outcome.findings.confirmed),
        refuted=len(outcome.findings.refuted) + len(outcome.findings.fallen),
        notes=tuple(outcome.notes),
        degraded=(*receipt.degraded, *outcome.degraded),
        truncated=outcome.truncated,
    )
