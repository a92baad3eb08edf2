"""Rules, goals and dice: who ranks a query, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.policy import Escalation
from listwise.routing.exploration import explores
from listwise.routing.goals import Bar, Choice, Share, Threshold
from listwise.routing.offers import Offer, Option
from listwise.routing.router import Asked, Decision, Router

OPTION = Option("llm", 20)
GOAL = Threshold(lambda options: Bar(0.1, "that it takes"))


def router(escalate: Escalation, goal: Any = GOAL, *, has_llm: bool = True, **more: Any) -> Router:
    return Router(escalate, goal, "local", "local scores", has_llm, **more)


def asked(gain: float | None = None, *, key: str = "q", cost: int = 7, **signals: float) -> Asked:
    return Asked(key, () if gain is None else (Offer(OPTION, gain, cost),), signals)


questions = st.lists(st.none() | st.floats(-0.5, 0.5), max_size=20).map(
    lambda gains: [asked(gain, key=str(at), margin=at / 10) for at, gain in enumerate(gains)]
)


@given(questions)
def test_never_and_always(queries: list[Asked]) -> None:
    def routes(*args: Any, **more: Any) -> set[str]:
        return {decision.route for decision in router(*args, **more).decide_all(queries)}

    assert routes("never", None, explore=1.0) <= {"local"}
    assert routes("always", None) <= {"llm"}
    assert routes("always", None, has_llm=False, explore=1.0) <= {"local"}
    assert routes("auto", GOAL, has_llm=False) <= {"local"}


@given(questions, st.floats(0, 1))
def test_a_share_is_of_all_queries(queries: list[Asked], share: float) -> None:
    offered = [each for each in queries if each.offers]
    decisions = router(share, Share(share, GOAL)).decide_all(offered)
    assert sum(decision.route == "llm" for decision in decisions) == int(share * len(offered) + 0.5)


@pytest.mark.parametrize(
    ("signal", "route", "words"), [(0.4, "llm", "0.40.*below 0.5"), (0.5, "local", "at least")]
)
async def test_a_margin_goes_before_any_gain_and_says_so(signal: float, route: str, words: str) -> None:
    decision = await router("auto", None, threshold=0.5).decide(asked(0.9, margin=signal))
    assert (decision.route, decision.signal, decision.why) == (route, signal, "rule")
    assert re.search(words, decision.reason)
    assert decision.option is None


async def test_without_a_margin_or_offers_a_query_is_escalated() -> None:
    for each in (router("auto", None, threshold=0.5), router("auto")):
        decision = await each.decide(asked())
        assert (decision.route, decision.option) == ("llm", None)
        assert decision.reason == "nothing tells how ambiguous the query is: no local scores"


async def test_a_goal_decides_and_what_it_took_or_refused_is_kept() -> None:
    sent, left = [await router("auto").decide(asked(gain, margin=0.3)) for gain in (0.2, 0.05)]
    assert (sent.route, sent.option, sent.why, sent.propensity) == ("llm", OPTION, "gain", 1.0)
    assert (left.route, left.option, left.why, left.propensity) == ("local", None, "gain", 0.0)
    assert left.offer is not None
    assert left.offer.gain == 0.05
    assert sent.signals == left.signals == {"margin": 0.3}
    assert sent.signal == 0.3


@given(questions)
async def test_one_by_one_or_together_a_goal_for_which_each_stands_alone_decides_the_same(
    queries: list[Asked],
) -> None:
    each = router("auto", explore=0.3, seed=1)
    assert [await each.decide(one) for one in queries] == each.decide_all(queries)


@pytest.mark.parametrize("goal", [None, GOAL])
async def test_exploration_escalates_some_that_would_stay_and_their_share_is_known(goal: Threshold | None) -> None:
    each = router("auto", goal, threshold=0.5, explore=0.2, seed=3)
    queries = [asked(0.05, key=f"q{at}", margin=0.9) for at in range(500)]
    decisions = [await each.decide(one) for one in queries]
    explored = [decision for decision in decisions if decision.why == "explored"]
    assert [decision.route == "llm" for decision in decisions] == [explores(3, one.key, 0.2) for one in queries]
    assert 70 < len(explored) < 130
    assert {decision.propensity for decision in decisions} == {0.2}
    assert explored[0].option == OPTION
    assert explored[0].reason.startswith("explored, as 20% of those are that would stay: ")


async def test_what_is_escalated_anyway_is_not_explored() -> None:
    decision = await router("auto", explore=1.0).decide(asked(0.5))
    assert (decision.why, decision.propensity) == ("gain", 1.0)


class Watched:
    """A goal that takes what gains, has money for what costs little, and keeps what it is told."""

    needs_all = gains_by_all = False

    def __init__(self) -> None:
        self.told: list[tuple[Offer | None, int]] = []

    async def choose(self, offers: Sequence[Offer]) -> Choice:
        short = offers[0].nano_usd > 100
        return Choice(offers[0] if offers[0].gain > 0 else None, "budget" if short else "gain", "so")

    def choose_all(self, queries: Sequence[Sequence[Offer]], stand_for: float = 1.0) -> list[Choice]:
        return []

    def settled(self, offer: Offer | None, nano_usd: int) -> None:
        self.told.append((offer, nano_usd))


async def test_what_there_is_no_money_for_is_not_explored() -> None:
    decision = await router("auto", Watched(), explore=1.0).decide(asked(-1, cost=500))
    assert (decision.route, decision.why, decision.propensity) == ("local", "budget", 0.0)


async def test_a_goal_hears_once_what_its_choice_did_cost_and_what_was_spent_besides() -> None:
    goal = Watched()
    each = router("auto", goal, explore=1.0)
    taken, explored = await each.decide(asked(0.2)), await each.decide(asked(-0.2))
    each.settled(taken, 5, 0)
    each.settled(taken, 0, 3)
    each.settled(explored, 4, 3)
    each.settled(Decision("local", "one", propensity=0.0), 0, 0)
    assert goal.told == [(taken.offer, 5), (taken.offer, 0), (None, 3), (None, 7)]
    router("always", None).settled(taken, 5)
