"""Curves, comparisons and budgets over made-up cases."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from listwise.errors import InputError
from listwise.eval.routing import ORDERS, Sample, calibration, compare, curves, escalated, samples
from listwise.eval.routing_budgets import (
    afforded,
    blindly,
    by_budget,
    by_money,
    compare_budgets,
    compare_orders,
    everything,
    in_hindsight,
    offered,
    spent,
)
from listwise.routing.cases import LOG, Case, Outcome
from listwise.routing.decisions import by_share
from listwise.routing.gain import GainModel, Line, Signal, Skill
from listwise.routing.offers import Option
from listwise.routing.reference import Reference

DEPTHS = 20, 100
PRICES = 1_000_000, 4_000_000
"""Nano-dollars of an option: so a thousand queries cost 1 or 4 dollars."""


def router(weights: Sequence[float] = (0.05, 0.1)) -> GainModel:
    """Expects 0.05 and 0.1 of the two depths, and ``weights`` more for each unit of the signal "help"."""
    told = Signal(mean=0.0, spread=1.0, reference=Reference.of([0.0, 1.0]))
    held_out = tuple((at / 100, at / 100) for at in range(40))
    lines = tuple(
        Line(tier="llm", depth=depth, votes=1, mean=mean, weights=(weight,), held_out=held_out)
        for depth, mean, weight in zip(DEPTHS, (0.05, 0.1), weights, strict=True)
    )
    skill = Skill(queries=3, correlation=0.5, low=0.1, high=0.9, chance=0.01, error=0.0)
    return GainModel(fitted_on="x", llm="x", scorer="x", signals={"help": told}, options=lines, skill=skill)


def case(
    qid: str, help: float, gains: Sequence[float], *, llm: str = "gpt", margin: float = 0.5, free: bool = False
) -> Case:
    """The local order has 0.5; gains are of the two depths."""
    outcomes = tuple(
        Outcome(Option("llm", depth), 0.5 + gain, 0 if free else price)
        for depth, gain, price in zip(DEPTHS, gains, PRICES, strict=True)
    )
    return Case(qid, {"help": help, "margin": margin}, 0.5, outcomes, "made-up", llm)


def three() -> list[Case]:
    return [
        case("a", 1.0, (0.1, 0.3), margin=0.3),
        case("b", 0.0, (0.2, 0.0), margin=0.2),
        case("c", -1.0, (0.0, -0.3), margin=0.1),
    ]


def drawn(count: int, seed: int = 0, told: float = 1.0) -> list[Case]:
    """Gains that the signal tells, more or less."""
    draw = random.Random(seed)
    cases = []
    for at in range(count):
        help = draw.gauss(0, 1)
        deep = 0.1 + told * 0.1 * help + draw.gauss(0, 0.02)
        cases.append(case(f"q{at}", help, (deep / 2, deep), margin=draw.random()))
    return cases


def at_cost(qid: str, help: float, gain: float, nano_usd: int, tokens: float | None = None) -> Case:
    """Of one option; ``tokens`` are of 20 passages."""
    signals = {"help": help} | ({} if tokens is None else {"tokens": tokens})
    outcome = Outcome(Option("llm", 100), 0.5 + gain, nano_usd)
    return Case(qid, signals, 0.5, (outcome,), "made-up", "gpt")


def one(cases: Sequence[Case], model: GainModel | None = None) -> Sample:
    (sample,) = samples(cases, model or router())
    return sample


def test_the_first_of_an_order_are_escalated() -> None:
    urgency, values = np.array([1.0, 3.0, 2.0]), np.array([-0.3, 0.3, 0.6])
    at = {share: float(escalated(urgency, values, share)[0]) for share in (0, 1 / 3, 0.5, 2 / 3, 1)}
    assert at == pytest.approx({0: 0, 1 / 3: 0.1, 0.5: 0.2, 2 / 3: 0.3, 1: 0.2})


def test_among_equals_chance_decides() -> None:
    urgency, values = np.array([0.0, 1.0, 0.0]), np.array([0.6, 0.3, 0.0])
    assert escalated(urgency, values, 2 / 3)[0] == pytest.approx((0.3 + (0.6 + 0.0) / 2) / 3)


def test_chance_decides_among_those_without_urgency() -> None:
    urgency, values = np.array([-np.inf, 1.0, -np.inf]), np.array([0.6, 0.3, 0.0])
    assert escalated(urgency, values, 2 / 3)[0] == pytest.approx((0.3 + (0.6 + 0.0) / 2) / 3)


def test_resamples_are_as_if_queries_were_repeated() -> None:
    urgency, values = np.array([3.0, 2.0, 1.0, 0.5]), np.array([0.4, 0.1, -0.2, 0.3])
    counts = np.array([[2.0, 0.0, 1.0, 1.0]])
    places = [0, 0, 2, 3]
    for share in (0.2, 0.5, 0.8):
        assert escalated(urgency, values, share, counts) == pytest.approx(
            escalated(urgency[places], values[places], share)
        )


def test_curves_by_hand() -> None:
    told = {each.name: each for each in curves(one(three()), (0, 1 / 3, 1))}
    assert told["router"].ndcg == pytest.approx((0.5, 0.6, 0.5))
    assert told["random"].ndcg == pytest.approx((0.5, 0.5, 0.5))
    assert told["margin"].ndcg == pytest.approx((0.5, 0.4, 0.5))
    assert told["oracle"].ndcg == pytest.approx((0.5, 0.6, 0.5))
    assert told["router"].usd == pytest.approx((0, 4 / 3, 4))


def test_no_order_beats_hindsight_and_all_meet_at_the_end() -> None:
    told = {each.name: each.ndcg for each in curves(one(drawn(30, told=0.3)))}
    for name in ORDERS:
        assert all(best >= ours - 1e-12 for best, ours in zip(told["oracle"], told[name], strict=True))
        assert told[name][-1] == pytest.approx(told["oracle"][-1])
    steps = np.diff(told["random"])
    assert steps == pytest.approx(np.full(len(steps), steps[0]))


def test_seeds_are_averaged_and_llms_are_apart() -> None:
    cases = [
        case("a", 0.0, (0.0, 0.1), llm="sim/strong,seed=0"),
        case("a", 0.0, (0.2, 0.3), llm="sim/strong,seed=1"),
        case("a", 0.0, (0.4, 0.4), llm="gpt"),
    ]
    simulated, real = samples(cases, router())
    assert simulated.label == "sim/strong (simulated)"
    assert real.label == "gpt"
    (row,) = simulated.rows
    assert row.gains == pytest.approx((0.1, 0.2))
    assert row.predicted == pytest.approx((0.05, 0.1))


def test_a_depth_that_was_not_fitted_goes_by_the_next_deeper_one() -> None:
    outcomes = tuple(Outcome(Option("llm", depth), 0.5) for depth in (10, 50, 200))
    sample = one([Case("a", {"help": 0.0}, 0.5, outcomes)])
    assert sample.rows[0].predicted == pytest.approx((0.05, 0.1, 0.1))
    assert sample.urgency["margin"][0] == -np.inf


def test_a_router_that_cannot_tell_is_chance() -> None:
    sample = one(drawn(25), router((0.0, 0.0)))
    for found in compare(sample):
        assert (found.over_random.low, found.over_random.high) == pytest.approx((0.0, 0.0))
        assert found.times_random is not None
        assert found.times_random.mean == pytest.approx(1.0)


def test_a_router_that_can_tell_is_above_chance_and_below_hindsight() -> None:
    found = compare(one(drawn(60)))
    for each in found:
        assert each.over_random.low > 0
        assert each.times_random is not None
        assert each.times_random.low > 1
        assert each.of_oracle is not None
        assert 0.8 < each.of_oracle.low <= each.of_oracle.mean <= 1
    assert [each.share for each in found] == [0.1, 0.2, 0.3, 0.5]


def test_no_multiple_of_what_is_not_clearly_above_zero() -> None:
    found = compare(one(three()), [0.3])[0]
    assert found.times_random is None
    assert found.gains["random"].low < 0 < found.gains["random"].high


def test_calibration() -> None:
    cases = [case(f"q{at}", at / 10, (0.0, 0.1 + at / 100)) for at in range(20)]
    right = calibration(one(cases))
    assert right.error == pytest.approx(0)
    assert len(right.bins) == 5
    assert [place for place, _ in right.bins] == sorted(place for place, _ in right.bins)
    assert calibration(one(cases, router((0.0, 0.0)))).error == pytest.approx(0.095)


@pytest.mark.parametrize("broken", ["none", "from the log", "explored", "other options", "no options"])
def test_what_cannot_be_compared(broken: str) -> None:
    a, b, _ = three()
    cases = {
        "none": [],
        "from the log": [a, Case("z", {}, 0.0, a.outcomes, LOG)],
        "explored": [a, Case("z", {}, 0.0, a.outcomes, weight=2.0)],
        "other options": [a, Case("b", {}, 0.5, b.outcomes[:1], "made-up", "gpt")],
        "no options": [Case("b", {}, 0.5, (), "made-up", "gpt")],
    }[broken]
    with pytest.raises(InputError):
        samples(cases, router())


def test_what_offers_came_to() -> None:
    sample = one(three())
    a, b, _ = offered(sample)
    told = spent(sample, [a[1], b[0], None])
    assert told.by_query == pytest.approx((0.8, 0.7, 0.5))
    assert (told.share, told.nano_usd, told.usd) == pytest.approx((2 / 3, 5_000_000, 5 / 3))
    assert everything(sample).by_query == pytest.approx((0.8, 0.5, 0.2))
    assert told.over(everything(sample).by_query).mean == pytest.approx((0 + 0.2 + 0.3) / 3)


def test_blind_money_goes_into_queries_first_and_into_depth_then() -> None:
    sample = one(three())
    share, reached = blindly(sample, 1_500_000)
    assert share == pytest.approx(0.5)
    assert reached == pytest.approx([0.55, 0.6, 0.5])
    share, reached = blindly(sample, 3_000_000 + 4_500_000)
    assert share == 1
    assert reached == pytest.approx([0.7, 0.6, 0.35])
    assert blindly(sample, 1e9)[1] == pytest.approx(everything(sample).by_query)


def test_hindsight_takes_no_more_money() -> None:
    sample = one(three())
    like = spent(sample, [None, offered(sample)[1][1], None])
    best = in_hindsight(sample, like)
    assert best.nano_usd <= like.nano_usd
    assert best.by_query == pytest.approx((0.8, 0.5, 0.5))


def test_hindsight_without_prices_takes_no_more_queries() -> None:
    sample = one([case("a", 1.0, (0.1, 0.3), free=True), case("b", 0.0, (0.2, 0.0), free=True)])
    best = in_hindsight(sample, spent(sample, [None, offered(sample)[1][1]]))
    assert best.by_query == pytest.approx((0.8, 0.5))


def test_budgets_hold_and_skill_pays() -> None:
    sample = one(drawn(60))
    routed, chance = by_budget(sample)
    assert all(usd <= at + 1e-9 for usd, at in zip(routed.usd, chance.usd, strict=True))
    assert (routed.ndcg[0], chance.ndcg[0]) == pytest.approx((0.5, 0.5))
    assert chance.ndcg[-1] == pytest.approx(everything(sample).ndcg)
    for each in compare_budgets(sample):
        assert each.over_chance.low > 0
        assert each.over_chance.mean == pytest.approx(each.router.ndcg - each.by_chance)


def test_costs_are_foreseen_by_length() -> None:
    cases = [at_cost("a", 0, 0.1, 9_000, 20 * 17), at_cost("b", 0, 0.1, 3_000, 20 * 57), at_cost("c", 0, 0.1, 0)]
    sample = one(cases)
    foreseen = sample.foreseen[:, 0]  # 23 tokens frame a passage: 40 to 80, and a mean of 60 where unknown
    assert foreseen == pytest.approx([4_000 * 40 / 60, 4_000 * 80 / 60, 4_000])
    assert foreseen.sum() == pytest.approx(12_000)
    assert np.argsort(-by_money(sample)["cheapest"]).tolist() == [0, 2, 1]


def test_a_router_does_not_know_the_bill_beforehand() -> None:
    sample = one([at_cost("a", 1.0, 0.3, 9_000), at_cost("b", 0.9, 0.3, 1_000)])
    assert [offer.nano_usd for (offer,) in offered(sample)] == [5_000, 5_000]
    assert by_money(sample)["router, per dollar"].tolist() == [1, 0]
    assert by_money(sample)["oracle, per dollar"].tolist() == [0, 1]


def test_gain_per_dollar_is_the_order_of_a_share() -> None:
    draw = random.Random(3)
    sample = one([at_cost(f"q{at}", draw.gauss(0, 1), 0.1, 1_000_000, draw.uniform(200, 4000)) for at in range(40)])
    chosen = [at for at, offer in enumerate(by_share(offered(sample), 0.25)) if offer]
    assert sorted(np.argsort(-by_money(sample)["router, per dollar"])[:10]) == chosen
    assert sorted(np.argsort(-sample.predicted)[:10]) != chosen


def test_orders_for_the_same_money_by_hand() -> None:
    cases = [at_cost("a", 1, 0.3, 3_000_000), at_cost("b", 0, 0.2, 1_000_000), at_cost("c", -1, 0.1, 2_000_000)]
    found = {each.order: each for each in compare_orders(one(cases), [1 / 3])}
    assert (found["router"].usd, found["router"].ndcg) == pytest.approx((1, 0.6))
    assert found["router"].over_chance.mean == pytest.approx(0.1 - 0.2 * 3 / 6)
    assert (found["oracle, per dollar"].usd, found["oracle, per dollar"].ndcg) == pytest.approx(
        (1 / 3, 0.5 + 0.2 / 3)
    )
    assert found["oracle, per dollar"].times_chance is not None
    assert found["oracle, per dollar"].times_chance.mean == pytest.approx((0.2 / 3) / (0.2 / 6))


def test_who_picks_what_is_dear_and_gains_as_much_more_is_chance() -> None:
    draw = random.Random(5)
    helps = [draw.uniform(0, 1) for _ in range(40)]
    sample = one([at_cost(f"q{at}", help, help / 2, round(help * 1e6)) for at, help in enumerate(helps)])
    assert all(each.over_random.low > 0 for each in compare(sample))
    for each in compare_orders(sample):
        assert (each.over_chance.low, each.over_chance.high) == pytest.approx((0, 0), abs=1e-6)


def test_a_budget_that_bills_exceed_leaves_queries_local() -> None:
    sample = one(
        [at_cost(qid, 0, 0.1, bill) for qid, bill in (("a", 3_000), ("b", 6_000), ("c", 1_000), ("d", 2_000))]
    )
    every = [offer for (offer,) in offered(sample)]
    assert [bool(offer) for offer in afforded(sample, every, 6_000)] == [True, False, True, True]
    assert [bool(offer) for offer in afforded(sample, [None, *every[1:]], 6_000)] == [False, True, False, False]
    assert all(spent(sample, afforded(sample, every, most)).nano_usd <= most for most in range(0, 13_000, 500))


def test_free_cases_have_an_order_all_the_same() -> None:
    sample = one([at_cost(f"q{at}", at / 10, at / 10, 0) for at in range(5)])
    assert by_money(sample)["router, per dollar"].tolist() == [0, 1, 2, 3, 4]
    assert {each.usd for each in compare_orders(sample)} == {0.0}
