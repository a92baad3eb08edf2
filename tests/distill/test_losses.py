"""What each loss is to do, whatever the figures: the wanted order is best, and gradients push towards it."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the extra listwise[train]")

import torch

from listwise.distill.losses import LOSSES, Loss

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

BY_ORDER = ("ranknet", "listmle", "lambda")
numbers = st.lists(st.integers(-40, 40).map(lambda n: n / 8), min_size=2, max_size=12)
orders = st.integers(2, 12).flatmap(lambda n: st.permutations(list(map(float, range(n)))))
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
by_order = pytest.mark.parametrize(
    "loss", [loss for name, loss in LOSSES.items() if name in BY_ORDER], ids=BY_ORDER
)


def value(loss: Loss, scores: list[float], wanted: list[float]) -> float:
    return float(loss(torch.tensor(scores, dtype=torch.float64), torch.tensor(wanted, dtype=torch.float64)))


def gradient(loss: Loss, scores: list[float], wanted: list[float]) -> list[float]:
    asked = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    loss(asked, torch.tensor(wanted, dtype=torch.float64)).backward()
    found: list[float] = asked.grad.tolist()
    return found


@each_loss
@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_of_all_orders_of_spread_scores_the_wanted_one_costs_least(loss: Loss, size: int) -> None:
    wanted = [4.0 * place for place in range(size)]
    costs = {order: value(loss, list(order), wanted) for order in permutations(wanted)}
    best = costs.pop(tuple(wanted))
    assert best < min(costs.values())


@each_loss
@given(orders)
def test_from_equal_scores_the_best_is_pushed_up_and_the_worst_down(loss: Loss, wanted: list[float]) -> None:
    pushed = gradient(loss, [0.0] * len(wanted), wanted)
    assert pushed[wanted.index(max(wanted))] < 0 < pushed[wanted.index(min(wanted))]


@each_loss
@given(orders, st.data())
def test_a_small_step_down_the_gradient_costs_less(loss: Loss, wanted: list[float], data: st.DataObject) -> None:
    scores = data.draw(st.permutations(list(map(float, range(len(wanted))))))
    downhill = gradient(loss, scores, wanted)
    moved = [score - 1e-4 * slope for score, slope in zip(scores, downhill, strict=True)]
    assert value(loss, moved, wanted) <= value(loss, scores, wanted) + 1e-12


@each_loss
@given(numbers, st.floats(-9, 9), st.randoms())
def test_neither_a_constant_nor_the_order_of_the_list_matters(
    loss: Loss, scores: list[float], constant: float, random: Random
) -> None:
    wanted = list(map(float, range(len(scores))))
    scores = [score + at / 1000 for at, score in enumerate(scores)]  # no ties, whose order would count
    places = list(range(len(scores)))
    random.shuffle(places)
    expected = value(loss, scores, wanted)
    assert value(loss, [score + constant for score in scores], wanted) == pytest.approx(expected, abs=1e-6)
    shuffled = [scores[at] for at in places], [wanted[at] for at in places]
    assert value(loss, *shuffled) == pytest.approx(expected, abs=1e-6)
    assert sum(gradient(loss, scores, wanted)) == pytest.approx(0, abs=1e-6)


@by_order
@given(numbers, st.floats(0.1, 9), st.floats(-9, 9))
def test_order_alone_teaches_whatever_its_unit(loss: Loss, scores: list[float], unit: float, zero: float) -> None:
    wanted = list(map(float, range(len(scores))))
    other = [unit * utility + zero for utility in wanted]
    assert value(loss, scores, other) == pytest.approx(value(loss, scores, wanted), abs=1e-6)


def test_ranknet_is_the_mean_over_pairs_of_rankgpts_sum() -> None:
    # log(1 + e^(s_j - s_i)) over r_i < r_j: (2, 1), (2, 0), (1, 0) with scores 0, 1, 3 wanted as 2, 1, 0
    from math import exp, log

    expected = sum(log(1 + exp(difference)) for difference in (1, 3, 2)) / 3
    assert value(LOSSES["ranknet"], [0.0, 1.0, 3.0], [2.0, 1.0, 0.0]) == pytest.approx(expected)


def test_ties_teach_ranknet_and_lambda_nothing() -> None:
    for loss in (LOSSES["ranknet"], LOSSES["lambda"]):
        assert value(loss, [1.0, 5.0, 2.0], [7.0, 7.0, 7.0]) == 0
        assert gradient(loss, [1.0, 5.0, 2.0], [7.0, 7.0, 7.0]) == [0, 0, 0]


def test_lambda_cares_more_for_the_top() -> None:
    wanted = [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    top, bottom = [4.0, 5.0, 3.0, 2.0, 1.0, 0.0], [5.0, 4.0, 3.0, 2.0, 0.0, 1.0]
    assert value(LOSSES["lambda"], top, wanted) > value(LOSSES["lambda"], bottom, wanted)
    assert value(LOSSES["ranknet"], top, wanted) == pytest.approx(value(LOSSES["ranknet"], bottom, wanted))


def test_margin_mse_is_of_margins() -> None:
    assert value(LOSSES["margin-mse"], [1.0, 4.0], [0.0, 1.0]) == pytest.approx((3 - 1) ** 2)
    assert value(LOSSES["margin-mse"], [11.0, 12.0], [0.0, 1.0]) == pytest.approx(0)


def test_list_mle_is_the_likelihood_of_an_order() -> None:
    # Two passages: the logistic of their difference, over two places.
    from math import exp, log

    assert value(LOSSES["listmle"], [2.0, 1.0], [1.0, 0.0]) == pytest.approx(log(1 + exp(-1)) / 2)
