"""What further dollars for a query bring, and what queries spend at a price."""

from __future__ import annotations

from itertools import pairwise
from math import log2, nan

import hypothesis.strategies as st
import pytest
from hypothesis import given

from listwise.routing.envelope import BINS, PER_OCTAVE, STEEPEST, Curve, envelope, price_at
from listwise.routing.offers import Offer, Option
from listwise.spend.money import NANO

OFFERS = st.lists(
    st.builds(
        Offer,
        st.builds(Option, st.just("llm"), st.integers(1, 100)),
        st.floats(-1, 1),
        st.one_of(st.just(0), st.integers(1_000, 10**9)),
    ),
    max_size=6,
)


def offer(gain: float, nano_usd: int) -> Offer:
    return Offer(Option("llm", 20), gain, nano_usd)


@given(OFFERS)
def test_slopes_fall_while_gains_and_costs_rise(offers: list[Offer]) -> None:
    steps = envelope(offers)
    gains = [0.0, *(step.offer.gain for step in steps)]
    costs = [0, *(step.offer.nano_usd for step in steps)]
    assert gains == sorted(set(gains))
    assert costs == sorted(costs)
    assert [step.bin for step in steps] == sorted(step.bin for step in steps)
    assert [step.nano_usd for step in steps] == [after - before for before, after in pairwise(costs)]


@given(OFFERS, st.floats(0.01, 1e6))
def test_at_every_price_its_best_offer_is_a_corner(offers: list[Offer], price: float) -> None:
    def worth(each: Offer) -> float:
        return each.gain - price * each.nano_usd / NANO

    best = max([0.0, *(worth(each) for each in offers if each.gain > 0)])
    assert max([0.0, *(worth(step.offer) for step in envelope(offers))]) == pytest.approx(best)


def test_what_brings_nothing_is_never_offered() -> None:
    assert envelope([offer(0.0, 5), offer(-0.1, 0), offer(nan, 1)]) == []
    free = offer(0.01, 0)
    assert [step.offer for step in envelope([offer(0.01, 3), free])] == [free]


def test_bins_are_of_the_slope() -> None:
    (step,) = envelope([offer(0.1, 10_000_000)])
    assert step.bin == int((STEEPEST - log2(10)) * PER_OCTAVE)
    assert price_at(step.bin + 1) <= 10 <= price_at(step.bin)
    assert [envelope([each])[0].bin for each in (offer(1.0, 1), offer(1e-9, 10**12))] == [0, BINS - 1]


@given(st.lists(OFFERS, min_size=1, max_size=20), st.floats(0, 2))
def test_the_level_spends_what_is_wanted(queries: list[list[Offer]], share: float) -> None:
    curve, steps = Curve(), [envelope(offers) for offers in queries]
    for each in steps:
        curve.note(each)
    wanted = share * sum(curve.nano_usd) / curve.queries
    level = curve.level(wanted)
    taken = sum(step.nano_usd * min(1.0, max(0.0, level - step.bin)) for each in steps for step in each)
    assert taken / len(queries) == pytest.approx(
        min(wanted, sum(curve.nano_usd) / len(queries)), rel=1e-6, abs=1e-6
    )


def test_the_past_can_be_made_to_weigh_less() -> None:
    past, present = Curve(), Curve()
    for _ in range(100):
        past.note(envelope([offer(0.1, 1000)]))
    past.weigh(10)
    present.note(envelope([offer(0.1, 5000)]))
    past.add(present)
    assert past.queries == 11
    assert sum(past.nano_usd) == pytest.approx(15_000)
    past.weigh(50)
    assert past.queries == 11
