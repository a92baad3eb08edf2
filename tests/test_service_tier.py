"""OpenAI's flex tier, from the setting to the receipt, against a real server on the loopback."""

from __future__ import annotations

from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from listwise import Candidate, Query, Ranking, Request, Reranker, Usage
from listwise.models.base import CountingModel
from listwise.models.registry import load_model
from tests.loopback import Said, ScriptedServer, failure
from tests.models.adapters import call

MODEL = "openai/gpt-5"
PRICE = f"{MODEL}=input:1000,output:1000,batch:0.5"
REQUEST = Request(Query("q", "what is it"), tuple(Candidate(f"d{at}", f"text {at}") for at in range(3)))
ORDER = "[3] > [2] > [1]"
FLEX = Said(ORDER, input_tokens=200, output_tokens=20, service_tier="flex")


def reranker(server: ScriptedServer, cache: Path | str = "off", **settings: Any) -> Reranker:
    fixed: dict[str, Any] = {"price": (PRICE,), "local": "none", "escalate": "always", "max_output_tokens": 100}
    chosen = {"service_tier": "flex", "cache": str(cache), **fixed, **settings}
    return Reranker(llm=MODEL, base_url=server.base_url, trace=True, **chosen)


def rerank(server: ScriptedServer, cache: Path | str = "off", **settings: Any) -> Ranking:
    with reranker(server, cache, **settings) as chosen:
        return chosen.rerank(REQUEST)


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_it_is_asked_for_and_billed_at_the_batch_rate(api: str) -> None:
    with ScriptedServer(FLEX) as server:
        ranking = rerank(server, api=api)
    assert server.asked[0].body["service_tier"] == "flex"
    assert ranking.docids == ("d2", "d1", "d0")
    assert ranking.receipt.usd == Decimal("0.11")
    assert ranking.windows[0].usage == Usage(200, output_tokens=20, service_tier="flex")


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_what_was_served_at_the_default_tier_costs_its_price(api: str) -> None:
    with ScriptedServer(Said(ORDER, 200, 20, service_tier="default")) as server:
        ranking = rerank(server, api=api)
    assert ranking.receipt.usd == Decimal("0.22")
    assert ranking.windows[0].usage.service_tier == "default"


@pytest.mark.parametrize("tier", [7, ["flex"], "FLEX; drop table", "x" * 1000])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_tier_that_makes_no_sense_spoils_no_answer(api: str, tier: object) -> None:
    with ScriptedServer(Said(ORDER, 200, 20, service_tier=tier)) as server:
        ranking = rerank(server, api=api)
    assert ranking.docids == ("d2", "d1", "d0")
    assert ranking.windows[0].usage.service_tier == ""
    assert ranking.receipt.usd == Decimal("0.22")


def test_no_room_is_tried_again_and_costs_nothing() -> None:
    no_room = failure(429, "Resource unavailable", code="resource_unavailable", retry_after="0")
    with ScriptedServer([no_room, FLEX]) as server:
        receipt = rerank(server).receipt
    assert (receipt.attempts, receipt.retries) == (2, 1)
    assert receipt.usd == Decimal("0.11")


@pytest.mark.parametrize(("less", "calls"), [("0", 1), ("1e-9", 0)])
def test_the_ordinary_price_is_reserved(less: str, calls: int) -> None:
    """A server that is asked for the flex tier may serve at another."""
    with ScriptedServer(FLEX) as server:
        with reranker(server) as planning:
            (plan,) = planning.plan([REQUEST]).strategies
        rerank(server, budget_usd=Decimal(str(plan.usd.high)) - Decimal(less))
    assert plan.usd.high > 2 * plan.usd.expected
    assert len(server.asked) == calls


def test_an_answer_is_the_same_at_any_tier(tmp_path: Path) -> None:
    with ScriptedServer(FLEX) as server:
        bought = rerank(server, tmp_path / "cache")
        again = rerank(server, tmp_path / "cache", service_tier="default")
    assert len(server.asked) == 1
    assert again.receipt.cache_hits == 1
    assert again.receipt.usd == 0
    assert again.docids == bought.docids
    assert again.windows[0].usage == bought.windows[0].usage


@pytest.mark.parametrize("name", ["openai/loopback-1", "vllm/loopback-1"])
async def test_servers_of_ones_own_need_not_know_tiers(name: str) -> None:
    with ScriptedServer(ORDER) as server:
        async with aclosing(load_model(name, base_url=server.base_url)) as model:
            completion = await model.complete(call(), timeout_s=5)
    assert "service_tier" not in server.asked[0].body
    assert completion.usage.service_tier == ""


async def test_counting_a_prompt_needs_no_tier() -> None:
    with ScriptedServer(ORDER) as server:
        async with aclosing(load_model(MODEL, base_url=server.base_url, service_tier="flex")) as model:
            assert isinstance(model, CountingModel)
            await model.count_tokens(call(), timeout_s=5)
    assert "service_tier" not in server.requests[-1].body


def test_a_sum_has_the_tier_of_its_parts() -> None:
    flex, default = Usage(1, service_tier="flex"), Usage(2, service_tier="default")
    assert sum([flex, flex], Usage()) == Usage(2, service_tier="flex")
    assert flex + default == Usage(3)
    assert (flex + default) + flex == flex + (default + flex) == Usage(4)
