"""The fallback chain: who reads a window that another model could not order, and what is said of it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listwise import Candidate, Query, Ranking, Request, Reranker
from listwise.calls import Call, Completion
from listwise.errors import Auth, BadRequest, CallError, ConfigError, ContextOverflow, ServerError, Timeout
from tests.layers.models import Behaviour, MemoryModel, completion

REQUEST = Request(Query("q1", "which"), tuple(Candidate(f"d{at}", f"text {at}") for at in range(30)))
AS_GIVEN = tuple(f"d{at}" for at in range(30))
TURNED = tuple(f"d{at}" for at in (*range(20, 30), *range(9, -1, -1), *range(19, 9, -1)))
"""What sliding windows make of thirty passages for a model that turns every window round."""

DOWN = ServerError("down", model="memory/a", retry_after_s=0.0)
LOST = Timeout("no answer", model="memory/a", retry_after_s=0.0)
PRICES = ("memory/a=1000,1000", "memory/b=1,1")


def backwards(call: Call) -> Completion:
    return completion(" > ".join(f"[{at}]" for at in range(call.passages, 0, -1)))


def chain(first: list[Behaviour], second: list[Behaviour]) -> tuple[MemoryModel, MemoryModel]:
    return MemoryModel(*first, name="a"), MemoryModel(*second, name="b")


async def ranked(models: tuple[MemoryModel, ...], request: Request = REQUEST, **options: Any) -> Ranking:
    usual = {"local": "none", "escalate": "always", "cache": "off", "ledger": "off", "attempts": 2, "trace": True}
    async with Reranker(model=models, **{**usual, **options}) as reranker:
        return await reranker.arerank(request)


async def test_what_the_first_cannot_do_the_second_does_and_the_receipt_says_so() -> None:
    models = chain([DOWN], [backwards])
    ranking = await ranked(models)
    receipt = ranking.receipt
    assert ranking.docids == TURNED
    assert (receipt.route, receipt.model, receipt.fallback) == ("llm", "memory/a", "llm")
    assert receipt.ordered_by == {"memory/b": 2}
    (said,) = receipt.degraded
    assert said == "2 window(s) passed on from memory/a to memory/b: down (gave up after 2 attempts)"
    assert (receipt.calls, receipt.attempts, receipt.retries) == (4, 6, 2)


async def test_the_trace_shows_who_was_asked_and_what_came_of_it() -> None:
    windows = (await ranked(chain([DOWN], [backwards]))).windows
    assert [(window.step, window.model, window.permutation is None) for window in windows] == [
        (0, "memory/a", True),
        (0, "memory/b", False),
        (1, "memory/a", True),
        (1, "memory/b", False),
    ]
    assert windows[0].docids == windows[1].docids
    assert "down" in (windows[0].error or "")
    assert windows[1].error is None


async def test_what_the_first_has_done_is_not_done_again() -> None:
    models = chain([backwards, DOWN], [backwards])
    ranking = await ranked(models)
    assert ranking.docids == TURNED
    assert ranking.receipt.ordered_by == {"memory/a": 1, "memory/b": 1}
    assert len(models[1].asked) == 1
    assert ranking.receipt.degraded[0].startswith("1 window(s) passed on")


async def test_a_chain_that_is_not_needed_is_not_used() -> None:
    models = chain([backwards], [backwards])
    receipt = (await ranked(models)).receipt
    assert models[1].asked == []
    assert (receipt.fallback, receipt.degraded, receipt.ordered_by) == (None, (), {"memory/a": 2})


@pytest.mark.parametrize(
    "error",
    [
        Auth("bad key", model="memory/a", status=401),
        BadRequest("no such thing", model="memory/a", status=400),
    ],
)
async def test_one_that_can_do_nothing_for_the_query_is_passed_over_from_then_on(error: CallError) -> None:
    models = chain([error], [backwards])
    ranking = await ranked(models)
    assert ranking.docids == TURNED
    assert (len(models[0].asked), len(models[1].asked)) == (1, 2)
    assert ranking.receipt.degraded == (f"2 window(s) passed on from memory/a to memory/b: {error.message}",)


async def test_a_cheaper_model_goes_on_where_the_dollars_do_not_pay_for_the_first() -> None:
    models = chain([backwards], [backwards])
    ranking = await ranked(models, price=PRICES, budget_usd="0.01")
    assert (models[0].asked, len(models[1].asked)) == ([], 2)
    assert ranking.docids == TURNED
    assert ranking.receipt.usd <= ranking.receipt.usd.__class__("0.01")
    assert "USD budget of 0.01 reached" in ranking.receipt.degraded[0]


@pytest.mark.parametrize("limits", [{"max_calls": 1}, {"max_tokens": 1500}])
async def test_no_other_model_is_asked_beyond_a_limit_of_calls_or_tokens(limits: dict[str, Any]) -> None:
    models = chain([backwards], [backwards])
    ranking = await ranked(models, **limits)
    assert len(models[1].asked) == 0
    assert ranking.receipt.degraded[-1].startswith(f"stopped after {ranking.receipt.calls} calls")


async def test_no_other_model_is_asked_when_time_is_up() -> None:
    slow = MemoryModel(backwards, delay_s=5, name="a")
    second = MemoryModel(backwards, name="b")
    ranking = await ranked((slow, second), max_seconds=0.1)
    assert second.asked == []
    assert ranking.docids == AS_GIVEN
    assert ranking.receipt.fallback == "first_stage"


@pytest.mark.parametrize("answer", ["I cannot help with that.", "", "no idea"])
async def test_an_answer_that_ranks_nothing_is_passed_on_unless_the_policy_keeps_the_order(answer: str) -> None:
    models = chain([completion(answer)], [backwards])
    assert (await ranked(models)).receipt.ordered_by == {"memory/b": 2}
    kept = chain([completion(answer)], [backwards])
    ranking = await ranked(kept, on_bad_answer="keep")
    assert kept[1].asked == []
    assert (ranking.docids, ranking.receipt.fallback) == (AS_GIVEN, "first_stage")


async def test_a_prompt_that_does_not_fit_the_first_is_read_by_the_second() -> None:
    models = MemoryModel(backwards, name="a", context_tokens=800), MemoryModel(backwards, name="b")
    ranking = await ranked(models, request=Request(Query("q1", "which one " * 200), REQUEST.candidates))
    assert ranking.docids == TURNED
    assert models[0].asked == []
    too_long = chain([ContextOverflow("too long", model="memory/a", status=400)], [backwards])
    assert (await ranked(too_long)).docids == TURNED


class Even:
    """A local model that likes even numbers."""

    name = "even"

    def score(self, query: str, passages: list[str]) -> list[float]:
        return [-float(re.sub(r"\D", "", passage)) % 2 for passage in passages]


async def test_where_none_can_the_local_order_stands_or_the_first_stages() -> None:
    dead = chain([DOWN], [LOST])
    ranking = await ranked(dead, scorer=Even())
    assert ranking.docids[:15] == tuple(f"d{at}" for at in range(1, 30, 2))
    assert (ranking.receipt.route, ranking.receipt.fallback, ranking.receipt.ordered_by) == ("llm", "local", {})
    (said,) = ranking.receipt.degraded
    assert said.startswith("2 window(s) kept their order: memory/a: down")
    assert "then memory/a: no answer" in said
    assert (await ranked(chain([DOWN], [LOST]))).receipt.fallback == "first_stage"


async def test_a_play_ends_where_no_model_can_do_anything_more() -> None:
    refused = Auth("bad key", model="memory/b", status=401)
    models = chain([BadRequest("what", model="memory/a", status=400)], [refused])
    ranking = await ranked(models)
    assert (len(models[0].asked), len(models[1].asked)) == (1, 1)
    assert ranking.receipt.degraded == ("stopped after 2 calls: memory/a: what; then memory/b: bad key",)


behaviours = st.lists(
    st.sampled_from(
        [
            backwards,
            completion("[2] > [1]"),
            completion("no"),
            DOWN,
            LOST,
            Auth("who", model="m", status=401),
            BadRequest("what", model="m", status=400),
            ContextOverflow("long", model="m", status=400),
        ]
    ),
    min_size=1,
    max_size=5,
)


@given(behaviours, behaviours, behaviours, st.sampled_from([None, 1, 3, 9]))
@settings(max_examples=80, deadline=None)
def test_whatever_the_models_do_every_candidate_comes_back_once_and_every_window_is_accounted_for(
    first: list[Behaviour], second: list[Behaviour], third: list[Behaviour], calls: int | None
) -> None:
    models = tuple(MemoryModel(*each, name=name) for each, name in zip((first, second, third), "abc", strict=True))
    ranking = asyncio.run(ranked(models, max_calls=calls))
    receipt = ranking.receipt
    assert sorted(ranking.docids) == sorted(AS_GIVEN)
    assert receipt.attempts == sum(len(model.asked) for model in models)
    ordered = [window.model for window in ranking.windows if window.permutation is not None]
    assert receipt.ordered_by == {name: ordered.count(name) for name in sorted(set(ordered))}
    others = set(ordered) - {"memory/a"}
    assert receipt.fallback == ("llm" if others else None if ordered else "first_stage")
    assert bool(receipt.degraded) >= bool(receipt.fallback), "never silent"


def test_each_model_of_the_chain_needs_a_price_under_a_cap() -> None:
    models = chain([backwards], [backwards])
    with pytest.raises(ConfigError, match="no price is known for memory/b"):
        Reranker(model=models, local="none", budget_usd="1", price=("memory/a=1,1",), ledger="off")


def test_dollars_are_said_to_be_unknown_only_if_one_without_a_price_was_asked() -> None:
    well = asyncio.run(ranked(chain([backwards], [backwards]), price=("memory/a=1,1",)))
    ill = asyncio.run(ranked(chain([DOWN], [backwards]), price=("memory/a=1,1",)))
    assert (well.receipt.priced, ill.receipt.priced) == (True, False)
