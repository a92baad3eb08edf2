from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.routing.knapsack import allot, steps_of
from listwise.routing.offers import Offer, Option

offers = st.lists(
    st.builds(
        Offer, st.builds(Option, st.just("llm"), st.integers(1, 5)), st.floats(-0.2, 0.8), st.integers(0, 40)
    ),
    max_size=5,
)


def offer(gain: float, nano_usd: int) -> Offer:
    return Offer(Option("llm", 20), gain, nano_usd)


def optimum(queries: Sequence[Sequence[Offer]], nano_usd: int) -> float:
    """By dynamic programming over every amount that may be spent."""
    best = [0.0] * (nano_usd + 1)
    for choices in queries:
        best = [
            max(
                [best[left], *(best[left - each.nano_usd] + each.gain for each in choices if each.nano_usd <= left)]
            )
            for left in range(nano_usd + 1)
        ]
    return best[nano_usd]


@given(st.lists(offers, max_size=8), st.integers(0, 150))
def test_never_over_and_near_the_optimum(queries: list[list[Offer]], nano_usd: int) -> None:
    allotment = allot(queries, nano_usd)
    best = optimum(queries, nano_usd)
    dearest = max((each.gain for choices in queries for each in choices), default=0.0)
    assert allotment.nano_usd <= nano_usd
    assert all(each is None or each in choices for each, choices in zip(allotment.taken, queries, strict=True))
    assert best - max(0.0, dearest) - 1e-9 <= allotment.gain <= best + 1e-9
    assert allotment.gain >= best / 2 - 1e-9
    assert best <= allotment.bound + 1e-9


@given(st.lists(offers, max_size=8))
def test_money_enough_for_all_takes_what_gains_most(queries: list[list[Offer]]) -> None:
    allotment = allot(queries, 40 * len(queries))
    assert allotment.worth == 0
    assert allotment.gain == pytest.approx(allotment.bound)
    assert allotment.gain == pytest.approx(
        sum(max([each.gain for each in choices] + [0.0]) for choices in queries), abs=1e-9
    )


@given(offers)
def test_steps_climb_ever_more_slowly_to_the_greatest_gain(choices: list[Offer]) -> None:
    steps = steps_of(choices)
    assert all(step.gain > 0 and step.nano_usd >= 0 for step in steps)
    assert all(before.worth >= after.worth for before, after in pairwise(steps))
    assert sum(step.gain for step in steps) == pytest.approx(max([each.gain for each in choices] + [0.0]))
    assert not steps or sum(step.nano_usd for step in steps) == steps[-1].offer.nano_usd


def test_one_dear_offer_beats_a_cheap_one_that_is_worth_more_a_dollar() -> None:
    cheap, dear = offer(0.01, 1), offer(0.5, 100)
    assert allot([[cheap], [dear]], 100).taken == (None, dear)


def test_what_is_left_over_buys_what_is_on_no_hull() -> None:
    low, middle, high = offer(0.2, 10), offer(0.22, 15), offer(0.5, 30)
    assert allot([[low, middle, high]], 16).taken == (middle,)
    assert allot([[low, middle, high]], 29).taken == (middle,)
    assert allot([[low, middle, high]], 30).taken == (high,)


def test_nothing_to_spend_still_takes_what_is_free() -> None:
    free = offer(0.1, 0)
    assert allot([[free, offer(0.4, 1)], [offer(0.2, 1)], [offer(-0.1, 0)]], 0).taken == (free, None, None)


def test_many_queries_are_within_a_thousandth_of_the_bound() -> None:
    rng = random.Random(6)
    queries = [[offer(rng.gauss(0.05, 0.05), rng.randrange(1, 2_000)) for _ in range(6)] for _ in range(2_000)]
    allotment = allot(queries, 50_000)
    assert allotment.nano_usd <= 50_000
    assert allotment.gain >= 0.999 * allotment.bound
