"""What the router may choose from, and which goal a policy makes."""

from __future__ import annotations

from typing import Any

import pytest

from listwise import Candidate, Query, Request
from listwise.errors import ConfigError
from listwise.offering import Offering, goal_of, worthwhile
from listwise.policy import Policy
from listwise.routing.gain import GainModel
from listwise.routing.goals import Day, Dollars, Price, Rate, Share, Threshold
from listwise.routing.offers import Offer, Option
from listwise.spend.ledger import MemoryLedger
from listwise.spend.purse import Purse
from listwise.stages.scored import Scored
from listwise.tiers import LlmTier
from tests.layers.models import MemoryModel
from tests.routing.gains import by_margin, gain_model, line

DEEP = by_margin(20, 50, 100)
PRICE = "memory/model=1,2"
CHEAP = "memory/cheap=0.1,0.2"


def offering(model: GainModel = DEEP, *, reasons: bool = False, **settings: Any) -> Offering:
    policy = policy_of(**settings)
    first = MemoryModel()
    first.reasons, first.context_tokens = reasons, 100_000
    own = [first, MemoryModel(name="cheap")][: len(policy.choices)]
    return Offering(model, LlmTier.of(policy, own), policy)


def policy_of(**settings: Any) -> Policy:
    return Policy.of(
        None, **{"llm": "memory/model", "cache": "off", "price": (PRICE, CHEAP), "strategy": "full", **settings}
    )


def scored(n: int, chars: int = 40) -> Scored:
    candidates = tuple(Candidate(f"d{at}", "x" * chars, -at) for at in range(n))
    return Scored.as_given(Request(Query("q", "what"), candidates), 1000)


def offers(made: Offering, n: int, **signals: float) -> tuple[Offer, ...]:
    return made.of(scored(n), signals)


@pytest.mark.parametrize(
    ("n", "settings", "depths"),
    [
        (0, {}, []),
        (1, {}, []),
        (2, {}, [2]),
        (20, {}, [20]),
        (30, {}, [20, 30]),
        (1000, {}, [20, 50, 100]),
        (1000, {"llm_depth": 10}, [10]),
        (1000, {"llm_depth": 50}, [20, 50]),
        (1000, {"depth": 60}, [20, 50, 60]),
        (1000, {"strategy": "single"}, [20]),
        (1000, {"strategy": "single", "window": 30}, [20, 30]),
    ],
)
def test_options_are_those_that_differ_for_so_many_candidates(
    n: int, settings: dict[str, Any], depths: list[int]
) -> None:
    made = offers(offering(**settings), n, margin=0.0)
    assert [offer.option.depth for offer in made] == depths
    assert [offer.gain for offer in made] == pytest.approx([0.1, 0.11, 0.12][: len(depths)])
    assert all(DEEP.line(offer.option).mean == pytest.approx(offer.gain) for offer in made)


def test_a_gain_is_the_querys_or_else_that_of_queries_in_the_mean() -> None:
    [known], [unknown] = (offers(offering(by_margin(20)), 30, **each) for each in ({"margin": 0.5}, {}))
    assert [known.gain, unknown.gain] == pytest.approx([0.05, 0.1])
    assert [known.known, unknown.known] == [True, False]
    assert known.nano_usd == unknown.nano_usd > 0


def test_a_cost_is_that_of_the_prompts_and_the_answer() -> None:
    [offer, *_] = offers(offering(), 1000, margin=0.0)
    assert offer.nano_usd == (300 + 20 * (8 + 10)) * 1000 + 20 * 4 * 2000
    [sliding, *_] = offers(offering(strategy="sliding", window=10, stride=5), 1000, margin=0.0)
    assert sliding.nano_usd == (3 * 300 + 30 * (8 + 10)) * 1000 + 30 * 4 * 2000


@pytest.mark.parametrize("strategy", ["sliding", "adaptive", "topdown", "setwise", "pointwise"])
def test_deeper_options_and_longer_passages_cost_more(strategy: str) -> None:
    made = offering(strategy=strategy)
    short, long = ([offer.nano_usd for offer in made.of(scored(100, chars), {})] for chars in (40, 4000))
    assert 0 < short[0] < short[1] <= short[2]
    assert all(2 * few < many for few, many in zip(short, long, strict=True))


def test_a_cost_is_not_above_what_a_query_may_cost() -> None:
    made = offers(offering(budget_usd="0.001"), 1000, margin=0.0)
    assert [offer.nano_usd for offer in made] == [820_000, 1_000_000, 1_000_000]


def test_a_model_that_thinks_is_expected_to() -> None:
    plain, thinks = (offers(offering(reasons=each), 30, margin=0.0)[0].nano_usd for each in (False, True))
    assert thinks > plain + 0.2 * 8192 * 2000


def test_an_llm_without_a_price_costs_nothing() -> None:
    made = offering(price=())
    assert not made.priced
    assert {offer.nano_usd for offer in offers(made, 30, margin=0.0)} == {0}


def test_votes_are_paid_for_and_offered_only_where_there_is_something_to_shuffle() -> None:
    model = gain_model(line(20, 0.1), line(20, 0.12, votes=3))
    once, thrice = offers(offering(model), 30)
    assert (once.option, thrice.option) == (Option("llm", 20), Option("llm", 20, 3))
    assert thrice.nano_usd == 3 * once.nano_usd
    [alone] = offers(offering(model, strategy="pointwise"), 30)
    assert alone.option == Option("llm", 20)
    with pytest.raises(ConfigError, match="can do nothing that the router default predicts"):
        offering(gain_model(line(20, 0.12, votes=3)), strategy="pointwise")


def test_an_option_of_one_vote_is_held_as_the_policy_says() -> None:
    once, thrice = (offers(offering(votes=votes), 30)[0] for votes in (1, 3))
    assert thrice.option == once.option
    assert thrice.nano_usd == 3 * once.nano_usd


def test_a_tier_may_be_a_fallback_at_its_own_price() -> None:
    model = gain_model(line(20, 0.1), line(20, 0.08, tier="memory/cheap"), line(20, 0.2, tier="memory/other"))
    dear, cheap = offers(offering(model, fallback=["memory/cheap"]), 30)
    assert (dear.option.tier, cheap.option.tier) == ("llm", "memory/cheap")
    assert dear.nano_usd == 10 * cheap.nano_usd
    assert [offer.option.tier for offer in offers(offering(model), 30)] == ["llm"]
    with pytest.raises(ConfigError, match=r"the router default predicts \(memory/other\)"):
        offering(gain_model(line(20, 0.2, tier="memory/other")))


def goal(model: GainModel = DEEP, ledger: MemoryLedger | None = None, **settings: Any) -> Any:
    policy = policy_of(**settings)
    purse = Purse(ledger or MemoryLedger(), "run", policy.account, policy.caps)
    return goal_of(policy, offering(model, **settings), purse)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, Rate),
        ({"price": ()}, Threshold),
        ({"escalate": 0.2, "budget_total_usd": "1"}, Share),
        ({"point_usd": "0.001", "budget_total_usd": "1"}, Price),
        ({"max_loss": 0.01}, Threshold),
        ({"budget_total_usd": "1"}, Dollars),
        ({"pace": True, "budget_day_usd": "1"}, Day),
        ({"budget_day_usd": "1"}, Rate),
        ({"escalate": "always"}, None),
        ({"escalate": "never", "budget_total_usd": "1"}, None),
        ({"margin": 0.2}, None),
    ],
)
def test_a_policy_makes_a_goal(settings: dict[str, Any], kind: type | None) -> None:
    made = goal(**settings)
    assert (made is None) if kind is None else isinstance(made, kind)


def test_without_a_price_three_in_ten_are_escalated_by_what_is_read() -> None:
    """Of those that the router was fitted on, whether it reads a hundred, or ten because there are no more."""
    cases: list[tuple[int, dict[str, Any]]] = [(100, {}), (10, {}), (100, {"llm_depth": 20}), (30, {})]
    for n, settings in [(n, {"price": (), **more}) for n, more in cases]:
        made, auto = offering(**settings), goal(**settings)
        choices = auto.choose_all([offers(made, n, margin=at / 10 - 0.01) for at in range(10)])
        assert [choice.offer is not None for choice in choices] == [True] * 3 + [False] * 7
        assert choices[0].reason.endswith("that 30% of the queries have which the router was fitted on")


def test_three_tenths_of_the_money_go_where_it_gains_most() -> None:
    """Ten points less gain for each unit of margin; the money of three in ten read in full. Reading 20 of 100 gains
    nearly as much and costs about a fifth, so that all queries can have it, and one more."""
    made, auto = offering(), goal()
    queries = [offers(made, 100, margin=at / 10 - 0.01) for at in range(10)]
    taken = [auto.one(each).offer for each in queries]
    full = sum(each[-1].nano_usd for each in queries)
    spent = sum(offer.nano_usd for offer in taken if offer)
    assert 0.2 * full < spent <= 0.3 * full
    assert {offer.option.depth for offer in taken if offer} == {20}
    by_depth = sum(offer.gain for offer in taken if offer)
    assert by_depth > sum(sorted(each[-1].gain for each in queries)[-3:]), "more than three in full"
    assert auto.one(queries[0]).reason.endswith("where 30% of what it costs to escalate all in full is spent")


def test_all_the_money_is_spent_on_what_gains_and_none_on_nothing() -> None:
    made = offering()
    queries = [offers(made, 100, margin=at / 10) for at in range(10)]
    assert all(worthwhile(DEEP, 1.0).one(each).offer == each[-1] for each in queries)
    assert not any(worthwhile(DEEP, 0.0).one(each).offer for each in queries[1:])


def test_a_share_of_one_is_by_the_router_and_none_or_all_need_none() -> None:
    made = offering()
    for share, sent in ((0.0, 0), (0.5, 5), (1.0, 10)):
        alone = goal(escalate=share)
        assert sum(alone.one(offers(made, 50, margin=at / 10 - 0.01)).offer is not None for at in range(10)) == sent


def test_nothing_is_escalated_to_an_llm_that_makes_it_worse() -> None:
    worse = by_margin(20, mean=-0.05)
    assert worse.threshold(0.3, [Option("llm", 20)]) < 0
    assert goal(worse).one(offers(offering(worse), 50, margin=0.0)).offer is None


def test_a_router_that_tells_nothing_cannot_say_which_three_in_ten() -> None:
    mute = gain_model(line(20, 0.1))
    with pytest.raises(ConfigError, match="the router default tells no query from another"):
        goal(mute)
    assert isinstance(goal(mute, point_usd="0.001"), Price)
    assert isinstance(goal(mute, budget_total_usd="1"), Dollars)
    assert goal(mute, escalate="always") is None


@pytest.mark.parametrize("settings", [{"point_usd": "0.001"}, {"pace": True, "budget_day_usd": "1"}])
def test_gains_are_not_weighed_against_dollars_that_nobody_knows(settings: dict[str, Any]) -> None:
    policy = policy_of(**settings)
    made = offering(price=())
    with pytest.raises(ConfigError, match="memory/model has no known price"):
        goal_of(policy, made, Purse(MemoryLedger(), "run"))


def test_a_promise_that_the_data_cannot_keep_escalates_all_and_says_so() -> None:
    choice = goal(max_loss=0.01).one(offers(offering(), 100, margin=5.0))
    assert choice.offer is not None
    assert "; all are escalated, as not feasible on this data: a mean loss of at most 0.01" in choice.reason


def test_a_promise_that_can_be_kept_leaves_what_gains_least() -> None:
    pairs = [(at / 5000, at / 5000) for at in range(3000)]
    model = gain_model(line(20, 0.1, -0.1, held_out=pairs))
    safe = goal(model, max_loss=0.02)
    made = offering(model)
    left, sent = (safe.one(offers(made, 30, margin=margin)) for margin in (1.5, -2.0))
    assert (left.offer, sent.offer is not None) == (None, True)
    assert left.reason.endswith("from which on the mean loss is at most 0.02 (90% sure)")


async def test_dollars_are_what_the_run_has_left() -> None:
    ledger = MemoryLedger()
    made = goal(ledger=ledger, budget_total_usd="0.001")
    known = [offers(offering(), 20, margin=0.0)] * 2
    assert [choice.offer is not None for choice in made.choose_all(known)] == [True, False]
    purse = Purse(ledger, "run")
    ledger.settle(await ledger.reserve(purse.scopes("q", None), 0), 500_000)
    assert [choice.offer is not None for choice in made.choose_all(known)] == [False, False]
