"""The circuit as a state machine against a simpler model of it, and the layer that puts calls through it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from listwise.errors import (
    BadRequest,
    Broken,
    BudgetExceeded,
    CallError,
    CircuitOpen,
    Garbled,
    RateLimited,
    ServerError,
    Timeout,
)
from listwise.layers.breaker import Breaker, Circuit
from listwise.layers.provider import Provider
from listwise.spend.tab import Budget, Tab
from tests.layers.clock import Clock
from tests.layers.models import MemoryModel, call, completion

DOWN = ServerError("no connection", model="m")
FAILURES, SHORTEST_S, COOL_DOWN_S, LONGEST_S = 3, 2.0, 5.0, 20.0


def circuit(clock: Clock) -> Circuit:
    return Circuit(
        "openai/m",
        failures=FAILURES,
        shortest_s=SHORTEST_S,
        cool_down_s=COOL_DOWN_S,
        longest_cool_down_s=LONGEST_S,
        clock=clock,
        now=lambda: 1_800_000_000 + clock.now,
    )


class CircuitMachine(RuleBasedStateMachine):
    """Calls begin, and end in any order and way; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.circuit = circuit(self.clock)
        self.under_way: list[int] = []
        self.row: list[float] = []
        self.opened_at: float | None = None
        self.wait_s = COOL_DOWN_S
        self.probe: int | None = None
        self.stale = 0
        self.last = 0

    def lets_through(self) -> bool:
        if self.opened_at is None:
            return True
        return self.probe is None and self.clock.now >= self.opened_at + self.wait_s

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.0, 5.0, 7.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def begin(self) -> None:
        if not self.lets_through():
            with pytest.raises(CircuitOpen):
                self.circuit.begin()
            return
        self.last = self.circuit.begin()
        self.under_way.append(self.last)
        if self.opened_at is not None:
            self.probe = self.last

    @precondition(lambda self: self.under_way)
    @rule(at=st.integers(0, 20))
    def succeed(self, at: int) -> None:
        number = self.under_way.pop(at % len(self.under_way))
        self.circuit.succeed(number)
        if number == self.probe:
            self.probe = self.opened_at = None
            self.wait_s = COOL_DOWN_S
        if self.opened_at is None:
            self.row = []

    @precondition(lambda self: self.under_way)
    @rule(at=st.integers(0, 20))
    def fail(self, at: int) -> None:
        number = self.under_way.pop(at % len(self.under_way))
        self.circuit.fail(number, DOWN)
        if number == self.probe:
            self.probe, self.wait_s = None, min(2 * self.wait_s, LONGEST_S)
            self.opened_at, self.stale = self.clock.now, self.last
        elif self.opened_at is None and number > self.stale:
            self.row.append(self.clock.now)
            if len(self.row) >= FAILURES and self.clock.now - self.row[0] >= SHORTEST_S:
                self.opened_at, self.stale = self.clock.now, self.last

    @precondition(lambda self: self.under_way)
    @rule(at=st.integers(0, 20))
    def abandon(self, at: int) -> None:
        number = self.under_way.pop(at % len(self.under_way))
        self.circuit.abandon(number)
        if number == self.probe:
            self.probe = None

    @invariant()
    def agrees(self) -> None:
        if self.opened_at is None:
            assert self.circuit.state == "closed"
        elif self.clock.now < self.opened_at + self.wait_s:
            assert self.circuit.state == "open"
        else:
            assert self.circuit.state == "half-open"
        if self.lets_through():
            self.circuit.check()
        else:
            with pytest.raises(CircuitOpen):
                self.circuit.check()


TestCircuit = CircuitMachine.TestCase


async def failed(layer: Breaker, *, times: int = 1) -> CallError:
    for _ in range(times):
        with pytest.raises(CallError) as caught:
            await layer.ask(call(), Tab("q1", Budget()))
    return caught.value


async def opened(model: MemoryModel, clock: Clock) -> Breaker:
    """A breaker that has just opened."""
    layer = Breaker(Provider(model, 5), circuit(clock))
    await failed(layer, times=FAILURES - 1)
    clock.now += SHORTEST_S
    await failed(layer)
    return layer


async def test_an_open_circuit_sends_nothing_and_says_why() -> None:
    clock, model = Clock(), MemoryModel(DOWN)
    error = await failed(await opened(model, clock))
    assert len(model.asked) == FAILURES
    assert isinstance(error, CircuitOpen)
    assert not error.billable
    assert not error.sent
    assert str(error) == (
        "openai/m: not asked: it has failed 3 times in a row since 08:00:00 UTC, and is tried again at "
        "08:00:07 UTC; last: no connection"
    )


async def test_a_probe_closes_it() -> None:
    clock, model = Clock(), MemoryModel(DOWN, DOWN, DOWN, completion())
    layer = await opened(model, clock)
    clock.now += COOL_DOWN_S
    for _ in range(3):
        await layer.ask(call(), Tab("q1", Budget()))
    assert len(model.asked) == FAILURES + 3


async def test_one_probe_at_a_time() -> None:
    clock, model = Clock(), MemoryModel(DOWN, DOWN, DOWN, completion())
    layer = await opened(model, clock)
    clock.now += COOL_DOWN_S
    model.delay_s = 0.01
    asked = [layer.ask(call(f"{at}"), Tab("q1", Budget())) for at in range(4)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(answer, CircuitOpen) for answer in answers] == [False, True, True, True]


async def test_a_cancelled_probe_leaves_room_for_another() -> None:
    clock, model = Clock(), MemoryModel(DOWN, DOWN, DOWN, completion())
    layer = await opened(model, clock)
    clock.now += COOL_DOWN_S
    model.delay_s = 10
    probe = asyncio.create_task(layer.ask(call(), Tab("q1", Budget())))
    await asyncio.sleep(0.001)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    model.delay_s = 0
    await layer.ask(call(), Tab("q1", Budget()))


async def test_a_probe_that_cannot_be_paid_is_none() -> None:
    clock, model = Clock(), MemoryModel(DOWN, DOWN, DOWN, completion())
    layer = await opened(model, clock)
    clock.now += COOL_DOWN_S
    with pytest.raises(BudgetExceeded):
        await layer.ask(call(), Tab("q1", Budget(seconds=1), elapsed_s=2))
    await layer.ask(call(), Tab("q1", Budget()))


@pytest.mark.parametrize(
    ("error", "opens"),
    [
        (DOWN, True),
        (Timeout("silent", model="m"), True),
        (Garbled("nonsense", model="m", status=200), True),
        (RateLimited("busy", model="m", status=429), False),
        (BadRequest("no", model="m", status=400), False),
        (Broken("bug", model="m"), False),
    ],
)
async def test_what_counts_as_a_failure(error: CallError, opens: bool) -> None:
    clock, model = Clock(), MemoryModel(error)
    layer = await opened(model, clock)
    assert isinstance(await failed(layer), CircuitOpen) == opens


async def test_a_query_that_ran_out_of_time_is_no_failure() -> None:
    clock, model = Clock(), MemoryModel(delay_s=10)
    layer = Breaker(Provider(model, 5), circuit(clock))
    for _ in range(FAILURES + 1):
        clock.now += SHORTEST_S
        with pytest.raises(Timeout):
            await layer.ask(call(), Tab("q1", Budget(seconds=0.005)))
