"""Pacing over a ledger: its state is shared by processes and outlives them, and the books say what is spent."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from listwise.errors import LedgerFailed
from listwise.routing.demand import DAY_S
from listwise.routing.goals import Day
from listwise.routing.offers import Offer
from listwise.routing.paced import MOST_QUERIES, Paced
from listwise.routing.pacing import Experience, Pacer
from listwise.spend.history import History
from listwise.spend.ledger import Ledger, MemoryLedger
from listwise.spend.purse import Caps, Purse
from listwise.spend.sqlite import SqliteLedger
from tests.conftest import CHECKOUT
from tests.routing.test_pacing import START, Asked, bill, spend, traffic

STREAM = [Asked(each.now, each.offers[:1], each.error) for each in traffic(1500)]
CAP = int(0.3 * bill(STREAM))
ALONE = spend(Pacer(CAP, START), STREAM)
DAY = "default 2024-10-04"


class Clock:
    """A moment that is set by hand."""

    def __init__(self) -> None:
        self.now = START + 1.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    opened = MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


async def play(paced: Paced, purse: Purse, clock: Clock, stream: Sequence[Asked]) -> list[int]:
    """Decide, pay through the ledger, and settle, as a reranker does; what each query costs."""
    costs = []
    for asked in stream:
        clock.now = asked.now
        taken = await paced.decide(asked.offers)
        costs.append(int(taken.nano_usd * asked.error) if taken else 0)
        if taken:
            reservation = await purse.ledger.reserve((*purse.scopes("q", None), *purse.outer()), 2 * costs[-1])
            purse.ledger.settle(reservation, costs[-1])
            paced.settled(taken, costs[-1])
    return costs


async def test_over_a_ledger_it_spends_as_without(ledger: Ledger) -> None:
    clock = Clock()
    purse = Purse(ledger, "run", now=clock)
    costs = await play(Paced(purse, CAP), purse, clock, STREAM)
    assert sum(costs) <= CAP
    assert sum(costs) == pytest.approx(sum(ALONE), rel=0.01)


async def test_another_one_goes_on_where_it_stopped(ledger: Ledger) -> None:
    clock = Clock()
    purse = Purse(ledger, "run", now=clock)
    costs = [
        cost
        for start in range(0, len(STREAM), 300)
        for cost in await play(Paced(purse, CAP), purse, clock, STREAM[start : start + 300])
    ]
    assert sum(costs) <= CAP
    assert sum(costs) == pytest.approx(sum(ALONE), rel=0.02)


async def test_what_others_spend_counts(ledger: Ledger) -> None:
    clock = Clock()
    purse = Purse(ledger, "run", now=clock)
    paced = Paced(purse, CAP)
    costs = await play(paced, purse, clock, STREAM[:750])
    other = int(0.9 * (CAP - sum(costs)))
    await purse.ledger.reserve(purse.outer(), other)
    rest = await play(paced, purse, clock, STREAM[750:])
    assert sum(rest) + sum(costs) + other <= CAP
    assert sum(rest) == pytest.approx(CAP - sum(costs) - other, rel=0.1)


async def kept(ledger: Ledger, clock: Clock) -> float:
    """Queries in the ledger's state."""
    found: list[str | None] = []

    def look(state: str | None) -> str:
        found.append(state)
        return state or ""

    day, *_ = Purse(ledger, "run", now=clock).outer()
    await ledger.share("default", day, look)
    known = Experience.from_json(found[0] or "")
    return known.curve.queries if known else 0


async def test_it_looks_at_the_ledger_now_and_then(ledger: Ledger) -> None:
    clock = Clock()
    paced = Paced(Purse(ledger, "run", now=clock), CAP)

    for _ in range(MOST_QUERIES + 1):
        await paced.decide(())
    assert await kept(ledger, clock) == MOST_QUERIES
    clock.now += 60
    await paced.decide(())
    assert await kept(ledger, clock) == MOST_QUERIES + 1
    await paced.share()
    assert await kept(ledger, clock) == MOST_QUERIES + 2


async def test_what_a_query_saw_that_was_cancelled_while_it_looked_counts_once(tmp_path: Path) -> None:
    ledger, clock = SqliteLedger(tmp_path / "ledger.db"), Clock()
    paced = Paced(Purse(ledger, "run", now=clock), CAP)
    for _ in range(MOST_QUERIES + 1):
        await paced.decide(())
    clock.now += 60
    looking = asyncio.ensure_future(paced.decide(()))
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    await ledger.flush()
    await paced.share()
    assert await kept(ledger, clock) == MOST_QUERIES + 1
    ledger.close()


async def test_at_midnight_it_asks_for_the_new_day(ledger: Ledger) -> None:
    clock = Clock()
    purse = Purse(ledger, "run", now=clock)
    paced = Paced(purse, CAP)
    await purse.ledger.reserve(purse.outer(), CAP)
    assert await paced.decide(STREAM[0].offers) is None
    assert paced.pacer.held == CAP
    clock.now = START + DAY_S
    await purse.ledger.reserve(purse.outer(), CAP // 2)
    await paced.decide(STREAM[0].offers)
    assert CAP // 2 <= paced.pacer.held < CAP


async def test_tasks_that_begin_together_know_the_books(ledger: Ledger) -> None:
    clock = Clock()
    purse = Purse(ledger, "run", now=clock)
    await purse.ledger.reserve(purse.outer(), CAP)
    paced = Paced(purse, CAP)
    taken = await asyncio.gather(*(paced.decide(asked.offers) for asked in STREAM[:50]))
    assert taken == [None] * 50


async def test_nothing_is_taken_without_a_ledger(tmp_path: Path) -> None:
    path, clock = tmp_path / "ledger.db", Clock()
    ledger = SqliteLedger(path)
    paced = Paced(Purse(ledger, "run", now=clock), 10**12)
    offers = [each for each in STREAM[5].offers if each.gain > 0]
    assert isinstance(await paced.decide(offers), Offer)
    path.rename(tmp_path / "elsewhere.db")
    clock.now += 60
    with pytest.raises(LedgerFailed, match="cannot be written"):
        await paced.decide(offers)
    choice = await Day(paced).choose(offers)
    assert (choice.offer, choice.why) == (None, "budget")
    assert "ledger.db cannot be written" in choice.reason
    (tmp_path / "elsewhere.db").rename(path)
    assert isinstance(await paced.decide(offers), Offer)
    ledger.close()


class Worker:
    """A process of its own; see `tests.routing.pacing_worker`."""

    def __init__(self, path: Path, cap: int) -> None:
        command = [sys.executable, "-m", "tests.routing.pacing_worker", str(path), str(cap)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=CHECKOUT, stdin=pipe, stdout=pipe, text=True)

    def ask(self, asked: Asked, *, hangs: bool = False) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        offered = [(offer.gain, offer.nano_usd) for offer in asked.offers]
        self.process.stdin.write(json.dumps([asked.now, offered, asked.error, hangs]) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def workers(path: Path, count: int) -> Iterator[list[Worker]]:
    """So many processes on one ledger."""
    SqliteLedger(path).close()
    begun = [Worker(path, CAP) for _ in range(count)]
    try:
        yield begun
    finally:
        for each in begun:
            each.kill()


def day_held(path: Path) -> int:
    return int(History(path).held("day", DAY) * 10**9)


def test_after_kill_9_another_process_goes_on(tmp_path: Path) -> None:
    path, lost = tmp_path / "ledger.db", 0
    costs: list[int] = []
    ends = (200, 700, 1100, len(STREAM))
    for start, end in zip((0, *ends), ends, strict=False):
        with workers(path, 1) as (worker,):
            costs += [int(worker.ask(asked)) for asked in STREAM[start:end]]
            reply = worker.ask(Asked(STREAM[end - 1].now, ALWAYS, 1.0), hangs=True)
            lost += 2 * ALWAYS[0].nano_usd if reply == "reserved" else 0
    assert lost > 0
    assert sum(costs) + lost <= CAP
    assert day_held(path) >= sum(costs) + lost
    assert day_held(path) <= CAP
    assert sum(costs) + lost == pytest.approx(sum(ALONE), rel=0.03)


ALWAYS = (Offer(STREAM[0].offers[0].option, 0.9, 500_000),)
"""So good that it is taken at any price."""


def test_two_processes_share_a_day(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with workers(path, 2) as both:
        costs = [int(both[at * 7 // 3 % 2].ask(asked)) for at, asked in enumerate(STREAM)]
    assert sum(costs) <= CAP
    assert sum(costs) == pytest.approx(sum(ALONE), rel=0.02)
    for end in (500, 1000):
        assert sum(costs[:end]) == pytest.approx(sum(ALONE[:end]), abs=0.03 * CAP)


async def test_the_books_hold_the_cap_where_estimates_say_nothing(ledger: Ledger) -> None:
    """Bills are up to a hundred times what was expected, which no pacer can know; what does not fit is refused."""
    clock = Clock()
    purse = Purse(ledger, "run", caps=Caps(day=Decimal(CAP) / 10**9), now=clock)
    paced, held = Paced(purse, CAP), 0
    for at, asked in enumerate(STREAM):
        clock.now = asked.now
        taken = await paced.decide(asked.offers)
        if taken is None:
            continue
        cost = taken.nano_usd * (1 + at % 100)
        if held + cost > CAP:
            cost = 0
        else:
            ledger.settle(await ledger.reserve(purse.outer(), cost), cost)
        paced.settled(taken, cost)
        held += cost
    assert 0.9 * CAP < held <= CAP
