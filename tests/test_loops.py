"""One of a thing for each event loop."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from listwise.loops import PerLoop


@pytest.fixture
def threads_that_switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("threads_that_switch_often")
def test_loops_of_many_threads_never_share_one() -> None:
    threads, rounds = 3, 10_000
    made = itertools.count(1)
    together, every = Barrier(threads), [PerLoop(0, lambda _: next(made)) for _ in range(rounds)]

    async def ask() -> list[int]:
        got = []
        for each in every:
            together.wait()
            got.append(each.here())
        return got

    with ThreadPoolExecutor(threads) as pool:
        asked = [pool.submit(asyncio.run, ask()) for _ in range(threads)]
        for got in zip(*(each.result() for each in asked), strict=True):
            assert len(set(got)) == threads


def test_what_no_loop_had_can_be_left_once_it_is_the_first() -> None:
    async def leave(each_has: PerLoop[int]) -> int | None:
        return each_has.leave()

    assert asyncio.run(leave(PerLoop(7, lambda _: 8))) == 7


def test_a_loop_leaves_only_its_own() -> None:
    each_has: PerLoop[int] = PerLoop(7, lambda _: 8)

    async def take() -> int:
        return each_has.here()

    async def take_and_leave() -> list[int | None]:
        return [each_has.here(), each_has.leave(), each_has.leave()]

    asyncio.run(take())
    assert asyncio.run(take_and_leave()) == [8, 8, None]
