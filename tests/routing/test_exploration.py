from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.routing.exploration import (
    Explored,
    explored,
    explores,
    labels,
    propensity,
    weight,
)
from listwise.routing.offers import Option
from listwise.spend.routes import Routed, RouteNote

SHARE = 0.02
CHOSEN = RouteNote("gain", {"margin": 0.1}, "llm", 50, 1, propensity=1.0, disagreement=0.5, nano_usd=3_000_000)
TRIED = RouteNote(
    *("explored", {"margin": 2.0}, "llm", 20, 1),
    propensity=SHARE,
    predicted_nano_usd=1_000_000,
    disagreement=0.1,
    nano_usd=900_000,
)
STAYED = RouteNote("gain", {"margin": 2.0}, propensity=SHARE, predicted_nano_usd=2_000_000)


def routed(*notes: RouteNote, apart_s: float = 60.0) -> list[Routed]:
    return [Routed(at * apart_s, "r", "a", f"q{at}", note) for at, note in enumerate(notes)]


def test_the_share_is_explored() -> None:
    taken = sum(explores(0, f"q{at}", SHARE) for at in range(50_000))
    assert abs(taken / 50_000 - SHARE) < 0.002


@given(st.integers(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_it_is_the_same_every_time_and_more_with_a_larger_share(
    seed: int, qid: str, one: float, other: float
) -> None:
    small, large = sorted((one, other))
    assert explores(seed, qid, large) or not explores(seed, qid, small)
    assert explores(seed, qid, 1.0)
    assert not explores(seed, qid, 0.0)


def test_another_seed_explores_other_queries() -> None:
    first, second = ({at for at in range(5000) if explores(seed, str(at), 0.1)} for seed in (1, 2))
    assert 20 < len(first & second) < 90  # 50 by chance


def test_weights_undo_the_dice() -> None:
    assert weight(propensity(escalated=True, share=SHARE)) == 1
    assert weight(propensity(escalated=False, share=SHARE)) == pytest.approx(50)
    with pytest.raises(ValueError, match="no label"):
        weight(propensity(escalated=False, share=0))


def test_weighted_labels_see_what_only_the_escalated_would_not_show() -> None:
    """Half of the queries, the ambiguous ones, gain .2; the others nothing, and few of them are asked about."""
    log = []
    for at in range(20_000):
        qid, ambiguous = f"q{at}", at % 2 == 0
        asked = ambiguous or explores(7, qid, SHARE)
        note = replace(CHOSEN if ambiguous else TRIED, disagreement=float(ambiguous)) if asked else STAYED
        log.append(Routed(0.0, "r", "a", qid, note))
    found = list(labels(log, 0.2))
    assert sum(each.gain for each in found) / len(found) > 0.19
    estimated = sum(each.gain * each.weight for each in found) / sum(each.weight for each in found)
    assert estimated == pytest.approx(0.1, abs=0.01)


def test_labels_are_of_those_that_an_llm_ranked() -> None:
    cached = replace(CHOSEN, cache_hits=1)
    found = list(labels(routed(CHOSEN, STAYED, TRIED, replace(CHOSEN, disagreement=None), cached), 0.2))
    assert [(each.qid, each.option, each.gain, each.nano_usd) for each in found] == [
        ("q0", Option("llm", 50, 1), 0.1, 3_000_000),
        ("q2", Option("llm", 20, 1), pytest.approx(0.02), 900_000),
        ("q4", Option("llm", 50, 1), 0.1, None),
    ]


def test_what_it_costs_is_known_before_and_after() -> None:
    found = explored(routed(CHOSEN, TRIED, STAYED, CHOSEN, apart_s=28_800.0))
    assert (found.queries, found.explored, found.spent_nano_usd) == (4, 1, 900_000)
    assert (found.nano_usd_a_query, found.nano_usd_a_day) == pytest.approx((15_000, 60_000))
    assert explored([]) == Explored(0, 0, 0, 0.0, None)
    for apart_s, known in ((0.0, False), (100.0, False), (1200.0, True)):
        a_day = explored(routed(CHOSEN, TRIED, STAYED, CHOSEN, apart_s=apart_s)).nano_usd_a_day
        assert (a_day is not None) == known
