"""Rules of aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import ConfigError
from listwise.strategies.aggregate import EXACT, Aggregate, aggregate, borda, kemeny, reciprocal, stability

every_rule = pytest.mark.parametrize("rule", get_args(Aggregate))


@st.composite
def orders_of(draw: st.DrawFn, most: int = 30) -> list[list[int]]:
    n = draw(st.integers(1, most))
    return draw(st.lists(st.permutations(range(n)), min_size=1, max_size=6))


def disagreements(order: Sequence[int], orders: Sequence[Sequence[int]]) -> int:
    place = {each: at for at, each in enumerate(order)}
    return sum(place[first] > place[second] for given in orders for first, second in combinations(given, 2))


@every_rule
@given(orders=orders_of())
def test_a_permutation_and_what_all_agree_on_stays(rule: Aggregate, orders: list[list[int]]) -> None:
    made = aggregate(rule, orders)
    assert sorted(made) == sorted(orders[0])
    assert aggregate(rule, [orders[0]] * len(orders)) == tuple(orders[0])
    if all(order[0] == orders[0][0] for order in orders):
        assert made[0] == orders[0][0]


@given(orders_of(most=6))
def test_kemeny_is_exact_where_sets_are_small(orders: list[list[int]]) -> None:
    fewest = min(disagreements(order, orders) for order in permutations(orders[0]))
    assert disagreements(kemeny(orders), orders) == fewest


@given(orders_of(most=25))
def test_kemeny_is_never_worse_than_borda_or_any_vote(orders: list[list[int]]) -> None:
    made = disagreements(kemeny(orders), orders)
    assert made <= disagreements(borda(orders), orders)
    if len(orders[0]) <= EXACT:
        assert made <= min(disagreements(order, orders) for order in orders)


@given(orders_of(most=20))
def test_whom_a_majority_prefers_to_all_others_is_kemenys_best(orders: list[list[int]]) -> None:
    for each in orders[0]:
        wins = all(
            sum(order.index(each) < order.index(other) for order in orders) > len(orders) / 2
            for other in orders[0]
            if other != each
        )
        if wins:
            assert kemeny(orders)[0] == each


def test_a_circle_of_many_is_a_local_optimum() -> None:
    """Three rotations of 15: one circle of majorities, too large to be solved exactly."""
    n = 15
    orders = [[*range(n)], [*range(5, n), *range(5)], [*range(10, n), *range(10)]]
    made = list(kemeny(orders))
    cost = disagreements(made, orders)
    for at in range(n):
        for to in range(n):
            moved = made[:at] + made[at + 1 :]
            moved.insert(to, made[at])
            assert disagreements(moved, orders) >= cost


def test_known_cases() -> None:
    orders = [(0, 1, 2), (0, 1, 2), (1, 2, 0)]
    assert borda(orders) == (1, 0, 2) or borda(orders) == (0, 1, 2)
    assert kemeny(orders) == (0, 1, 2)
    assert reciprocal([(0, 1, 2, 3), (3, 0, 1, 2)])[0] == 0


def test_ties_stay_as_in_the_first() -> None:
    assert borda([(0, 1), (1, 0)]) == (0, 1)
    assert borda([(1, 0), (0, 1)]) == (1, 0)


def test_an_order_that_agrees_with_no_other_weighs_less() -> None:
    orders = [tuple(range(10)), (1, 0, *range(2, 10)), (0, 2, 1, *range(3, 10)), tuple(range(10))[::-1]]
    weights = stability(orders)
    assert min(weights) == weights[3]
    assert stability(orders[:2]) == [1.0, 1.0]
    assert aggregate("stable", orders)[0] == 0


def test_an_unknown_rule_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="borda, reciprocal, kemeny, stable"):
        aggregate("condorcet", [(0, 1), (1, 0)])  # type: ignore[arg-type]
