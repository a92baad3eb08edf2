"""What every rerank API's adapter must do, asked of all of them over real sockets, in the shapes they document."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import traceback
from contextlib import aclosing
from typing import Any

import pytest

from listwise.calls import Call, Completion
from listwise.errors import Auth, BadRequest, CallError, Garbled, RateLimited, ServerError, Timeout
from listwise.models.base import Model
from listwise.models.rerank import load_rerank_model
from listwise.models.rerank.scores import read_scores
from listwise.spend.tokens import counter_for
from listwise.types import Usage
from tests.loopback import HalfBody, Hang, Http, Reset, Said, ScriptedServer, Turn
from tests.models.rerank.apis import APIS, KEY, Api, scoring

SCORES = "[0.25, 0.75, -1.5]"


@pytest.fixture(params=APIS, ids=lambda api: api.name.partition("/")[0])
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


async def ask(api: Api, server: ScriptedServer, call: Call | None = None, timeout_s: float = 10) -> Completion:
    async with aclosing(api.at(server)) as model:
        return await model.complete(call or scoring(), timeout_s=timeout_s)


async def fail(api: Api, turn: Turn, timeout_s: float = 10) -> CallError:
    """The error that a turn leads to; asserts that it comes from one request, and carries no key."""
    with ScriptedServer(turn) as server:
        with pytest.raises(CallError) as caught:
            await ask(api, server, timeout_s=timeout_s)
        assert len(server.asked) == 1, "adapters do not retry"
    error = caught.value
    assert error.model == api.name
    assert KEY not in "".join(traceback.format_exception(error))
    return error


def answered(api: Api, ranks: Any, **other: Any) -> bytes:
    """A body whose ranks are put where the API has them; NaN is written as Python does."""
    if api.name.startswith("tei/"):
        ranks = [{"index": rank["index"], "score": rank["relevance_score"]} for rank in ranks]
        return json.dumps(ranks).encode()
    return json.dumps({"data" if api.name.startswith("voyage/") else "results": ranks, **other}).encode()


def ranks(*pairs: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"index": index, "relevance_score": score} for index, score in pairs]


async def test_it_is_a_model(api: Api) -> None:
    with ScriptedServer(SCORES) as server:
        model: Model = api.at(server)
        assert (model.identity.name, model.identity.interface) == (api.name, "rerank")
        assert not model.reasons
        assert model.context_tokens > 0
        await model.aclose()


async def test_scores_come_back_in_the_order_of_the_passages(api: Api) -> None:
    with ScriptedServer(SCORES) as server:  # which answers the best document first
        completion = await ask(api, server)
    assert read_scores(completion.text, 3) == (0.25, 0.75, -1.5)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", api.path)
    assert asked.prompt == "why is the sky blue\ngrass\nscattering\npaint"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    if not api.name.startswith("tei/"):
        assert asked.body["model"] == api.name.partition("/")[2]


async def test_usage_is_what_the_vendor_bills_by(api: Api) -> None:
    with ScriptedServer(Said(SCORES, 40, search_units=1.0)) as server:
        completion = await ask(api, server)
    expected = Usage(search_units=1) if api.name.startswith("cohere/") else Usage(40)
    assert completion.usage == expected
    assert not completion.usage.assumed


async def test_a_usage_that_is_left_out_or_cannot_be_right_is_the_worst_case(api: Api) -> None:
    call = scoring()
    bound = counter_for(api.name).count(call)
    body = answered(api, ranks((0, 1), (1, 2), (2, 3)))
    for turn in (Http(200, body), Said(SCORES, 2, search_units=0), Said(SCORES, 9_000_000, search_units=5)):
        with ScriptedServer(turn) as server:
            completion = await ask(api, server, call)
        assert read_scores(completion.text, 3) is not None, "the answer was paid for, and counts"
        assert completion.usage == Usage(bound.bound, search_units=bound.search_units)
        assert completion.usage.assumed


async def test_cohere_may_bill_tokens() -> None:
    body = answered(APIS[0], ranks((0, 1), (1, 2), (2, 3)), meta={"billed_units": {"input_tokens": 41.0}})
    with ScriptedServer(Http(200, body)) as server:
        completion = await ask(APIS[0], server)
    assert completion.usage == Usage(41)


MALFORMED = {
    "missing": ranks((0, 1), (2, 1)),
    "none": [],
    "twice": ranks((0, 1), (1, 1), (1, 2)),
    "beyond": ranks((0, 1), (1, 1), (3, 1)),
    "negative": ranks((0, 1), (1, 1), (-1, 1)),
    "text": ranks((0, 1), (1, 1), (2, "0.5")),
    "boolean": ranks((0, 1), (1, 1), (2, True)),
    "null": ranks((0, 1), (1, 1), (2, None)),
    "NaN": ranks((0, 1), (1, 1), (2, float("nan"))),
    "infinite": ranks((0, 1), (1, 1), (2, float("inf"))),
    "index is text": ranks((0, 1), (1, 1), ("2", 1)),
}


@pytest.mark.parametrize("wrong", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_answer_is_garbled_and_may_have_been_billed(api: Api, wrong: Any) -> None:
    error = await fail(api, Http(200, answered(api, wrong)))
    assert isinstance(error, Garbled)
    assert error.billable


@pytest.mark.parametrize(
    "body",
    [b"<html>busy</html>", b"", b"null", b"[1]", b"{}", b'{"results": "no"}', b"\xff\xfe", b"[" * 5000, b"1e999"],
)
async def test_what_is_no_answer_at_all_is_garbled(api: Api, body: bytes) -> None:
    assert isinstance(await fail(api, Http(200, body)), Garbled)


@pytest.mark.parametrize(
    ("status", "kind", "billable"),
    [
        (400, BadRequest, False),
        (401, Auth, False),
        (402, Auth, False),
        (404, BadRequest, False),
        (413, BadRequest, False),
        (422, BadRequest, False),
        (424, ServerError, False),
        (429, RateLimited, False),
        (500, ServerError, False),
        (502, ServerError, True),
        (503, ServerError, False),
        (504, ServerError, True),
        (307, BadRequest, False),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        {"message": "as Cohere says it", "id": "1"},
        {"detail": "as Voyage and Jina say it"},
        {"error": "as TEI says it", "error_type": "Validation"},
        {"error": {"message": "as vLLM says it", "type": "BadRequestError", "code": 400}},
    ],
    ids=["cohere", "voyage", "tei", "vllm"],
)
async def test_statuses_mean_what_they_mean_for_llms(
    api: Api, status: int, kind: type[CallError], billable: bool, body: Any
) -> None:
    error = await fail(api, Http(status, body))
    assert isinstance(error, kind)
    assert (error.status, error.billable) == (status, billable)
    assert "say it" in error.message or "says it" in error.message


async def test_the_wish_to_be_left_alone_is_heard(api: Api) -> None:
    for header, wish in (("retry-after", "7"), ("retry-after-ms", "7000")):
        error = await fail(api, Http(429, {"message": "slow down"}, {header: wish}))
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == 7


@pytest.mark.parametrize("turn", [Hang(), Reset(), HalfBody(Said(SCORES))], ids=["hang", "reset", "half"])
async def test_an_unknown_outcome_is_billable(api: Api, turn: Turn) -> None:
    error = await fail(api, turn, timeout_s=0.5)
    assert isinstance(error, Timeout)
    assert error.billable


async def test_a_connection_that_is_refused_costs_nothing(api: Api) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    async with aclosing(load_rerank_model(api.name, base_url=f"http://127.0.0.1:{port}", api_key=KEY)) as model:
        with pytest.raises(ServerError, match="is it running") as caught:
            await model.complete(scoring(), timeout_s=2)
    assert not caught.value.billable


async def test_cancelling_ends_the_request(api: Api) -> None:
    with ScriptedServer(Hang()) as server:
        task = asyncio.create_task(ask(api, server))
        while not server.asked:  # noqa: ASYNC110 -- the server lives in another thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_redirects_are_not_followed(api: Api) -> None:
    with ScriptedServer(SCORES) as elsewhere:
        error = await fail(api, Http(307, b"", {"location": f"{elsewhere.root}{api.path}"}))
        assert elsewhere.requests == []
    assert "redirects" in error.message


async def test_keys_are_in_no_error_and_no_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = await fail(api, Http(400, {"message": f"bad request with Authorization: Bearer {KEY}"}))
    assert KEY not in str(error)
    assert KEY not in caplog.text
    with ScriptedServer(SCORES) as server:
        async with aclosing(api.at(server)) as model:
            assert KEY not in repr(model.identity) + repr(vars(model)["_failures"])


async def test_text_that_is_no_unicode_is_said_so(api: Api) -> None:
    with ScriptedServer(SCORES) as server:
        with pytest.raises(BadRequest, match="no Unicode"):
            await ask(api, server, scoring("a\ud800", "b", "c"))
        assert server.requests == []


async def test_a_server_of_ones_own_needs_no_key() -> None:
    for name in ("tei/x", "vllm/x"):
        with ScriptedServer("[1]") as server:
            async with aclosing(load_rerank_model(name, base_url=server.root)) as model:
                await model.complete(scoring("one"), timeout_s=5)
        assert "authorization" not in server.asked[0].headers
