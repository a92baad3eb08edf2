"""Slots: first come, first served, none lost; and how their number follows what the model bears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import BadRequest, BudgetExceeded, CallError, CircuitOpen, RateLimited, ServerError, Timeout
from listwise.layers.limited import Limited, Slots
from listwise.layers.provider import Provider
from listwise.spend.tab import Budget, Tab
from tests.layers.models import MemoryModel, call, completion

BUSY = RateLimited("busy", model="m", status=429)
DOWN = ServerError("down", model="m", status=500)
LOST = Timeout("lost", model="m")


def tab(seconds: float | None = None) -> Tab:
    return Tab("q1", Budget(seconds=seconds))


def limited(model: MemoryModel, most: int, look: Callable[[], None] = lambda: None) -> Limited:
    return Limited(Provider(model, 5), most, look)


async def settled() -> None:
    """Let all tasks run as far as they get."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_first_come_first_served() -> None:
    slots, order = Slots(1), list[int]()

    async def visit(number: int) -> None:
        await slots.take()
        order.append(number)
        await asyncio.sleep(0)
        slots.give_back()

    await asyncio.gather(*(visit(number) for number in range(6)))
    assert order == list(range(6))
    assert slots.taken == 0


async def test_a_cancelled_waiter_is_passed_over() -> None:
    slots = Slots(1)
    await slots.take()
    first, second = (asyncio.create_task(slots.take()) for _ in range(2))
    await settled()
    first.cancel()
    await settled()
    slots.give_back()
    await second
    assert slots.taken == 1


async def test_a_slot_that_came_too_late_goes_to_the_next() -> None:
    slots = Slots(1)
    await slots.take()
    first, second = (asyncio.create_task(slots.take()) for _ in range(2))
    await settled()
    slots.give_back()
    first.cancel()  # it has been handed the slot, but has not run since
    await settled()
    assert first.cancelled()
    assert second.done()
    assert slots.taken == 1


@given(st.lists(st.sampled_from(["take", "cancel", "give", "run", "lower", "raise"]), max_size=60))
def test_no_slot_is_lost_and_none_made(moves: list[str]) -> None:
    async def play() -> None:
        slots, tasks, held = Slots(3), list[asyncio.Task[None]](), 0

        def collect() -> int:
            done = [task for task in tasks if task.done()]
            for task in done:
                tasks.remove(task)
            return sum(not task.cancelled() for task in done)

        for move in moves:
            if move == "take":
                tasks.append(asyncio.create_task(slots.take()))
            elif move == "cancel" and tasks:
                tasks[len(tasks) // 2].cancel()
            elif move == "give" and held:
                held -= 1
                slots.give_back()
            elif move == "lower":
                slots.limit = max(1, slots.limit - 1)
            elif move == "raise":
                slots.limit += 1
            elif move == "run":
                await settled()
                held += collect()
                assert slots.taken == held
                assert not tasks or held >= slots.limit
        await settled()
        held += collect()
        slots.limit = 1000
        await settled()
        assert slots.taken == held + collect()
        assert not tasks

    asyncio.run(play())


async def test_cancelled_calls_give_their_slots_back() -> None:
    model = MemoryModel(delay_s=10)
    layer = limited(model, 2)
    tasks = [asyncio.create_task(layer.ask(call(f"{at}"), tab())) for at in range(6)]
    await settled()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    model.delay_s = 0
    await asyncio.gather(*(layer.ask(call(f"{at}"), tab()) for at in range(4)))
    assert model.most_at_once == 2


async def test_waiting_for_a_slot_ends_at_the_deadline() -> None:
    model = MemoryModel(delay_s=10)
    layer, late = limited(model, 1), tab(seconds=0.02)
    holder = asyncio.create_task(layer.ask(call("first"), tab()))
    await settled()
    with pytest.raises(BudgetExceeded, match="q1: seconds"):
        await layer.ask(call("second"), late)
    assert (len(model.asked), late.attempts, late.nano_usd) == (1, 0, 0)
    holder.cancel()


async def test_nobody_queues_for_a_model_that_is_not_asked() -> None:
    def look() -> None:
        raise CircuitOpen("left alone", model="m")

    model = MemoryModel()
    with pytest.raises(CircuitOpen):
        await limited(model, 1, look).ask(call(), tab())
    assert model.asked == []


async def ask(layer: Limited, *, times: int = 1) -> None:
    for _ in range(times):
        with suppress(CallError):
            await layer.ask(call(), tab())


@pytest.mark.parametrize(
    "sign",
    [BUSY, LOST, *(ServerError("full", model="m", status=status) for status in (503, 504, 524, 529))],
)
async def test_a_sign_of_overload_halves_and_answers_raise(sign: CallError) -> None:
    layer = limited(MemoryModel(sign, sign, completion()), 8)
    await ask(layer, times=2)
    assert layer.limit == 2
    await ask(layer, times=1)
    assert layer.limit == 2
    await ask(layer, times=1)
    assert layer.limit == 3, "after as many answers as the limit"
    await ask(layer, times=3 + 4 + 5 + 6 + 7 + 8)
    assert layer.limit == 8, "never more than the user allows"


async def test_never_fewer_than_one() -> None:
    layer = limited(MemoryModel(BUSY), 4)
    await ask(layer, times=9)
    assert layer.limit == 1


@pytest.mark.parametrize("other", [DOWN, BadRequest("no", model="m", status=400)])
async def test_other_failures_say_nothing_about_load(other: CallError) -> None:
    layer = limited(MemoryModel(other), 8)
    await ask(layer, times=3)
    assert layer.limit == 8


async def test_one_bad_moment_counts_once() -> None:
    layer = limited(MemoryModel(BUSY, delay_s=0.001), 8)
    asked = [layer.ask(call(f"{at}"), tab()) for at in range(8)]
    await asyncio.gather(*asked, return_exceptions=True)
    assert layer.limit == 4


async def test_a_query_that_ran_out_of_time_says_nothing_about_load() -> None:
    layer = limited(MemoryModel(delay_s=10), 8)
    with pytest.raises(Timeout) as caught:
        await layer.ask(call(), tab(seconds=0.01))
    assert caught.value.by_deadline
    assert layer.limit == 8


async def test_a_request_that_took_too_long_does() -> None:
    layer = Limited(Provider(MemoryModel(delay_s=10), 0.01), 8)
    with pytest.raises(Timeout) as caught:
        await layer.ask(call(), tab())
    assert not caught.value.by_deadline
    assert layer.limit == 4
