"""Each layer's promise, and the order they stand in."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path

import pytest

from listwise.cache import AnswerCache
from listwise.errors import Auth, BudgetExceeded, CallError, RateLimited, ServerError, Timeout
from listwise.layers import Counting, Layer, stack
from listwise.models.registry import load_model
from listwise.spend.prices import Rates
from listwise.spend.tab import Budget, Tab
from listwise.spend.tokens import TokenCounter, counter_for
from tests.layers.models import MemoryModel, call, completion
from tests.loopback import Said, ScriptedServer

PRICE = Rates(input=Decimal(1000), output=Decimal(1000))  # a tenth of a cent a token
BUSY = RateLimited("busy", model="memory/model", status=429, retry_after_s=0.0)
DOWN = ServerError("down", model="memory/model", status=500, retry_after_s=0.0)


def tab(**limits: object) -> Tab:
    return Tab("q1", Budget(**limits))  # type: ignore[arg-type]


def layered(
    model: MemoryModel, store: AnswerCache | None = None, *, concurrency: int = 8, attempts: int = 3
) -> Layer:
    return stack(
        model,
        store=store,
        counting=Counting(TokenCounter(None)),
        price=PRICE,
        concurrency=concurrency,
        timeout_s=5,
        attempts=attempts,
    )


async def test_a_hit_costs_nothing_and_takes_no_slot(tmp_path: Path) -> None:
    model, store, account = MemoryModel(), AnswerCache(tmp_path / "c"), tab()
    layer = layered(model, store, concurrency=1)
    bought = await layer.ask(call(), account)
    found = await layer.ask(call(), account)
    store.close()
    assert bought.nano_usd == account.nano_usd == 15_000_000
    assert (found.cached, found.nano_usd, found.completion) == (True, 0, bought.completion)
    assert (len(model.asked), account.attempts) == (1, 1)


async def test_another_sample_number_is_another_answer(tmp_path: Path) -> None:
    model, store = MemoryModel(), AnswerCache(tmp_path / "c")
    layer = layered(model, store)
    await layer.ask(call(sample=0), tab())
    await layer.ask(call(sample=1), tab())
    store.close()
    assert len(model.asked) == 2


async def test_the_same_window_asked_twice_at_once_is_asked_once() -> None:
    model = MemoryModel(delay_s=0.02)
    layer, accounts = layered(model), [tab() for _ in range(5)]
    answers = await asyncio.gather(*(layer.ask(call(), account) for account in accounts))
    assert len(model.asked) == 1
    assert sorted(answer.cached for answer in answers) == [False, True, True, True, True]
    assert sorted(account.nano_usd for account in accounts) == [0, 0, 0, 0, 15_000_000]


async def test_a_follower_asks_for_itself_if_the_leader_cannot_pay() -> None:
    model = MemoryModel(delay_s=0.6)
    layer, poor, rich = layered(model), tab(seconds=0.3), tab()
    with_failure = await asyncio.gather(layer.ask(call(), poor), layer.ask(call(), rich), return_exceptions=True)
    assert isinstance(with_failure[0], Timeout)
    assert not isinstance(with_failure[1], BaseException)
    assert rich.nano_usd == 15_000_000


async def test_a_follower_asks_for_itself_if_the_leader_is_cancelled() -> None:
    model = MemoryModel(delay_s=0.02)
    layer = layered(model)
    leader = asyncio.create_task(layer.ask(call(), tab()))
    await asyncio.sleep(0.005)
    follower = asyncio.create_task(layer.ask(call(), tab()))
    await asyncio.sleep(0.005)
    leader.cancel()
    assert (await follower).completion == completion()
    assert len(model.asked) == 2


async def test_every_attempt_reserves_for_itself_and_a_rejection_gives_back() -> None:
    model, account = MemoryModel(BUSY, DOWN, completion()), tab()
    await layered(model).ask(call(), account)
    assert (account.attempts, account.retries, account.nano_usd) == (3, 2, 15_000_000)


async def test_an_unknown_outcome_is_charged_in_full_and_tried_again() -> None:
    lost = Timeout("lost", model="memory/model", retry_after_s=0.0)
    model, account = MemoryModel(lost, completion()), tab()
    await layered(model).ask(call(), account)
    worst = (len("rank") + 4 + 16 + 100) * 1_000_000
    assert account.nano_usd == worst + 15_000_000


async def test_a_usage_that_cannot_be_right_does_not_break_a_cap() -> None:
    account, counter = tab(usd=Decimal("0.01")), counter_for("openai/loopback-1")
    with ScriptedServer(Said("[2] > [1]", 9_000_000, 9_000_000)) as server:
        async with aclosing(load_model("openai/loopback-1", base_url=server.base_url)) as model:
            layer = stack(
                model,
                store=None,
                counting=Counting(counter),
                price=Rates(input=Decimal("2.5"), output=Decimal(10)),
                concurrency=1,
                timeout_s=5,
                attempts=1,
            )
            answer = await layer.ask(call(), account)
    assert answer.completion.text == "[2] > [1]"
    assert account.nano_usd == 2_500 * counter.count(call()).bound + 10_000 * 100


async def test_a_cancelled_attempt_is_charged_in_full() -> None:
    model, account = MemoryModel(delay_s=1), tab()
    task = asyncio.create_task(layered(model).ask(call(), account))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert account.nano_usd == (len("rank") + 4 + 16 + 100) * 1_000_000


async def test_attempts_end() -> None:
    model, account = MemoryModel(DOWN), tab()
    with pytest.raises(ServerError):
        await layered(model, attempts=4).ask(call(), account)
    assert (len(model.asked), account.retries, account.nano_usd) == (4, 3, 0)


async def test_what_is_permanent_is_not_tried_again() -> None:
    model = MemoryModel(Auth("no", model="memory/model", status=401))
    with pytest.raises(Auth):
        await layered(model).ask(call(), tab())
    assert len(model.asked) == 1


async def test_nothing_is_sent_that_does_not_fit_the_budget() -> None:
    model = MemoryModel()
    for poor in (tab(usd=Decimal("0.01")), tab(tokens=50), tab(calls=0)):
        with pytest.raises(BudgetExceeded, match="q1"):
            await layered(model).ask(call(), poor)
    assert model.asked == []


async def test_concurrent_windows_of_a_query_never_pass_its_cap() -> None:
    worst = (len("rank 00") + 4 + 16 + 100) * 1_000_000
    model = MemoryModel(completion(input_tokens=20, output_tokens=100), delay_s=0.005)
    account = tab(usd=Decimal(3 * worst + 1) / 10**9)
    layer = layered(model)
    asked = await asyncio.gather(
        *(layer.ask(call(f"rank {at:02}"), account) for at in range(10)), return_exceptions=True
    )
    assert sum(isinstance(each, BudgetExceeded) for each in asked) == 7
    assert account.nano_usd <= 3 * worst


async def test_no_more_calls_at_a_time_than_slots() -> None:
    model = MemoryModel(delay_s=0.005)
    layer = layered(model, concurrency=3)
    await asyncio.gather(*(layer.ask(call(f"rank {at}"), tab()) for at in range(12)))
    assert model.most_at_once == 3


async def test_a_sleeping_retry_holds_no_slot() -> None:
    slow = RateLimited("busy", model="memory/model", retry_after_s=0.05)

    def answer_or_fail() -> MemoryModel:
        return MemoryModel(slow, completion())

    model = answer_or_fail()
    layer = layered(model, concurrency=1)
    retried = asyncio.create_task(layer.ask(call("first"), tab()))
    await asyncio.sleep(0.01)
    await layer.ask(call("second"), tab())
    assert not retried.done()
    await retried


@pytest.mark.parametrize(("wish", "limits"), [(61.0, {}), (3.0, {"seconds": 2})])
async def test_does_not_wait_beyond_reason_or_deadline(wish: float, limits: dict[str, float]) -> None:
    model, account = MemoryModel(RateLimited("busy", model="m", retry_after_s=wish)), tab(**limits)
    with pytest.raises(CallError):
        await layered(model).ask(call(), account)
    assert len(model.asked) == 1


async def test_an_attempt_ends_at_the_deadline() -> None:
    model, account = MemoryModel(delay_s=5), tab(seconds=0.02)
    with pytest.raises(Timeout, match=r"0\.0"):
        await layered(model).ask(call(), account)
    assert account.seconds < 2
