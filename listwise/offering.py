"""What the router may choose from: the fitted options, as far as a policy allows them, with what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

from listwise.errors import ConfigError
from listwise.policy import Policy
from listwise.routing.gain import GainModel
from listwise.routing.goals import Day, Dollars, Everything, Goal, Price, Share, Threshold
from listwise.routing.guarantee import guarantee
from listwise.routing.offers import Offer, Option
from listwise.routing.paced import Paced
from listwise.routing.signals import CHARS_A_TOKEN, Signals
from listwise.spend.ledger import Scope
from listwise.spend.money import nano_usd_down
from listwise.spend.purse import Purse
from listwise.stages.scored import Scored
from listwise.strategies import make
from listwise.strategies.base import play, windows_of
from listwise.tiers import LlmTier
from listwise.types import Usage

AUTO_SHARE = 0.3
"""The share of the queries that ``auto`` escalates where nothing says what a gain is worth: of those that the
router was fitted on, and of others as many as look like them."""
PROMPT_TOKENS = 300
"""Tokens of a prompt beside its passages."""
SAMPLE = 20
"""Passages at the head whose mean length is taken for all."""
PASSAGE_TOKENS = 8
"""Tokens that frame a passage."""
ANSWER_TOKENS = 4
"""Tokens of the answer that name a passage."""


class Offering:
    """Makes offers from a gain model's predictions."""

    def __init__(self, model: GainModel, llm: LlmTier, policy: Policy) -> None:
        self.model = model
        self._llm = llm
        self._policy = policy
        self._most = policy.llm_depth or policy.depth
        self._work = cache(self._played)

    @property
    def priced(self) -> bool:
        """Whether the LLM has a price, so that dollars mean anything."""
        return self._llm.first.price is not None

    def of(self, scored: Scored, signals: Signals) -> tuple[Offer, ...]:
        """One for each option that differs for so many candidates."""
        if len(scored.order) < 2:
            return ()
        passages = [scored.request.candidates[at].content for at in scored.order[:SAMPLE]]
        tokens = sum(map(len, passages)) / CHARS_A_TOKEN / len(passages)
        predicted = self.model.predict(signals)
        found: dict[Option, Offer] = {}
        for option in sorted(predicted, key=lambda each: (each.depth, each.votes)):
            possible = Option(option.tier, min(option.depth, self._most, len(scored.order)), option.votes)
            if possible not in found and self._llm.offers(possible):
                found[possible] = Offer(possible, predicted[option], self._nano_usd(possible, tokens))
        return tuple(found.values())

    def _nano_usd(self, option: Option, passage_tokens: float) -> int:
        """Expected, if the LLM finds the order right; the most that a query may cost is not exceeded."""
        price = self._llm.taking(option).first.price
        if price is None:
            return 0
        prompts, passages = self._work(option.depth, option.votes)
        asked = prompts * PROMPT_TOKENS + passages * (PASSAGE_TOKENS + passage_tokens)
        cost = price.cost(Usage(round(asked), output_tokens=passages * ANSWER_TOKENS))
        cap = self._policy.budget_usd
        return cost if cap is None else min(cost, nano_usd_down(cap))

    def _played(self, depth: int, votes: int) -> tuple[int, int]:
        """Prompts, and passages in them."""
        measures = self._policy.measures
        if votes != 1:
            measures["ballot"] = replace(measures["ballot"], votes=votes)
        windows = windows_of(play(make(self._llm.strategy, **measures), depth, lambda window: None))
        return len(windows), sum(map(len, windows))


def goal_of(policy: Policy, offering: Offering, purse: Purse) -> Goal:
    """What escalation is to achieve under a policy.

    Raises:
        ConfigError: dollars are to be weighed, and the LLM has no price.
    """
    model, priced = offering.model, offering.priced
    if (policy.point_usd is not None or policy.pace) and not priced:
        raise ConfigError(f"{policy.llm} has no known price, so its gains cannot be weighed against it; give one")
    if isinstance(policy.escalate, float):
        return Share(policy.escalate)
    if policy.pace:
        assert policy.budget_day_usd is not None
        kept = purse.ledger.caps(policy.account).get("day")
        cap = nano_usd_down(policy.budget_day_usd)
        return Day(Paced(purse, cap if kept is None else min(cap, kept)))
    if policy.point_usd is not None:
        return Price(nano_usd_down(policy.point_usd))
    if policy.max_loss is not None:
        return safe(model, policy.max_loss, policy.confidence)
    if policy.budget_total_usd is not None and priced:
        return Dollars(_left(purse, nano_usd_down(policy.budget_total_usd)))
    return fitted_threshold(model)


def fitted_threshold(model: GainModel) -> Goal:
    """Where nothing says what a gain is worth."""
    why = f"that {AUTO_SHARE:.0%} of the queries reach which the router was fitted on"
    return Threshold(partial(model.threshold, AUTO_SHARE), why)


def safe(model: GainModel, most: float, confidence: float) -> Goal:
    """Under a guarantee, which is of the best option; of one that a policy cuts short, the same share is taken."""
    predicted, realised = zip(*model.held_out, strict=True) if model.held_out else ((), ())
    found = guarantee(predicted, realised, alpha=most, confidence=confidence)
    threshold = found.threshold
    if threshold is None:
        return Everything(str(found))
    deepest = max(line.depth for line in model.options)

    def least(option: Option) -> float:
        return threshold if option.depth >= deepest else model.threshold(found.escalated, option)

    return Threshold(least, f"from which on the mean loss is at most {most:g} ({confidence:.0%} sure)")


def _left(purse: Purse, cap: int) -> Callable[[], int]:
    scope = Scope("run", purse.run)
    return lambda: max(0, cap - purse.ledger.held(scope))
