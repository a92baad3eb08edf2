"""When a call is tried again: every rule of the table in `listwise.models.failures`, against a real server."""

from __future__ import annotations

from typing import Any

import pytest

from listwise.errors import (
    Auth,
    BadRequest,
    CallError,
    ContextOverflow,
    Garbled,
    Permanent,
    RateLimited,
    ServerError,
    Timeout,
)
from listwise.layers.provider import Provider
from listwise.layers.retried import Retried
from listwise.models.registry import load_model
from listwise.spend.tab import Budget, Tab
from tests.layers.clock import Clock
from tests.layers.models import MemoryModel, call, completion
from tests.loopback import HalfBody, Http, Reset, ScriptedServer, failure
from tests.loopback.turns import Hang, Turn

GOOD = "[2] > [1]"


def busy(wish_s: float | None = None) -> RateLimited:
    return RateLimited("busy", model="m", status=429, retry_after_s=wish_s)


def tab(seconds: float | None = None) -> Tab:
    return Tab("q1", Budget(seconds=seconds))


def retried(model: Any, clock: Clock, *, attempts: int = 5, timeout_s: float = 5.0) -> Retried:
    return Retried(Provider(model, timeout_s), attempts, sleep=clock.sleep, uniform=lambda low, high: high)


async def attempts_at(turns: list[Turn], *, timeout_s: float = 5.0) -> tuple[int, CallError | None]:
    """How many requests a server got that plays these turns, and what came of it if it was no answer."""
    with ScriptedServer(turns) as server:
        model = load_model("openai/loopback-1", base_url=server.base_url, api_key="k", context_tokens=4096)
        try:
            await retried(model, Clock(), timeout_s=timeout_s).ask(call(), tab())
        except CallError as error:
            return len(server.asked), error
        finally:
            await model.aclose()
    return len(server.asked), None


@pytest.mark.parametrize(
    "turn",
    [
        *(failure(status) for status in (408, 409, 429, 500, 502, 503, 504, 524, 529)),
        failure(429, retry_after="1"),
        failure(503, retry_after_ms="20"),
        Http(500, b"<html>oops"),
        Reset(),
        HalfBody(),
    ],
    ids=str,
)
async def test_what_passes_is_tried_again(turn: Turn) -> None:
    assert await attempts_at([turn, GOOD]) == (2, None)


async def test_silence_is_tried_again() -> None:
    assert await attempts_at([Hang(), GOOD], timeout_s=0.3) == (2, None)


@pytest.mark.parametrize(
    ("turn", "kind"),
    [
        (failure(400), BadRequest),
        (failure(401), Auth),
        (failure(402), Auth),
        (failure(403), Auth),
        (failure(404), BadRequest),
        (failure(422), BadRequest),
        (failure(429, code="insufficient_quota"), Auth),
        (failure(400, "Your credit balance is too low"), Auth),
        (failure(400, code="context_length_exceeded"), ContextOverflow),
        (failure(413, "prompt is too long"), ContextOverflow),
        (failure(400, code="content_filter"), Permanent),
        (Http(308, None, {"location": "http://127.0.0.1:1/v1"}), BadRequest),
        (failure(429, x_should_retry="false"), RateLimited),
        (failure(500, x_should_retry="false"), ServerError),
        (failure(400, x_should_retry="true"), BadRequest),
    ],
    ids=str,
)
async def test_what_stays_is_not(turn: Turn, kind: type[CallError]) -> None:
    sent, error = await attempts_at([turn, GOOD])
    assert sent == 1
    assert type(error) is kind


async def test_no_connection_is_tried_again() -> None:
    with ScriptedServer(GOOD) as server:
        closed = server.base_url
    clock = Clock()
    model = load_model("openai/loopback-1", base_url=closed, api_key="k", context_tokens=4096)
    account = tab()
    with pytest.raises(ServerError, match=r"is it running.*\(gave up after 3 attempts\)"):
        await retried(model, clock, attempts=3).ask(call(), account)
    await model.aclose()
    assert (len(clock.slept), account.retries) == (2, 2)


async def test_nonsense_is_tried_once_more_only() -> None:
    sent, error = await attempts_at([Http(200, b"{")])
    assert sent == 2
    assert isinstance(error, Garbled)
    assert error.billable
    assert "gave up after 2 attempts" in str(error)
    assert await attempts_at([Http(200, b"{"), GOOD]) == (2, None)


async def test_nonsense_counts_among_other_failures() -> None:
    sent, error = await attempts_at([Http(200, b"{"), failure(500), Http(200, b"{")])
    assert sent == 3
    assert isinstance(error, Garbled)


async def test_waits_as_long_as_the_server_asks_and_a_little_more() -> None:
    clock = Clock()
    await retried(MemoryModel(busy(1.0), busy(40.0), busy(0.0), completion()), clock).ask(call(), tab())
    assert clock.slept == pytest.approx([1.3, 45.0, 0.05])


async def test_who_were_told_the_same_come_back_apart_and_never_early() -> None:
    waits = set()
    for _ in range(32):
        clock = Clock()
        layer = Retried(Provider(MemoryModel(busy(1.0), completion()), 5), sleep=clock.sleep)
        await layer.ask(call(), tab())
        waits.update(clock.slept)
    assert len(waits) == 32
    assert min(waits) >= 1.0
    assert max(waits) - min(waits) > 0.05


async def test_waits_ever_longer_where_the_server_names_no_time() -> None:
    bounds = [0.5, 1.0, 2.0, 4.0]
    clock = Clock()
    with pytest.raises(ServerError):
        await retried(MemoryModel(ServerError("down", model="m")), clock).ask(call(), tab())
    assert all(0 <= slept <= bound for slept, bound in zip(clock.slept, bounds, strict=True))


@pytest.mark.parametrize(
    ("wish_s", "seconds", "why"),
    [
        (61.0, None, "it asks us to wait 61 s; 60 s is the longest we wait"),
        (30.0, 20.0, "it asks us to wait 30 s, and too little is left of the query's time"),
        (None, 1e-3, "too little is left of the query's time for another attempt|time is up"),
    ],
)
async def test_gives_up_at_once_and_says_why(wish_s: float | None, seconds: float | None, why: str) -> None:
    clock, model, account = Clock(), MemoryModel(busy(wish_s)), tab(seconds)
    with pytest.raises(CallError, match=why):
        await retried(model, clock).ask(call(), account)
    assert (len(model.asked), clock.slept, account.retries) == (1, [], 0)


async def test_the_last_error_keeps_its_kind_and_facts() -> None:
    lost = Timeout("lost", model="m", status=None, retry_after_s=90.0)
    with pytest.raises(Timeout, match=r"^m: lost \(it asks us to wait 90 s") as caught:
        await retried(MemoryModel(lost), Clock()).ask(call(), tab())
    assert (caught.value.billable, caught.value.retry_after_s, caught.value.model) == (True, 90.0, "m")
    assert caught.value.__cause__ is lost
    assert str(lost) == "m: lost", "the error itself is left as it was"
