from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.routing.decisions import at_price, by_share
from listwise.routing.offers import Offer, Option

offers = st.lists(
    st.builds(
        Offer,
        st.builds(Option, st.sampled_from(["llm", "cheap"]), st.integers(1, 100), st.integers(1, 3)),
        st.floats(-0.5, 0.5),
        st.integers(0, 10**7),
    ),
    max_size=6,
)


def offer(gain: float, nano_usd: int, depth: int = 20) -> Offer:
    return Offer(Option("llm", depth), gain, nano_usd)


def test_a_price_is_of_a_hundredth_of_ndcg() -> None:
    dear, cheap = offer(0.05, 5_000, 100), offer(0.02, 1_000, 20)
    assert at_price([dear, cheap], 400) is None
    assert at_price([dear, cheap], 501) == cheap
    assert at_price([dear, cheap], 1_300) == cheap
    assert at_price([dear, cheap], 1_400) == dear


@given(offers, st.integers(0, 10**8))
def test_no_other_offer_is_worth_more_at_the_price(choices: list[Offer], nano_usd: int) -> None:
    def net(choice: Offer | None) -> float:
        return choice.gain / 0.01 * nano_usd - choice.nano_usd if choice else 0.0

    taken = at_price(choices, nano_usd)
    assert net(taken) == max(map(net, [*choices, None]))
    assert taken is None or (taken.gain > 0 and net(taken) > 0)


@given(offers, st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_higher_price_never_buys_less_gain(choices: list[Offer], price: int, more: int) -> None:
    low, high = at_price(choices, price), at_price(choices, price + more)
    gains = [taken.gain if taken else 0.0 for taken in (low, high)]
    assert gains[0] <= gains[1] + 1e-9


@given(st.lists(offers, max_size=30), st.floats(0, 1))
def test_a_share_is_of_all_queries_rounded_half_up(queries: list[list[Offer]], share: float) -> None:
    taken = by_share(queries, share)
    able = sum(bool(choices) for choices in queries)
    assert len(taken) == len(queries)
    assert sum(choice is not None for choice in taken) == min(int(share * len(queries) + 0.5), able)
    for choice, choices in zip(taken, queries, strict=True):
        assert choice is None or choice.gain == max(each.gain for each in choices)


@given(st.lists(offers, max_size=30), st.floats(0, 1))
def test_who_is_left_out_gains_no_more_per_dollar(queries: list[list[Offer]], share: float) -> None:
    def per_dollar(choices: Sequence[Offer]) -> float:
        best = min(choices, key=lambda each: (-each.gain, each.nano_usd))
        return min(best.gain, 0) if best.gain <= 0 else best.gain / best.nano_usd if best.nano_usd else inf

    taken = by_share(queries, share)
    chosen = [per_dollar(choices) for choices, choice in zip(queries, taken, strict=True) if choice]
    others = [per_dollar(choices) for choices, choice in zip(queries, taken, strict=True) if choices and not choice]
    assert not chosen or not others or min(chosen) >= max(others)


@pytest.mark.parametrize(("share", "taken"), [(0.24, 0), (0.25, 1), (0.5, 1), (0.75, 2), (1.0, 2)])
def test_a_share_goes_by_gain_where_nothing_has_a_price(share: float, taken: int) -> None:
    queries = [[offer(0.1, 0)], [offer(0.3, 0), offer(0.2, 0)]]
    expected = {0: [None, None], 1: [None, queries[1][0]], 2: [queries[0][0], queries[1][0]]}
    assert by_share(queries, share) == expected[taken]
