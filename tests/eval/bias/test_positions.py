"""What a position does to the rank given: known models, a planted bias, no bias."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.eval.bias import estimates, evidence
from listwise.eval.bias.effects import contrasts, effects_of, fit
from listwise.eval.bias.observations import Observation, Windows, sets_of
from listwise.eval.bias.orders import arranged, shuffles
from listwise.eval.bias.planted import expected_curve
from listwise.eval.bias.positions import Positions, reordered_positions, unshuffled_positions
from listwise.eval.simulate import Bias, SimulatedRanker, Traits
from tests.eval.bias.made_up import shuffled, world

N = 8
WINDOWS = [(f"q{number}", [f"d{at}" for at in range(N)]) for number in range(10)]
ECHO = [place - (N - 1) / 2 for place in range(N)]


def echo(_: str, docids: Sequence[str], __: int = 0) -> Sequence[int]:
    return range(len(docids))


def by_name(_: str, docids: Sequence[str], __: int = 0) -> Sequence[int]:
    return sorted(range(len(docids)), key=lambda at: docids[at])


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "DRAWS", 199)
    monkeypatch.setattr(estimates, "RESAMPLES", 20)


def found(observations: Sequence[Observation], size: int = N) -> Positions:
    positions = reordered_positions(observations, size, seed=0)
    assert positions is not None
    return positions


def test_an_echo_gives_each_place_its_own_rank_and_the_slope_one() -> None:
    positions = found(shuffled(WINDOWS, echo, orders=5))
    effects = positions.effects
    assert effects is not None
    assert [each.value for each in effects.curve] == pytest.approx(ECHO)
    assert effects.slope.value == pytest.approx(1)
    assert effects.bend is not None
    assert effects.bend.value == pytest.approx(0, abs=1e-9)
    assert effects.p == effects.slope.p == 1 / (estimates.DRAWS + 1)
    assert np.array(positions.matrix).tolist() == np.eye(N).tolist()
    assert [each.value for each in positions.mean_rank] == list(range(1, N + 1))
    assert [each.value for each in positions.top.share] == [1.0] + [0.0] * (N - 1)
    assert positions.top.p == effects.p


def test_a_model_that_knows_its_mind_shows_no_effect() -> None:
    positions = found(shuffled(WINDOWS, by_name, orders=5))
    effects = positions.effects
    assert effects is not None
    assert [each.value for each in effects.curve] == pytest.approx([0] * N, abs=1e-9)
    assert effects.p == effects.slope.p == 1
    assert positions.top.p is not None
    assert [each.value for each in positions.top.excess] == pytest.approx(
        np.subtract([each.value for each in positions.top.share], positions.top.expected).tolist()
    )


@pytest.mark.parametrize("echo_share", [0.0, 0.3])
@pytest.mark.parametrize("bias", ["head", "tail", "ends", "middle"])
def test_a_planted_bias_is_recovered_within_the_band(bias: Bias, echo_share: float) -> None:
    made = world(Traits(bias=bias, strength=1.5, echo=echo_share), queries=40)
    effects = found(made.observations).effects
    assert effects is not None
    planted = expected_curve(made.ranker, made.windows)
    assert all(low <= value <= high for (low, high), value in zip(effects.band, planted, strict=True))
    shape = {name: float(planted @ weight) for name, weight in contrasts(N).items()}
    for name, value in shape.items():
        told = getattr(effects, name)
        assert told.low <= value <= told.high or told.value == pytest.approx(value, abs=0.25), name
    cancelled = bias == "tail" and echo_share
    assert (effects.p < 0.001) is not bool(cancelled)
    if not cancelled and bias in ("head", "tail"):
        assert (effects.slope.value > 0) is (bias == "head")


def test_the_planted_curve_is_what_many_answers_average_to() -> None:
    traits = Traits(bias="head", strength=1.0, echo=0.1)
    ranker = SimulatedRanker(traits, {"q": {"a": 2.0, "b": 1.0, "c": 0.0, "d": 0.0}})
    sums, counts = np.zeros(4), 0
    draw = random.Random(1)
    for sample in range(8000):
        docids = draw.sample("abcd", 4)
        order = ranker.rank("q", docids, sample)
        sums += np.argsort(order)
        counts += 1
    curve = sums / counts
    assert expected_curve(ranker, [("q", list("abcd"))]) == pytest.approx(curve - curve.mean(), abs=0.04)


def test_a_ranker_without_noise_has_steps_for_its_planted_curve() -> None:
    ranker = SimulatedRanker(Traits(error=0, noise=0), {"q": {"a": 2.0, "b": 1.0}})
    assert expected_curve(ranker, [("q", ["a", "b"])]).tolist() == [0, 0]


@pytest.mark.usefixtures("few_draws")
def test_no_bias_is_found_where_there_is_none_about_one_time_in_twenty() -> None:
    alarms = {"any": 0, "slope": 0, "top": 0}
    seeds = 200
    for seed in range(seeds):
        positions = found(world(Traits(seed=seed), queries=6, size=6, orders=4).observations, size=6)
        assert positions.effects is not None
        assert positions.effects.slope.p is not None
        assert positions.top.p is not None
        alarms["any"] += positions.effects.p <= 0.05
        alarms["slope"] += positions.effects.slope.p <= 0.05
        alarms["top"] += positions.top.p <= 0.05
    assert all(2 <= count <= 20 for count in alarms.values()), alarms  # 10 expected; p of this failing < .01


def test_orders_that_a_strategy_made_from_answers_are_no_experiment() -> None:
    asked = [
        Observation("m", qid, tuple(docids), tuple(range(N)))
        for qid, listed in WINDOWS
        for docids in (listed, listed[::-1])
    ]
    assert reordered_positions(asked, N, seed=0) is None


def test_the_same_order_asked_again_tells_nothing_new() -> None:
    observations = shuffled(WINDOWS, echo, orders=3)
    assert found(observations * 2) == found(observations)


def test_without_judgements_windows_in_one_order_are_confounded() -> None:
    asked = [Observation("m", qid, tuple(docids), tuple(range(N))) for qid, docids in WINDOWS]
    positions = unshuffled_positions(asked, N, None, seed=0)
    assert positions is not None
    assert positions.design == "confounded"
    assert positions.effects is None
    assert positions.top.p is None
    assert positions.top.expected == pytest.approx([1 / N] * N)
    later = [Observation("m", qid, tuple(docids), tuple(range(N)), step=1) for qid, docids in WINDOWS]
    assert unshuffled_positions(later, N, None, seed=0) is None


def test_grades_take_out_what_quality_does() -> None:
    """The relevant passages come first, and the model puts them first: that is no bias. Among equals it draws."""
    draw = random.Random(5)

    def ranked(docids: Sequence[str]) -> tuple[int, ...]:
        return tuple(sorted(range(N), key=lambda at: (docids[at] > "d3", draw.random())))

    asked = [
        Observation("m", f"{qid}-{again}", tuple(docids), ranked(docids))
        for qid, docids in WINDOWS
        for again in "abc"
    ]
    grades = {(each.qid, docid): 1.0 for each in asked for docid in ("d0", "d1", "d2", "d3")}
    raw = unshuffled_positions(asked, N, {}, seed=0)
    fair = unshuffled_positions(asked, N, grades, seed=0)
    assert raw is not None
    assert fair is not None
    assert raw.effects is not None
    assert fair.effects is not None
    assert raw.effects.slope.value > 0.5
    assert raw.effects.p < 0.001
    assert fair.effects.p > 0.05
    assert fair.top.p is not None
    assert fair.top.p > 0.05
    within = unshuffled_positions(
        [Observation("m", each.qid, each.docids, tuple(range(N))) for each in asked], N, grades, seed=0
    )
    assert within is not None
    assert within.effects is not None
    assert within.effects.slope.p == 1 / (estimates.DRAWS + 1)


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 5))
def test_a_curve_has_mean_zero_and_names_do_not_matter(seed: int, size: int, orders: int) -> None:
    draw = random.Random(seed)
    windows = [(f"q{at}", [f"d{number}" for number in range(size)]) for at in range(3)]
    observations = shuffled(windows, lambda _, docids, __: draw.sample(range(len(docids)), len(docids)), orders)
    renamed = [
        Observation(each.model, each.qid, tuple(f"x{docid[::-1]}" for docid in each.docids), each.permutation,
                    {}, each.order, each.sample)
        for each in observations
    ]  # fmt: skip
    curves = []
    for each in (observations, renamed):
        windows_ = Windows.of(each, size)
        sets = [one for one, _ in sets_of(windows_)]
        assert all((np.sort(one.rank, axis=2) == np.arange(size)).all() for one in sets)
        assert all((np.take_along_axis(one.place, one.shown, axis=2) == np.arange(size)).all() for one in sets)
        grams = sum(evidence._gram(one).sum(axis=0) for one in sets)
        pairs = [evidence._by_pairing(one) for one in sets]
        crosses = sum(
            pair[:, np.arange(pair.shape[1]), np.arange(pair.shape[1]), :size].sum(axis=(0, 1)) for pair in pairs
        )
        curves.append(fit(np.asarray(grams), np.asarray(crosses)))
    assert curves[0].mean() == pytest.approx(0, abs=1e-9)
    assert curves[0] == pytest.approx(curves[1], abs=1e-9)


def test_dealing_answers_anew_in_small_blocks_gives_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world(Traits(bias="ends"), queries=5, size=4, orders=3)
    sets = [each for each, _ in sets_of(Windows.of(made.observations, 4))]
    whole = evidence.reordered(sets, 4, 5, seed=0)
    monkeypatch.setattr(evidence, "MOST_CELLS", 1)
    parts = evidence.reordered(sets, 4, 5, seed=0)
    assert np.allclose(whole.gram, parts.gram)
    assert np.allclose(whole.cross, parts.cross)
    assert np.allclose(whole.expected.sum(), whole.top.sum())
    assert effects_of(parts, 0).curve[0].value == pytest.approx(effects_of(whole, 0).curve[0].value)


def test_orders_shown() -> None:
    docids = tuple("abcdef")
    orders = shuffles(docids, 4, "seed")
    assert [each.docids for each in orders] == [each.docids for each in shuffles(docids, 4, "seed")]
    assert len({each.docids for each in orders}) == 4
    assert len(shuffles(("a", "b"), 5, "seed")) == 2
    planted = {each.order: each.docids for each in arranged(docids, {"c": 1, "e": 2, "f": -1}, "seed")}
    assert planted["first_stage"] == docids
    assert planted["reversed"] == docids[::-1]
    assert set(planted["first"][:2]) == set(planted["middle"][2:4]) == set(planted["last"][-2:]) == {"c", "e"}
    assert all(sorted(each) == list(docids) for each in planted.values())
    for grades in ({}, dict.fromkeys(docids[1:], 1)):
        assert [each.order for each in arranged(docids, grades, "seed")] == ["first_stage", "reversed"]
