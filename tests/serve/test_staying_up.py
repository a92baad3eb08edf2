"""Bad bodies, too many requests, deadlines, clients that leave, and the end of a service."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from listwise.policy import Policy
from listwise.serve.admission import Gate
from listwise.serve.draining import drain
from listwise.serve.refusals import Refusal
from listwise.spend.history import History
from tests.loopback import Hang, ScriptedServer
from tests.serve.serving import DOCUMENTS, QUERY, Served, served, settings

ASKED: dict[str, Any] = {"query": QUERY, "documents": DOCUMENTS}
JSON = {"content-type": "application/json"}


def asking(server: ScriptedServer, **more: Any) -> Policy:
    """Every query goes to an LLM at the address."""
    usual = {"escalate": "always", "local": "none", "attempts": 1, "price": ("openai/gpt-4o=2.5,10",)}
    return Policy.of(**{"llm": "openai/gpt-4o", "base_url": server.base_url, **usual, **more})


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it never came true"
        time.sleep(0.01)


def leave(service: Served, body: dict[str, Any], when: Callable[[], bool]) -> None:
    """A client that asks, and goes away once something is true."""
    host, port = service.url.removeprefix("http://").split(":")
    sent = json.dumps(body).encode()
    with socket.create_connection((host, int(port))) as there:
        there.sendall(b"POST /v2/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
        there.sendall(b"content-length: %d\r\n\r\n" % len(sent) + sent)
        until(when)


def test_bounds_of_bodies_documents_and_texts() -> None:
    def endless() -> Any:
        for _ in range(10):
            yield b" " * 1000

    bounds = settings(body_bytes=2000, documents=5, document_chars=300, query_chars=40)
    with served(bounds) as service, service.client() as client:
        for change, status in (
            ({"documents": ["x" * 3000]}, 413),
            ({"documents": ["x"] * 6}, 422),
            ({"documents": ["x" * 301]}, 422),
            ({"query": "x" * 41}, 422),
            ({}, 200),
        ):
            answer = client.post("/v2/rerank", json={**ASKED, **change})
            assert answer.status_code == status, answer.text
            assert status == 200 or answer.json()["message"]
        assert client.post("/v2/rerank", content=endless(), headers=JSON).status_code == 413
    assert {line["outcome"] for line in service.log.lines} == {"ok", "invalid"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"[" * 100_000, "application/json"),
        (b'{"a":' * 100_000, "application/json"),
        (b'{"query": ' + b"9" * 10_000 + b"}", "application/json"),
        (bytes(range(256)) * 10, "application/json"),
        (b"\xff\xfe{}", "application/json"),
        (b"", "application/json"),
        (b"null", "application/json"),
        (json.dumps(ASKED).encode(), "text/plain"),
        (json.dumps(ASKED).encode()[:-1], "application/json"),
    ],
    ids=["deep list", "deep object", "long number", "binary", "utf-16", "empty", "null", "text", "cut"],
)
def test_what_is_no_request_is_said_to_be_none(local: Served, content: bytes, kind: str) -> None:
    with local.client() as client:
        answer = client.post("/v1/rerank", content=content, headers={"content-type": kind})
        assert answer.status_code in (400, 422)
        assert answer.json()["message"]
        assert client.get("/health/ready").status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FIELDS = ("query", "documents", "texts", "model", "top_n", "top_k", "return_documents", "listwise", "rank_fields")
bodies = st.dictionaries(st.sampled_from(FIELDS), json_values) | st.builds(
    lambda change: {**ASKED, **change}, st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=2)
)


@hypothesis_settings(max_examples=60)
@given(st.sampled_from(["/v2/rerank", "/v1/rerank", "/rerank", "/voyage/v1/rerank"]), json_values | bodies)
def test_no_body_makes_the_service_fail(local: Served, path: str, body: Any) -> None:
    with local.client() as client:
        answer = client.post(path, content=json.dumps(body).encode(), headers=JSON)
    assert answer.status_code in (200, 400, 422)
    answer.json()


def test_a_slow_body_is_not_waited_for() -> None:
    with served(settings(body_s=0.2)) as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /v2/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
            assert b" 408 " in slow.recv(4096).splitlines()[0]
        with socket.create_connection((host, int(port))) as gone:
            gone.sendall(b"POST /v2/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        until(lambda: len(service.log.lines) == 2)
    assert [line["status"] for line in service.log.lines] == [408, 499]


def test_a_full_queue_says_when_to_come_again() -> None:
    with ScriptedServer(Hang()) as llm, served(settings(asking(llm), running=1, queue=1)) as service:
        clients = [
            threading.Thread(
                target=lambda: httpx2.post(
                    f"{service.url}/v2/rerank", json={**ASKED, "listwise": {"deadline_s": 3}}, timeout=30
                )
            )
            for _ in range(2)
        ]
        for each in clients:
            each.start()
        gate = service.service.gate
        until(lambda: (gate.running, gate.waiting) == (1, 1))
        with service.client() as client:
            answer = client.post("/v2/rerank", json=ASKED)
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error_type"] == "busy"
            assert client.get("/health/ready").status_code == 200
        for each in clients:
            each.join()
        assert (gate.running, gate.waiting, gate.idle.is_set()) == (0, 0, True)
    assert sorted(line["outcome"] for line in service.log.lines if line["path"] == "/v2/rerank") == [
        "busy",
        "degraded",
        "degraded",
    ]


def test_at_the_deadline_the_best_order_so_far_is_given() -> None:
    with ScriptedServer(Hang()) as llm, served(settings(asking(llm, local="embedded"))) as service:
        with service.client() as client:
            answer = client.post("/v2/rerank", json=ASKED, headers={"X-Listwise-Deadline": "0.5"})
        receipt = answer.json()["listwise"]["receipt"]
        assert answer.status_code == 200
        assert answer.json()["results"][0]["index"] == 1
        assert receipt["fallback"] == "local"
        assert "no answer within 0." in receipt["degraded"][0]
        assert receipt["usd"] > 0  # it may have been answered and billed


def test_where_nothing_was_ranked_in_time_the_order_stands() -> None:
    with served(settings(running=1, queue=5)) as service:
        gate = service.service.gate
        gate._places._value = 0  # nobody is let in
        with service.client() as client:
            answer = client.post("/v2/rerank", json=ASKED, headers={"X-Listwise-Deadline": "0.05"})
        gate._places._value = 1
    body = answer.json()
    assert [rank["index"] for rank in body["results"]] == [0, 1, 2, 3]
    assert body["listwise"]["receipt"]["fallback"] == "first_stage"
    assert body["listwise"]["score_type"] == "rank"


def test_a_client_that_leaves_ends_the_work_and_its_money_is_settled() -> None:
    with ScriptedServer(Hang()) as llm, served(settings(asking(llm))) as service:
        with service.client() as client, pytest.raises(httpx2.ReadTimeout):
            client.post("/v2/rerank", json=ASKED, timeout=0.5)
        until(lambda: len(service.log.lines) == 1)
        ledger = service.service.ledger
        asyncio.run(ledger.flush())
        (line,) = History(ledger.path).report("account")
    assert service.log.lines[0]["outcome"] == "gone"
    assert (line.open, line.unknown) == (0, 1)
    assert line.usd > 0


async def test_the_gate_lets_in_so_many_in_their_order() -> None:
    gate, came, leave = Gate(2, 2), [], asyncio.Event()

    async def visit(name: int) -> None:
        async with gate.entered():
            came.append(name)
            await leave.wait()

    tasks = [asyncio.create_task(visit(name)) for name in range(4)]
    await asyncio.sleep(0)
    assert (gate.running, gate.waiting, came) == (2, 2, [0, 1])
    with pytest.raises(Refusal, match="2 requests wait") as refused:
        await visit(9)
    assert refused.value.status == 429
    tasks[2].cancel()
    leave.set()
    await asyncio.wait(tasks)
    assert came == [0, 1, 3]
    assert (gate.running, gate.waiting, gate.idle.is_set()) == (0, 0, True)


def test_a_service_that_stops_is_not_ready_and_finishes_what_runs() -> None:
    answers: list[httpx2.Response] = []
    with (
        ScriptedServer("[2] > [1] > [3] > [4]", delay_s=0.6) as llm,
        served(settings(asking(llm), grace_s=10)) as service,
    ):
        running = threading.Thread(
            target=lambda: answers.append(httpx2.post(f"{service.url}/v2/rerank", json=ASKED, timeout=30))
        )
        running.start()
        until(lambda: service.service.gate.running == 1)
        service.service.draining = True
        with service.client() as client:
            assert client.get("/health/live").status_code == 200
            assert client.get("/health/ready").status_code == 503
            refused = client.post("/v2/rerank", json=ASKED)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        running.join()
    assert answers[0].json()["results"][0]["index"] == 1
    assert {each.headers["connection"] for each in (refused, answers[0])} == {"close"}


def test_after_the_grace_what_still_runs_is_told_to_come_again() -> None:
    answers: list[httpx2.Response] = []
    with ScriptedServer(Hang()) as llm, served(settings(asking(llm), grace_s=0.1)) as service:
        running = threading.Thread(
            target=lambda: answers.append(httpx2.post(f"{service.url}/v2/rerank", json=ASKED, timeout=30))
        )
        running.start()
        until(lambda: bool(llm.asked))
        service.service.draining = True
        loop = next(iter(service.service._work)).get_loop()
        asyncio.run_coroutine_threadsafe(drain(service.service), loop).result()
        running.join()
    assert answers[0].status_code == 503
    assert answers[0].json()["error_type"] == "draining"
