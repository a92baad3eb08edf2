from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.policy import Escalation
from listwise.routing.goals import Goal, Share, Threshold
from listwise.routing.offers import Offer, Option
from listwise.routing.router import Asked, Router
from listwise.routing.signals import margin

scores = st.lists(st.floats(-1e6, 1e6), max_size=120)


def router(escalate: Escalation, goal: Goal | None = None, *, has_llm: bool = True) -> Router:
    return Router(escalate, goal, "local", "local scores", has_llm, threshold=0.5)


@given(scores)
def test_a_margin_is_none_or_not_negative(values: list[float]) -> None:
    seen = margin(values)
    assert (seen is None) == (len(values) < 2)
    assert seen is None or seen >= 0


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=60), st.floats(0.01, 100), st.integers(-1000, 1000))
def test_a_margin_does_not_depend_on_scale_shift_or_order(values: list[int], scale: float, shift: int) -> None:
    moved = [value * scale + shift for value in reversed(values)]
    assert margin(moved) == pytest.approx(margin(values), abs=1e-6)


def test_a_cliff_after_rank_ten_is_a_clear_query_and_a_plain_an_ambiguous_one() -> None:
    cliff = [10.0] * 10 + [0.0] * 90
    slope = [float(-at) for at in range(100)]
    flat = [1.0] * 100
    seen = [margin(values) for values in (cliff, slope, flat)]
    assert seen == sorted(seen, reverse=True)  # type: ignore[type-var]
    assert seen[2] == 0


def asked(margin: float | None, gain: float = 0.1) -> Asked:
    """A query with a margin, if any, on which the LLM is expected to gain so much."""
    return Asked("q", (Offer(Option("llm", 20), gain, 1_000_000),), {} if margin is None else {"margin": margin})


@given(st.lists(st.floats(-1, 1), max_size=80), st.floats(0, 1))
def test_a_share_escalates_that_many_and_those_with_most_to_gain(gains: list[float], share: float) -> None:
    decisions = router(share, Share(share)).decide_all([asked(1.0, gain) for gain in gains])
    chosen = [gain for gain, decision in zip(gains, decisions, strict=True) if decision.route == "llm"]
    kept = [gain for gain, decision in zip(gains, decisions, strict=True) if decision.route != "llm"]
    assert len(chosen) == int(share * len(gains) + 0.5)
    assert not kept or not chosen or max(kept) <= min(chosen)


@given(st.lists(st.none() | st.floats(0, 5), max_size=20))
def test_never_and_always(margins: list[float | None]) -> None:
    queries = [asked(margin) for margin in margins]
    assert {decision.route for decision in router("never").decide_all(queries)} <= {"local"}
    assert {decision.route for decision in router("always").decide_all(queries)} <= {"llm"}
    assert {decision.route for decision in router("always", has_llm=False).decide_all(queries)} <= {"local"}


@pytest.mark.parametrize(
    ("signal", "route", "words"),
    [(0.4, "llm", "0.40.*below 0.5"), (0.5, "local", "at least"), (None, "llm", "nothing tells")],
)
async def test_a_margin_goes_before_the_goal_and_says_so(signal: float | None, route: str, words: str) -> None:
    decision = await router("auto", Threshold(lambda option: 9.0, "")).decide(asked(signal))
    assert decision.route == route
    assert decision.signal == signal
    assert re.search(words, decision.reason)


async def test_a_threshold_says_nothing_of_a_query_without_signals() -> None:
    routing = replace(router("auto", Threshold(lambda option: 9.0, "that it takes")), threshold=None)
    assert (await routing.decide(asked(None))).route == "llm"
    decision = await routing.decide(asked(1.0))
    assert (decision.route, decision.why, decision.taken) == ("local", "gain", None)
    assert decision.reason == (
        "reading 20 is expected to gain 10.0 points for $0.001, less than the 900.0 that it takes"
    )


async def test_some_of_those_that_would_stay_are_explored() -> None:
    routing = replace(router("auto", Threshold(lambda option: 9.0, "")), threshold=None, explore=0.3)
    queries = [replace(asked(1.0), key=f"q{at}") for at in range(300)]
    decisions = [await routing.decide(each) for each in queries]
    taken = [each for each in decisions if each.route == "llm"]
    assert 60 < len(taken) < 120
    assert {each.why for each in taken} == {"explored"}
    assert {each.propensity for each in decisions} == {0.3}
    assert [each.route for each in routing.decide_all(queries)] == [each.route for each in decisions]
    assert all(each.taken == each.offer and each.reason.startswith("explored, as 30%") for each in taken)


async def test_nothing_is_explored_where_escalation_is_off() -> None:
    routing = replace(router("never"), explore=1.0)
    decision = await routing.decide(asked(1.0))
    assert (decision.route, decision.propensity) == ("local", 0.0)
