"""What every adapter must do, asked of all of them over real sockets."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import aclosing
from email.utils import formatdate
from typing import Any

import pytest

from listwise.calls import AnswerForm, Call, Completion, Message
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
    Transient,
)
from listwise.models.base import Model
from listwise.spend.tokens import counter_for
from listwise.types import Usage
from tests.loopback import (
    HalfBody,
    Hang,
    Http,
    Reset,
    Said,
    Script,
    ScriptedServer,
    Trickle,
    Turn,
    dialects,
    failure,
)
from tests.loopback.turns import Asked
from tests.models.adapters import ADAPTERS, KEY, MESSAGES, Adapter, call


async def ask(
    adapter: Adapter, server: ScriptedServer, asked: Call | None = None, timeout_s: float = 10
) -> Completion:
    async with aclosing(adapter.at(server)) as model:
        return await model.complete(asked or call(), timeout_s=timeout_s)


async def fail(adapter: Adapter, turn: Turn | Script, timeout_s: float = 10) -> CallError:
    """The error that a turn leads to; asserts that it comes from one request, and from the SDK's own error."""
    with ScriptedServer(turn) as server:
        with pytest.raises(CallError) as caught:
            await ask(adapter, server, timeout_s=timeout_s)
        assert len(server.asked) == 1, "adapters do not retry"
    assert caught.value.__cause__ is not None
    assert caught.value.model.endswith("/loopback-1")
    return caught.value


async def test_answers_are_whole(adapter: Adapter) -> None:
    with ScriptedServer(Said("[2] > [1] > [3]", model="served-1")) as server:
        completion = await ask(adapter, server)
    assert (completion.text, completion.served_by, completion.finish) == ("[2] > [1] > [3]", "served-1", "stop")


async def test_prompts_arrive_in_order(adapter: Adapter) -> None:
    with ScriptedServer() as server:
        await ask(adapter, server)
    (asked,) = server.asked
    assert asked.prompt == "\n".join(message.content for message in MESSAGES)
    assert asked.max_output_tokens == 50
    assert asked.body["model"] == "loopback-1"
    assert asked.body["temperature"] == 0
    assert asked.headers["authorization"] == f"Bearer {KEY}"


async def test_usage_is_exact(adapter: Adapter) -> None:
    said = Said("x", 1000, 70, cached_tokens=600, cache_write_tokens=300, reasoning_tokens=64)
    with ScriptedServer(said) as server:
        completion = await ask(adapter, server)
    assert completion.usage == Usage(1000, 600, 300, 70, 64)


@pytest.mark.parametrize("finish", ["length", "refusal"])
async def test_finishes(adapter: Adapter, finish: Any) -> None:
    with ScriptedServer(Said("I cannot", finish=finish)) as server:
        completion = await ask(adapter, server)
    assert (completion.text, completion.finish) == ("I cannot", finish)


async def test_constrained_answers_are_text(adapter: Adapter) -> None:
    with ScriptedServer('{"order": [3, 1, 2]}') as server:
        completion = await ask(adapter, server, call(form="order"))
        await ask(adapter, server, call(form="text"))
    assert completion.text == '{"order": [3, 1, 2]}'
    constrained, free = (set(asked.body) for asked in server.asked)
    assert len(constrained - free) == 1


LEADING = ({"[": -0.1, " Passage": -2.5}, {"B": -0.25, "A": -1.5, " b": -9999})


@pytest.mark.parametrize("form", ["first", "choice", "relevance"])
async def test_alternatives_of_the_first_tokens_are_kept(adapter: Adapter, form: AnswerForm) -> None:
    with ScriptedServer(Said("[B", leading=LEADING)) as server:
        completion = await ask(adapter, server, call(form=form, max_output_tokens=16))
        free = await ask(adapter, server, call(max_output_tokens=16))
    weighed, plain = (set(asked.body) for asked in server.asked)
    if adapter.label in {"messages", "responses"}:  # the latter gives some at OpenAI only
        assert completion.leading is None
        assert weighed == plain
    else:
        assert completion.leading == LEADING
        assert "top_logprobs" in weighed - plain
    assert completion.text == "[B"
    assert not completion.usage.assumed, "a tiny answer is believed"
    assert free.leading is None


async def test_a_server_that_leaves_them_out_has_answered_all_the_same(adapter: Adapter) -> None:
    with ScriptedServer("Yes") as server:
        completion = await ask(adapter, server, call(form="relevance"))
    assert (completion.text, completion.leading) == ("Yes", None)


@pytest.mark.parametrize(
    ("turn", "kind"),
    [
        (failure(401), Auth),
        (failure(403), Auth),
        (failure(429, "You exceeded your current quota", code="insufficient_quota"), Auth),
        (failure(429, "You exceeded your current quota", code="insufficient_quota", retry_after="9"), Auth),
        (failure(429, "You exceeded your current quota"), Auth),
        (failure(429, "You exceeded your current quota", retry_after="9"), RateLimited),
        (failure(429, "You exceeded your current quota. Please retry in 9.5s."), RateLimited),
        (failure(400, "Your credit balance is too low to access the API"), Auth),
        (failure(429), RateLimited),
        (failure(409), ServerError),
        (failure(500), ServerError),
        (failure(503), ServerError),
        (failure(529, code="overloaded_error"), ServerError),
        (failure(400, "too long", code="context_length_exceeded"), ContextOverflow),
        (failure(400, "prompt is too long: 210000 tokens > 200000 maximum"), ContextOverflow),
        (failure(400, "This model's maximum context length is 4096 tokens. However, ..."), ContextOverflow),
        (failure(400, "exceeds the available context size", code="exceed_context_size_error"), ContextOverflow),
        (failure(413, code="request_too_large"), ContextOverflow),
        (failure(400), BadRequest),
        (failure(404), BadRequest),
        (failure(422), BadRequest),
        (Http(403, {"error": "Forbidden"}), Auth),
        (Http(403, b"<html>Blocked</html>", {"content-type": "text/html"}), Permanent),
        (Http(403, b"", {"content-type": "text/plain"}), Permanent),
        (Http(307, b"", {"location": "http://127.0.0.1:9/elsewhere"}), BadRequest),
        (Http(500, b"<html>oops"), ServerError),
        (Http(500, ["odd"]), ServerError),
        (Http(400, {"error": None}), BadRequest),
    ],
)
async def test_statuses(adapter: Adapter, turn: Http, kind: type[CallError]) -> None:
    error = await fail(adapter, turn)
    assert type(error) is kind
    assert error.status == turn.status
    assert not error.billable
    assert f"HTTP {turn.status}" in str(error)


@pytest.mark.parametrize(
    ("turn", "kind"),
    [
        (failure(408), ServerError),
        (failure(400, "flagged", code="content_filter"), Permanent),
        (failure(403, "Your chosen model requires moderation and your input was flagged"), Permanent),
    ],
)
async def test_work_that_came_to_no_answer_may_be_billed_by_other_hosts(
    adapter: Adapter, turn: Http, kind: type[CallError]
) -> None:
    error = await fail(adapter, turn)
    assert type(error) is kind
    assert error.billable


@pytest.mark.parametrize("status", [502, 504, 520, 524])
async def test_a_gateway_that_lost_sight_may_have_billed(adapter: Adapter, status: int) -> None:
    error = await fail(adapter, failure(status))
    assert isinstance(error, ServerError)
    assert error.billable


@pytest.mark.parametrize(
    ("headers", "wish"),
    [
        ({}, None),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.25", "retry_after_ms": "20"}, 0.02),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "soon"}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_waits_that_a_server_asks_for(
    adapter: Adapter, status: int, headers: dict[str, str], wish: float | None
) -> None:
    error = await fail(adapter, failure(status, **headers))
    assert isinstance(error, Transient)
    assert error.retry_after_s == wish


async def test_waits_until_a_date(adapter: Adapter) -> None:
    error = await fail(adapter, failure(429, retry_after=formatdate(time.time() + 30, usegmt=True)))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == pytest.approx(29.5, abs=1.5)


@pytest.mark.parametrize("turn", [Hang(), Trickle()], ids=["hang", "trickle"])
async def test_silence_is_a_timeout(adapter: Adapter, turn: Turn) -> None:
    started = time.monotonic()
    error = await fail(adapter, turn, timeout_s=0.3)
    assert time.monotonic() - started < 2
    assert isinstance(error, Timeout)
    assert error.billable


@pytest.mark.parametrize("turn", [Reset(), HalfBody()], ids=["reset", "half body"])
async def test_broken_connections_may_have_billed(adapter: Adapter, turn: Turn) -> None:
    error = await fail(adapter, turn)
    assert isinstance(error, Timeout)
    assert error.billable


async def test_nobody_there_is_no_bill(adapter: Adapter) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        async with aclosing(adapter.load(f"http://127.0.0.1:{taken.getsockname()[1]}")) as model:
            with pytest.raises(ServerError, match="is it running") as caught:
                await model.complete(call(), timeout_s=5)
    assert not caught.value.billable


@pytest.mark.parametrize(
    "content",
    [b"", b"not json", b"[]", b'"text"', b"{}", b'{"choices": [], "content": "x", "output": 3}', b"[" * 100_000],
    ids=["empty", "text", "list", "string", "object", "wrong", "deep"],
)
async def test_nonsense_is_an_error_that_may_have_billed(adapter: Adapter, content: bytes) -> None:
    error = await fail(adapter, Http(200, content))
    assert type(error) is Garbled
    assert error.billable


SPENT, NOTHING = {"input_tokens": 90, "output_tokens": 50}, {"input_tokens": 0, "output_tokens": 0}


@pytest.mark.parametrize(
    ("code", "usage", "kind", "billable"),
    [
        ("server_error", None, ServerError, True),
        ("invalid_prompt", None, Permanent, False),
        ("invalid_prompt", NOTHING, Permanent, False),
        ("invalid_prompt", SPENT, Permanent, True),
        ("rate_limit_exceeded", None, RateLimited, False),
        ("rate_limit_exceeded", SPENT, RateLimited, True),
    ],
)
async def test_a_response_that_failed_may_be_billed_if_it_states_a_usage(
    code: str, usage: object, kind: type[CallError], billable: bool
) -> None:
    error = {"code": code, "message": "it failed"}
    body = {"status": "failed", "output": [], "error": error, "usage": usage}
    (responses,) = (each for each in ADAPTERS if each.label == "responses")
    with ScriptedServer(Http(200, body)) as server, pytest.raises(kind, match="it failed") as caught:
        await ask(responses, server)
    assert type(caught.value) is kind
    assert caught.value.billable == billable


INPUTS, OUTPUTS = ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")


def with_usage(change: Callable[[dict[str, Any]], object]) -> Script:
    """A good answer whose usage is changed."""

    def answer(asked: Asked) -> Http:
        body = dialects.body(asked, Said("[1] > [2]", 100, 10))
        change(body["usage"])
        return Http(200, body)

    return answer


def worst_case(asked: Call, model: Model) -> Usage:
    """What a budget reserves for a call, and no more."""
    return Usage(
        counter_for(model.identity.name).count(asked).bound, output_tokens=asked.sampling.max_output_tokens
    )


def put(names: tuple[str, ...], value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda usage: usage.update({name: value for name in names if name in usage})


@pytest.mark.parametrize(
    "change",
    [
        put(INPUTS, -1),
        put(OUTPUTS, -1),
        put(INPUTS, "100"),
        put(OUTPUTS, 10.5),
        put(INPUTS, True),
        put(OUTPUTS, None),
        put(INPUTS, 0),
        put(INPUTS, 1),
        put((*OUTPUTS, "total_tokens"), 0),
        put(INPUTS, 10**15),
        put(INPUTS, 9_000_000),
        put(OUTPUTS, 9_000_000),
        dict.clear,
        put(("prompt_tokens_details", "input_tokens_details", "output_tokens_details"), 5),
        put(
            ("completion_tokens_details", "output_tokens_details"), {"reasoning_tokens": 11, "thinking_tokens": 11}
        ),
    ],
    ids=[
        "-in",
        "-out",
        "text",
        "float",
        "bool",
        "null",
        "free",
        "too few",
        "no text",
        "absurd",
        "in, too many",
        "out, too many",
        "empty",
        "details",
        "reasoning > output",
    ],
)
async def test_unbelievable_usage_costs_the_worst_case(adapter: Adapter, change: Any) -> None:
    asked = call()
    with ScriptedServer(with_usage(change)) as server:
        async with aclosing(adapter.at(server)) as model:
            completion = await model.complete(asked, timeout_s=10)
    assert completion.text == "[1] > [2]"
    assert completion.usage == worst_case(asked, model)


@pytest.mark.parametrize("stated", [(300, 5_000), (5_000, 60)], ids=["ignores the limit", "a prompt of its own"])
async def test_more_than_was_reserved_is_believed_as_far_as_it_can_be_true(
    adapter: Adapter, stated: tuple[int, int]
) -> None:
    with ScriptedServer(Said("[1] > [2]", *stated)) as server:
        completion = await ask(adapter, server)
    assert completion.usage == Usage(stated[0], output_tokens=stated[1])


@pytest.fixture(params=[each for each in ADAPTERS if each.label in {"chat", "responses", "vllm"}])
def openai_like(request: pytest.FixtureRequest) -> Adapter:
    found: Adapter = request.param
    return found


@pytest.mark.parametrize("reasoning", [2590, 0])
async def test_reasoning_that_only_the_total_counts(openai_like: Adapter, reasoning: int) -> None:
    """As xAI, and gateways to Gemini, state it: total = prompt + answer + reasoning."""

    def beside(usage: dict[str, Any]) -> None:
        put(INPUTS, 400)(usage)
        put(("total_tokens",), 3000)(usage)
        put(("completion_tokens_details", "output_tokens_details"), {"reasoning_tokens": reasoning})(usage)

    with ScriptedServer(with_usage(beside)) as server:
        completion = await ask(openai_like, server)
    assert completion.usage == Usage(400, output_tokens=2600, reasoning_tokens=2590)


@pytest.mark.parametrize("total", [0, 5, None])
async def test_a_total_below_its_parts_says_nothing(openai_like: Adapter, total: int | None) -> None:
    with ScriptedServer(with_usage(put(("total_tokens",), total))) as server:
        completion = await ask(openai_like, server)
    assert completion.usage == Usage(100, output_tokens=10)


@pytest.mark.parametrize("total", [-1, "3000", 1.5, 10**12, 10**6, [], True])
async def test_a_total_that_cannot_be_right_costs_the_worst_case(openai_like: Adapter, total: object) -> None:
    with ScriptedServer(with_usage(put(("total_tokens",), total))) as server:
        async with aclosing(openai_like.at(server)) as model:
            completion = await model.complete(call(), timeout_s=10)
    assert completion.text == "[1] > [2]"
    assert completion.usage == worst_case(call(), model)


async def test_missing_usage_costs_the_worst_case(adapter: Adapter) -> None:
    def without(asked: Asked) -> Http:
        body = dialects.body(asked, Said("[1]"))
        del body["usage"]
        return Http(200, body)

    with ScriptedServer(without) as server:
        async with aclosing(adapter.at(server)) as model:
            completion = await model.complete(call(), timeout_s=10)
    assert completion.usage == worst_case(call(), model)


def echo(asked: Asked) -> Http:
    """An error, and its headers, that repeat what they were sent."""
    return failure(401, f"bad header: Authorization: {asked.headers['authorization']}\n\x1b[31mkey={KEY}")


def echo_plain(asked: Asked) -> Http:
    return Http(500, f"got {asked.headers['authorization']}".encode(), {"content-type": "text/plain"})


def echo_as_answer(asked: Asked) -> Http:
    return Http(200, {"choices": asked.headers["authorization"], "output": KEY, "content": KEY})


@pytest.mark.parametrize("script", [echo, echo_plain, echo_as_answer])
async def test_keys_are_in_no_message(adapter: Adapter, script: Script) -> None:
    error = await fail(adapter, script)
    shown = "".join(traceback.format_exception(error))
    assert KEY not in shown
    assert "\x1b" not in str(error)
    assert "\n" not in str(error)


async def test_long_errors_are_cut(adapter: Adapter) -> None:
    error = await fail(adapter, failure(400, "word " * 10_000))
    assert len(str(error)) < 700


async def test_cancellation_goes_through(adapter: Adapter) -> None:
    with ScriptedServer(Hang()) as server:
        task = asyncio.create_task(ask(adapter, server))
        async with asyncio.timeout(5):
            while not server.asked:  # noqa: ASYNC110 -- the server lives in another thread
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_sixty_four_at_once(adapter: Adapter) -> None:
    with ScriptedServer(delay_s=0.5) as server:
        async with aclosing(adapter.at(server)) as model, asyncio.TaskGroup() as group:
            for _ in range(64):
                group.create_task(model.complete(call(), timeout_s=20))
        assert server.most_at_once == 64


async def test_text_that_is_no_unicode(adapter: Adapter) -> None:
    odd = Call((Message("user", "half a pair: \ud800"),), call().sampling, passages=1)
    with ScriptedServer() as server, pytest.raises(BadRequest, match="Unicode"):
        await ask(adapter, server, odd)


async def test_identity(adapter: Adapter) -> None:
    async with aclosing(adapter.load("http://user:hunter22@127.0.0.1:9")) as model:
        assert "hunter22" not in repr(model.identity)
        assert model.identity.base_url.startswith("http://127.0.0.1:9")
        assert model.context_tokens == 4096
