from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.policy import Escalation
from listwise.routing.router import Router
from listwise.routing.signals import margin

scores = st.lists(st.floats(-1e6, 1e6), max_size=120)


def router(escalate: Escalation, *, has_llm: bool = True) -> Router:
    return Router(escalate, 0.5, "local", "local scores", has_llm)


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


@given(st.lists(st.none() | st.floats(0, 5), max_size=80), st.floats(0, 1))
def test_a_share_escalates_that_many_and_the_most_ambiguous(signals: list[float | None], share: float) -> None:
    decisions = router(share).decide_all(signals)
    chosen = [signal for signal, decision in zip(signals, decisions, strict=True) if decision.route == "llm"]
    kept = [signal for signal, decision in zip(signals, decisions, strict=True) if decision.route != "llm"]
    assert len(chosen) == int(share * len(signals) + 0.5)
    worth = [-1.0 if signal is None else signal for signal in chosen]
    assert not kept or not worth or max(worth) <= min(-1.0 if signal is None else signal for signal in kept)


@given(st.lists(st.none() | st.floats(0, 5), max_size=20))
def test_never_and_always(signals: list[float | None]) -> None:
    assert {decision.route for decision in router("never").decide_all(signals)} <= {"local"}
    assert {decision.route for decision in router("always").decide_all(signals)} <= {"llm"}
    assert {decision.route for decision in router("always", has_llm=False).decide_all(signals)} <= {"local"}


@pytest.mark.parametrize(
    ("signal", "route", "words"), [(0.4, "llm", "0.40.*below 0.5"), (0.5, "local", "at least")]
)
def test_auto_goes_by_the_margin_and_says_so(signal: float, route: str, words: str) -> None:
    decision = router("auto").decide(signal)
    assert decision.route == route
    assert decision.signal == signal
    assert re.search(words, decision.reason)
