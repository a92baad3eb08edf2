"""Requests and tokens a minute, on a clock that passes only while somebody sleeps."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.calls import Call, Completion
from listwise.errors import BudgetExceeded, CircuitOpen, RateLimited
from listwise.layers.allowances import MINUTE_S, Bucket, Window
from listwise.layers.paced import BYTES_A_TOKEN, LONGEST_PAUSE_S, Paced
from listwise.layers.provider import Provider
from listwise.pace import Pace, Quota
from listwise.spend.tab import Budget, Tab
from tests.layers.clock import Clock
from tests.layers.models import MemoryModel, call, completion

OUTPUT = 100
"""Tokens that a call of these tests may answer."""


def tab(seconds: float | None = None) -> Tab:
    return Tab("q1", Budget(seconds=seconds))


def sized(tokens: int) -> Call:
    """A call that is taken for so many tokens, its answer included."""
    return call("x" * BYTES_A_TOKEN * (tokens - OUTPUT))


def paced(model: MemoryModel, clock: Clock, *, rpm: int | None = None, tpm: int | None = None) -> Paced:
    return Paced(
        Provider(model, 5),
        "memory/model",
        rpm=rpm,
        tpm=tpm,
        clock=clock,
        sleep=clock.sleep,
        uniform=lambda low, high: high,
    )


class Sent(MemoryModel):
    """Notes when calls were sent, and what they took."""

    def __init__(self, clock: Clock, *, takes_s: float = 0.0, pace: Pace | None = None) -> None:
        super().__init__()
        self._clock, self._takes_s, self._pace = clock, takes_s, pace
        self.at: list[float] = []
        self.tokens: list[int] = []

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        size = sum(len(message.content) for message in call.messages) // BYTES_A_TOKEN
        self.at.append(self._clock.now)
        self.tokens.append(size + OUTPUT)
        await asyncio.sleep(0)
        self._clock.now += self._takes_s
        return replace(completion(input_tokens=size, output_tokens=OUTPUT), pace=self._pace)

    def most_in_a_minute(self, amounts: list[int]) -> int:
        return max(
            sum(n for then, n in zip(self.at, amounts, strict=True) if at <= then < at + MINUTE_S) for at in self.at
        )


@given(
    rpm=st.integers(1, 6) | st.none(),
    tpm=st.integers(150, 900) | st.none(),
    arrivals=st.lists(
        st.tuples(st.floats(0, 40), st.integers(OUTPUT, 600), st.integers(1, 3)), min_size=1, max_size=25
    ),
    takes_s=st.floats(0, 5),
)
def test_never_more_than_the_limits_in_any_minute(
    rpm: int | None, tpm: int | None, arrivals: list[tuple[float, int, int]], takes_s: float
) -> None:
    clock = Clock(1000.1)
    sent = Sent(clock, takes_s=takes_s)
    layer = paced(sent, clock, rpm=rpm, tpm=tpm)

    async def play() -> None:
        for gap_s, tokens, at_once in arrivals:
            clock.now += gap_s
            await asyncio.gather(*(layer.ask(sized(tokens), tab()) for _ in range(at_once)))

    asyncio.run(play())
    assert len(sent.at) == sum(at_once for _, _, at_once in arrivals)
    if rpm is not None:
        assert sent.most_in_a_minute([1] * len(sent.at)) <= rpm
    if tpm is not None:
        assert sent.most_in_a_minute(sent.tokens) <= max(tpm, *sent.tokens), "more only for one that goes alone"


@given(st.integers(1, 50), st.lists(st.integers(1, 80), max_size=40))
def test_a_window_lets_through_as_soon_as_it_may(limit: int, amounts: list[int]) -> None:
    window, now = Window(limit), 5.0
    sent: list[tuple[float, int]] = []
    for amount in amounts:
        if (wait_s := window.wait_s(amount, now)) > 0:
            just_before = now + wait_s - 1e-6
            held = sum(n for at, n in sent if at > just_before - MINUTE_S)
            assert held > 0
            assert held + amount > limit
            now += wait_s + 1e-9
        assert window.wait_s(amount, now) <= 0
        window.take(amount, now)
        sent.append((now, amount))


async def test_no_limit_no_wait() -> None:
    clock = Clock()
    layer = paced(MemoryModel(), clock)
    for _ in range(50):
        await layer.ask(call(), tab())
    assert clock.slept == []


async def test_a_bill_corrects_the_guess() -> None:
    clock, model = Clock(), MemoryModel(completion(input_tokens=10, output_tokens=5))
    layer = paced(model, clock, tpm=200)
    for _ in range(5):
        await layer.ask(sized(110), tab())
    assert clock.now == 0.0, "five calls of 15 tokens are 75; five of 110 would be too many"


async def test_first_come_first_served() -> None:
    clock, order = Clock(), list[str]()

    def note(call: Call) -> Completion:
        order.append(call.messages[0].content)
        return completion()

    layer = paced(MemoryModel(note), clock, rpm=1)
    await asyncio.gather(*(layer.ask(call(f"{at}"), tab()) for at in range(5)))
    assert order == ["0", "1", "2", "3", "4"]


async def test_what_was_not_sent_takes_no_tokens() -> None:
    class Unpaid:
        refuses = True

        async def ask(self, call: Call, tab: Tab) -> object:
            if self.refuses:
                raise BudgetExceeded("query", cap=Decimal(1), spent=Decimal(1), asked=Decimal(1))
            return await Provider(MemoryModel(), 5).ask(call, tab)

    clock, inner = Clock(), Unpaid()
    layer = Paced(inner, "m", tpm=150, clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]
    for _ in range(3):
        with pytest.raises(BudgetExceeded):
            await layer.ask(sized(150), tab())
    inner.refuses = False
    await layer.ask(sized(150), tab())
    assert clock.slept == []


# What the provider says


def stating(remaining: int, *, limit: int = 100, reset_s: float = 60.0) -> Pace:
    return Pace(requests=Quota(limit, remaining, reset_s))


async def test_keeps_to_what_the_provider_says_is_left() -> None:
    """90 of 100 are gone, and back in 45 s: two a second."""
    clock = Clock()
    layer = paced(MemoryModel(replace(completion(), pace=stating(10, reset_s=45.0)), completion()), clock)
    for _ in range(11):
        await layer.ask(call(), tab())
    assert clock.now == 0.0, "the ten that were left"
    for _ in range(10):
        await layer.ask(call(), tab())
    assert clock.now == pytest.approx(5.0, abs=0.01)


async def test_what_is_on_its_way_counts() -> None:
    bucket = Bucket()
    numbers = [bucket.take(1) for _ in range(4)]
    bucket.learn(Quota(10, 7, 60.0), numbers[1], now=0.0)
    assert bucket.wait_s(5, now=0.0) == 0.0, "seven were left, and two more were sent meanwhile"
    assert bucket.wait_s(6, now=0.0) == pytest.approx(20.0), "three came back in a minute"


async def test_old_news_is_no_news() -> None:
    bucket = Bucket()
    first, second = bucket.take(1), bucket.take(1)
    bucket.learn(Quota(10, 0, 60.0), second, now=0.0)
    bucket.learn(Quota(10, 9, 60.0), first, now=0.0)
    assert bucket.wait_s(1, now=0.0) == pytest.approx(6.0)


async def test_more_than_a_whole_limit_waits_for_all_of_it() -> None:
    bucket = Bucket()
    bucket.learn(Quota(100, 50, 30.0), bucket.take(1), now=0.0)
    assert bucket.wait_s(5000, now=0.0) == pytest.approx(30.0)


@given(st.integers(1, 1000), st.integers(0, 2000), st.floats(0, 1e9), st.integers(1, 10**6), st.floats(0, 1e6))
def test_any_statement_gives_a_finite_wait(
    limit: int, remaining: int, reset_s: float, amount: int, later: float
) -> None:
    bucket = Bucket()
    bucket.learn(Quota(limit, min(limit, remaining), reset_s), bucket.take(1), now=0.0)
    assert 0 <= bucket.wait_s(amount, later) < float("inf")


async def test_a_statement_is_not_believed_for_ever() -> None:
    clock = Clock()
    layer = paced(Sent(clock, pace=stating(0, limit=10, reset_s=86_400.0)), clock)
    for _ in range(3):
        await layer.ask(call(), tab())
    assert clock.now == pytest.approx(120.0, abs=0.1), "the longest wait, twice"


async def test_tokens_are_kept_to_by_kind() -> None:
    """Anthropic counts answers as they were: after the first one, an answer is expected to be as long again."""
    clock = Clock()
    quota = Quota(1000, 50, 60.0)
    model = MemoryModel(replace(completion(output_tokens=5), pace=Pace(output_tokens=quota)), completion())
    layer = paced(model, clock)
    for _ in range(11):
        await layer.ask(call(), tab())
    assert clock.slept == []
    await layer.ask(call(), tab())
    assert clock.slept != []


async def test_it_learns_from_refusals_too() -> None:
    clock, refusal = Clock(), RateLimited("busy", model="m", status=429)
    refusal.pace = stating(0)
    layer = paced(MemoryModel(refusal, completion()), clock)
    with pytest.raises(RateLimited):
        await layer.ask(call(), tab())
    await layer.ask(call(), tab())
    assert clock.now == pytest.approx(0.6, abs=0.01)


# 429


def busy(wish_s: float | None) -> RateLimited:
    return RateLimited("busy", model="m", status=429, retry_after_s=wish_s)


async def refused(layer: Paced, *, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(RateLimited):
            await layer.ask(call(), tab())


async def test_after_a_refusal_all_wait_as_long_as_asked_and_a_little_more() -> None:
    clock, model = Clock(), MemoryModel(busy(2.0))
    layer = paced(model, clock)
    await refused(layer)
    model.behaviours = [completion()]
    await asyncio.gather(*(layer.ask(call(f"{at}"), tab()) for at in range(3)))
    assert clock.now == pytest.approx(2.2)


async def test_refusals_that_name_no_time_pause_ever_longer_until_one_is_answered() -> None:
    clock, model = Clock(), MemoryModel(busy(None))
    layer, at = paced(model, clock), list[float]()
    for _ in range(5):
        await refused(layer)
        at.append(clock.now)
    gaps = [round(later - sooner, 3) for sooner, later in pairwise(at)]
    assert gaps == [0.0, 0.275, 0.55, 1.1]
    model.behaviours = [completion()]
    await layer.ask(call(), tab())
    model.behaviours = [busy(None)]
    before = clock.now
    await refused(layer, times=2)
    assert clock.now == before


async def test_refusals_of_one_moment_count_once() -> None:
    clock = Clock()
    layer = paced(MemoryModel(busy(None), delay_s=0.001), clock)
    await asyncio.gather(*(layer.ask(call(f"{at}"), tab()) for at in range(8)), return_exceptions=True)
    await refused(layer)
    assert clock.slept == []


async def test_a_pause_too_long_to_wait_fails_at_once() -> None:
    clock, model = Clock(), MemoryModel(busy(3600.0))
    layer = paced(model, clock)
    await refused(layer)
    with pytest.raises(RateLimited, match="left alone for more than 60 s") as caught:
        await layer.ask(call(), tab())
    assert caught.value.hopeless
    assert not caught.value.sent
    assert (len(model.asked), clock.slept) == (1, [])


async def test_a_pause_that_makes_no_sense_ends() -> None:
    clock, model = Clock(), MemoryModel(busy(99999999999.0), completion())
    layer = paced(model, clock)
    await refused(layer, times=3)
    assert len(model.asked) == 1
    clock.now += LONGEST_PAUSE_S * 1.1
    await layer.ask(call(), tab())
    assert (len(model.asked), clock.slept) == (2, [])


async def test_a_pause_beyond_the_deadline_fails_at_once() -> None:
    clock, model = Clock(), MemoryModel(busy(30.0))
    layer, late = paced(model, clock), tab(seconds=10)
    await refused(layer)
    with pytest.raises(BudgetExceeded, match="q1: seconds"):
        await layer.ask(call(), late)
    assert (len(model.asked), clock.slept, late.attempts) == (1, [], 0)


async def test_waiting_in_line_ends_at_the_deadline() -> None:
    model = MemoryModel()
    layer = Paced(Provider(model, 5), "m", rpm=1)
    await layer.ask(call(), tab())
    first = asyncio.create_task(layer.ask(call(), tab()))
    await asyncio.sleep(0)
    with pytest.raises(BudgetExceeded, match="q1: seconds"):
        await layer.ask(call(), tab(seconds=0.01))
    first.cancel()
    assert len(model.asked) == 1


async def test_who_is_cancelled_in_line_holds_nobody_up() -> None:
    clock, model = Clock(), MemoryModel()
    layer = paced(model, clock, rpm=1)
    await layer.ask(call(), tab())
    tasks = [asyncio.create_task(layer.ask(call(f"{at}"), tab())) for at in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[1].cancel()
    await tasks[2]
    assert len(model.asked) == 2


async def test_an_open_circuit_takes_no_tokens() -> None:
    clock = Clock()
    layer = paced(MemoryModel(CircuitOpen("alone", model="m"), completion()), clock, tpm=150)
    with pytest.raises(CircuitOpen):
        await layer.ask(sized(150), tab())
    await layer.ask(sized(150), tab())
    assert clock.slept == []
