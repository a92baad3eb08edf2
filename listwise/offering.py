"""What the router may choose from: the fitted options, as far as a policy allows them, with what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate
from math import inf, isinf

from listwise.errors import ConfigError
from listwise.estimating import REASONING_SHARE
from listwise.policy import Policy
from listwise.routing.gain import GainModel
from listwise.routing.goals import Bar, Day, Dollars, Goal, Price, Rate, Share, Threshold
from listwise.routing.guarantee import guarantee
from listwise.routing.knapsack import steps_of
from listwise.routing.offers import FIRST_CHOICE, Offer, Option
from listwise.routing.paced import Paced
from listwise.routing.signals import Signals, tokens_of
from listwise.spend.ledger import Scope
from listwise.spend.money import nano_usd_down
from listwise.spend.purse import Purse
from listwise.stages.scored import Scored
from listwise.strategies import make
from listwise.strategies.base import play, windows_of
from listwise.tiers import LlmTier
from listwise.types import Usage

AUTO_SHARE = 0.3
"""Of what it costs to escalate all in full: what ``auto`` spends where nothing says what a gain is worth, on
queries such as the router was fitted on. Where the LLM has no price: the share of the queries that it escalates."""
COUNTED = 20
"""Passages from the top whose length tells that of all."""
PROMPT_TOKENS = 300
"""Tokens of a prompt beside its passages."""
PASSAGE_TOKENS = 8
"""Tokens that frame a passage."""
ANSWER_TOKENS = 4
"""Tokens of the answer that name a passage."""
FULL = 100
"""What the dearest of a query's offers costs, where costs are compared over queries."""
TIE = 1 + 1e-9
"""Above one, so that of equals none is taken."""


class Offering:
    """Makes offers from a gain model's predictions.

    Raises:
        ConfigError: the LLM can carry out none of the model's options.
    """

    def __init__(self, model: GainModel, llm: LlmTier, policy: Policy) -> None:
        self.model = model
        self._llm = llm
        self._policy = policy
        most = policy.llm_depth or policy.depth
        self._most = min(most, policy.window) if policy.strategy == "single" else most
        self._options = sorted(line.option for line in model.options if llm.offers(line.option))
        self._work = cache(self._played)
        if not self._options:
            known = ", ".join(sorted({line.tier for line in model.options}))
            raise ConfigError(f"{policy.llm} can do nothing that the router {policy.router} predicts ({known})")

    @property
    def priced(self) -> bool:
        """Whether the LLM has a price, so that dollars mean anything."""
        return self._llm.first.price is not None

    def of(self, scored: Scored, signals: Signals) -> tuple[Offer, ...]:
        """One for each option that differs for so many candidates: of one that reads more than there are, what is
        predicted for the one that reads least. Where there are no signals, what is expected of queries in the mean.
        """
        if len(scored.order) < 2:
            return ()
        predicted = self.model.predict(signals)
        head = [scored.request.candidates[at].content for at in scored.order[:COUNTED]]
        a_passage = tokens_of(head) / len(head)
        found: dict[Option, Offer] = {}
        for option in self._options:
            possible = replace(option, depth=min(option.depth, self._most, len(scored.order)))
            if possible not in found:
                cost = self._nano_usd(possible, a_passage)
                found[possible] = Offer(possible, predicted[option], cost, known=bool(signals))
        return tuple(found.values())

    def _nano_usd(self, option: Option, passage_tokens: float) -> int:
        """Expected, if the LLM finds the order right; the most that a query may cost is not exceeded."""
        llm = self._llm.taking(option).first
        if llm.price is None:
            return 0
        prompts, passages = self._work(option.depth, option.votes)
        asked = prompts * PROMPT_TOKENS + passages * (PASSAGE_TOKENS + passage_tokens)
        answered = float(passages * ANSWER_TOKENS)
        if llm.model.reasons:
            answered += prompts * REASONING_SHARE * llm.reader.most_output(min(option.depth, self._policy.window))
        cost = llm.price.cost(Usage(round(asked), output_tokens=round(answered)))
        cap = self._policy.budget_usd
        return cost if cap is None else min(cost, nano_usd_down(cap))

    def _played(self, depth: int, votes: int) -> tuple[int, int]:
        """Prompts, and passages in them."""
        strategy = make(self._llm.strategy, **self._llm.taking(Option(FIRST_CHOICE, depth, votes)).measures)
        windows = windows_of(play(strategy, depth, lambda window: None))
        return len(windows), sum(map(len, windows))


def goal_of(policy: Policy, offering: Offering, purse: Purse) -> Goal | None:
    """What escalation is to achieve under a policy; None where a rule decides, that looks at no gain.

    Raises:
        ConfigError: dollars are to be weighed, and the LLM has no price; or queries are to be told apart, and the
            router tells nothing.
    """
    model, priced = offering.model, offering.priced
    if policy.escalate in ("never", "always") or policy.margin is not None:
        return None
    if (policy.point_usd is not None or policy.pace) and not priced:
        raise ConfigError(f"{policy.llm} has no known price, so its gains cannot be weighed against it; give one")
    if isinstance(policy.escalate, float):
        return share_of(model, policy.escalate)
    if policy.pace:
        assert policy.budget_day_usd is not None
        cap, kept = nano_usd_down(policy.budget_day_usd), purse.ledger.caps(policy.account).get("day")
        return Day(Paced(purse, cap if kept is None else min(cap, kept)))
    if policy.point_usd is not None:
        return Price(nano_usd_down(policy.point_usd))
    if policy.max_loss is not None:
        return safe(model, policy.max_loss, policy.confidence)
    if policy.budget_total_usd is not None and priced:
        return Dollars(_left(purse, nano_usd_down(policy.budget_total_usd)))
    return auto(model, policy.router, priced=priced)


def share_of(model: GainModel, share: float) -> Share:
    """Escalates a share of the queries."""
    return Share(share, most_gaining(model, share) if model.told else None)


def auto(model: GainModel, router: str, *, priced: bool) -> Rate | Threshold:
    """What is done where nothing says what a gain is worth.

    Args:
        router: its name, for the error.
        priced: whether dollars are known.

    Raises:
        ConfigError: the router tells nothing.
    """
    if not model.told:
        raise ConfigError(
            f"the router {router} tells no query from another, so it cannot say which to escalate; set "
            "escalate, point_usd or a budget, or fit one to more queries"
        )
    return worthwhile(model, AUTO_SHARE) if priced else most_gaining(model, AUTO_SHARE)


def worthwhile(model: GainModel, share: float) -> Rate:
    """Spends a share of what escalating all in full costs, on such queries as the model was fitted on, where it is
    expected to gain most."""

    @cache
    def least(priced: tuple[tuple[Option, int], ...]) -> float:
        lines = [(option, cost, model.line(option).held_out) for option, cost in priced]
        queries = len(lines[0][2])
        offers = [[Offer(option, told[at][0], cost) for option, cost, told in lines] for at in range(queries)]
        steps = sorted((step for each in offers for step in steps_of(each)), key=lambda step: -step.worth)
        spent = accumulate(step.nano_usd for step in steps)
        beyond = (step.worth for step, total in zip(steps, spent, strict=True) if total > share * queries * FULL)
        return next(beyond, 0.0) * TIE

    def must(offers: Sequence[Offer]) -> list[float]:
        full = max(1, *(offer.nano_usd for offer in offers))
        costs = [round(offer.nano_usd / full * FULL) for offer in offers]
        rate = least(tuple(zip((offer.option for offer in offers), costs, strict=True)))
        return [rate * cost for cost in costs]

    return Rate(must, f"where {share:.0%} of what it costs to escalate all in full is spent")


def most_gaining(model: GainModel, share: float) -> Threshold:
    """Escalates a share of such queries as the model was fitted on, as far as anything is expected of it."""

    @cache
    def bar(*options: Option) -> Bar:
        least = model.threshold(share, options)
        if isinf(least):
            return Bar(least, f"{share:.0%} of the queries are escalated")
        return Bar(max(0.0, least), f"that {share:.0%} of the queries have which the router was fitted on")

    return Threshold(lambda options: bar(*options))


def safe(model: GainModel, most: float, confidence: float) -> Threshold:
    """Escalates as few as keep a promise, or all."""

    @cache
    def bar(*options: Option) -> Bar:
        pairs = model.best_of(options)
        predicted, realised = [ours for ours, _ in pairs], [real for _, real in pairs]
        found = guarantee(predicted, realised, alpha=most, confidence=confidence)
        if found.threshold is None:
            return Bar(-inf, f"all are escalated, as {found}")
        return Bar(found.threshold, f"from which on the mean loss is at most {most:g} ({confidence:.0%} sure)")

    return Threshold(lambda options: bar(*options))


def _left(purse: Purse, cap: int) -> Callable[[], int]:
    scope = Scope("run", purse.run)
    return lambda: max(0, cap - purse.ledger.held(scope))
