"""Attacks on a simulated model that follows orders, through the whole of listwise."""

from __future__ import annotations

from collections import Counter

import pytest

from listwise.forms import FORMS
from listwise.prompting import load_template, template_names
from tests.attacks.corpus import CASES, Case
from tests.attacks.follower import Follower, Strength
from tests.attacks.trials import Trial, made_up, ranked, undefended

ORDERING = [name for name in template_names() if FORMS[load_template(name).form].question == "order"]
TOP = 3
CLEAN, RELEVANCE = made_up()
STOPPED_BY_NOTHING = {"stuffing", "other words", "in the query"}
"""Families that the guard does not know for what they are."""


def trial(case: Case) -> Trial:
    return Trial.of(case, CLEAN, RELEVANCE)


@pytest.mark.parametrize("strength", ["wary", "trusting", "gullible"])
async def test_each_defence_stops_more_than_the_one_before(strength: Strength) -> None:
    succeeded: Counter[str] = Counter()
    for case in CASES:
        for defence in ("none", "off", "suspicious"):
            succeeded[defence] += await trial(case).place(strength, defence) <= TOP
    none, off, suspicious = (succeeded[defence] for defence in ("none", "off", "suspicious"))
    if strength == "wary":  # it falls for forged structure only, which no neutralised text has
        assert none >= 8
        assert off <= 2
    else:
        assert none > off > 2 * suspicious
    assert suspicious <= len([case for case in CASES if case.family in {*STOPPED_BY_NOTHING, "collusion"}])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}-{case.name}".replace(" ", "-"))
async def test_what_the_guard_stops_and_what_it_does_not(case: Case) -> None:
    undefended = await trial(case).place("gullible", "none")
    guarded = await trial(case).place("gullible", "suspicious")
    assert undefended <= TOP
    if case.family in STOPPED_BY_NOTHING or case.name == "pair":
        assert guarded <= TOP
    else:
        assert guarded > 10


async def test_every_leap_is_confirmed_if_wanted_but_a_model_that_believes_twice_is_believed() -> None:
    cases = {case.name: case for case in CASES}
    assert await trial(cases["pair"]).place("gullible", "leaps") > 10
    assert await trial(cases["sorter"]).place("gullible", "leaps") <= TOP


@pytest.mark.parametrize("template", ORDERING)
async def test_clean_queries_are_ranked_as_without_a_guard(template: str) -> None:
    for seed in range(5):
        request, relevance = made_up(seed=seed)
        off, on = [
            await ranked(request, Follower(relevance, "gullible", noise=0.5), guard=guard, prompt=template)
            for guard in ("off", "suspicious")
        ]
        assert on.docids == off.docids
        assert on.receipt.calls == off.receipt.calls
        assert on.receipt.notes == ()


async def test_the_follower_ranks_by_relevance_where_nobody_gives_orders() -> None:
    best = sorted(RELEVANCE.values(), reverse=True)[:10]
    ranking = await ranked(CLEAN, Follower(RELEVANCE, "gullible"), guard="off")
    assert [RELEVANCE[docid] for docid in ranking.docids[:10]] == best
    assert undefended(CLEAN, Follower(RELEVANCE, "gullible")) == list(ranking.docids)
