"""One query at a time, as services ask: limits of its own, and callers in many event loops and threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from listwise import Reranker
from listwise.errors import ConfigError, Unpriced
from listwise.spend.tab import Budget
from listwise.spend.terms import Terms
from tests.layers.models import MemoryModel, completion
from tests.loopback import ScriptedServer

PRICE = ("memory/model=1,2",)


def reranker(model: MemoryModel, **options: Any) -> Reranker:
    return Reranker(model=model, local="none", escalate="always", cache="off", **options)


def test_the_lower_limit_holds() -> None:
    mine = Budget(Decimal("0.1"), 100, 3, 2.0)
    assert Terms(usd=Decimal("0.2"), seconds=1.0).budget(mine) == Budget(Decimal("0.1"), 100, 3, 1.0)
    assert Terms(usd=Decimal("0.05")).budget(mine) == Budget(Decimal("0.05"), 100, 3, 2.0)
    assert Terms(usd=Decimal("0.05")).budget(Budget()) == Budget(Decimal("0.05"))
    assert Terms().budget(mine) == mine


async def test_a_query_without_money_is_not_asked_and_the_next_one_is() -> None:
    model = MemoryModel(completion("[2] > [1]"))
    reranking = reranker(model, price=PRICE)
    broke = await reranking.arerank("why", ["a", "b"], terms=Terms(usd=Decimal("0.000001")))
    assert (broke.docids, len(model.asked)) == (("0", "1"), 0)
    assert "USD budget of 0.000001 reached" in broke.receipt.degraded[-1]
    assert (await reranking.arerank("why", ["a", "b"])).docids == ("1", "0")


async def test_dollars_need_a_price_and_nothing_else_does() -> None:
    model = MemoryModel()
    with pytest.raises(Unpriced, match=r"no price is known of memory/model: set one with price \('memory/model="):
        await reranker(model).arerank("why", ["a", "b"], terms=Terms(usd=Decimal("0.01")))
    assert model.asked == []
    await reranker(model).arerank("why", ["a", "b"], terms=Terms(seconds=10))
    assert len(model.asked) == 1


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer("[2] > [1]", delay_s=0.01) as running:
        yield running


def over(server: ScriptedServer) -> Reranker:
    return Reranker(
        llm="vllm/loopback-1", base_url=server.base_url, local="none", escalate="always", cache="off", ledger="off"
    )


def test_loops_that_come_and_go_share_what_is_open(server: ScriptedServer) -> None:
    with over(server) as reranking:
        for at in range(5):
            ranking = asyncio.run(reranking.arerank_anywhere(f"why {at}", ["a", "b"]))
            assert ranking.docids == ("1", "0")
        assert reranking.rerank("why", ["a", "b"]).docids == ("1", "0")
    assert len(server.asked) == 6


def test_loops_and_threads_at_once(server: ScriptedServer) -> None:
    async def three(reranking: Reranker, name: int) -> list[tuple[str, ...]]:
        work = [reranking.arerank_anywhere(f"why {name} {at}", ["a", "b"]) for at in range(3)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
        return [task.result().docids for task in tasks]

    with over(server) as reranking, ThreadPoolExecutor(8) as threads:
        loops = [threads.submit(asyncio.run, three(reranking, name)) for name in range(8)]
        plain = [threads.submit(reranking.rerank, f"why not {name}", ["a", "b"]) for name in range(8)]
        assert [each.result() for each in loops] == [[("1", "0")] * 3] * 8
        assert [each.result().docids for each in plain] == [("1", "0")] * 8
    assert len(server.asked) == 32


async def test_cancelling_ends_the_work_behind_the_door() -> None:
    model = MemoryModel(delay_s=30)
    with reranker(model) as reranking:
        task = asyncio.create_task(reranking.arerank_anywhere("why", ["a", "b"]))
        await until(lambda: model.at_once == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: model.at_once == 0)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(5000):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come to hold")


def test_the_sync_door_inside_a_running_loop(server: ScriptedServer) -> None:
    async def blocking() -> tuple[str, ...]:
        return reranking.rerank("why", ["a", "b"]).docids

    with over(server) as reranking:
        assert asyncio.run(blocking()) == ("1", "0")


async def test_a_closed_one_says_so() -> None:
    reranking = reranker(MemoryModel())
    reranking.close()
    with pytest.raises(ConfigError, match="this reranker is closed"):
        await reranking.arerank_anywhere("why", ["a", "b"])
