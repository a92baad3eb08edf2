"""Connections whose clients take their time, over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import httpx2
import pytest
import uvicorn
from structlog.contextvars import get_contextvars

from listwise.policy import Policy
from listwise.serve import connections
from listwise.serve.app import create_app
from listwise.serve.connections import Bounded, bounds_of, make_room
from listwise.serve.settings import Limits
from tests.serve.serving import DOCUMENTS, QUERY, Log, Served, settings
from tests.serve.test_staying_up import until

ASKED: dict[str, Any] = {"query": QUERY, "documents": DOCUMENTS}
HEAD = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n"
LIVE = b'{"status":"live"}'


@contextmanager
def bounded(*policies: Policy, **limits: Any) -> Iterator[Served]:
    """A service whose connections are bounded as they are in `listwise serve`."""
    chosen = settings(*policies, **limits)
    log = Log()
    app = create_app(chosen, log=log)
    protocol: Any = partial(Bounded, bounds_of(chosen.limits))
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        lifespan="on",
        http=protocol,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        (listening,) = server.servers[0].sockets
        yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", app, log)
    finally:
        server.should_exit = True
        thread.join()


def opened(service: Served, **options: Any) -> socket.socket:
    host, port = service.url.removeprefix("http://").split(":")
    there = socket.create_connection((host, int(port)), **options)
    there.settimeout(20)
    return there


def says(there: socket.socket, what: bytes) -> bool:
    """Whether that comes, before the connection ends."""
    came = b""
    while what not in came:
        part = there.recv(1000)
        if not part:
            return False
        came += part
    return True


def is_over(there: socket.socket) -> bool:
    """Whether the other side ends the connection, without a word."""
    try:
        return there.recv(1000) == b""
    except ConnectionResetError:
        return True


def test_a_head_that_does_not_come_ends_the_connection() -> None:
    with bounded(head_s=0.3) as service, ExitStack() as stack, service.client() as client:
        silent = stack.enter_context(opened(service))
        half = stack.enter_context(opened(service))
        half.sendall(HEAD)
        trickling = stack.enter_context(opened(service))
        ended = threading.Event()

        def trickle() -> None:
            for byte in HEAD * 100:
                if ended.wait(0.02):
                    return
                try:
                    trickling.sendall(bytes([byte]))
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        for _ in range(3):  # others are served meanwhile
            assert client.post("/v2/rerank", json=ASKED).status_code == 200
        assert [is_over(each) for each in (silent, half, trickling)] == [True] * 3
        assert 'listwise_connections_ended_total{why="slow_head"} 3.0' in client.get("/metrics").text
        ended.set()
        thread.join()


def test_the_next_head_of_a_connection_is_awaited_no_longer() -> None:
    with bounded(head_s=0.3) as service, opened(service) as there:
        there.sendall(HEAD + b"\r\n")
        assert says(there, LIVE)
        time.sleep(0.5)  # a connection that is kept without a request is uvicorn's affair
        there.sendall(HEAD + b"\r\n")
        assert says(there, LIVE)
        there.sendall(HEAD)
        assert is_over(there)


def test_a_request_under_way_may_take_its_time() -> None:
    with bounded(head_s=0.2, body_s=5) as service, opened(service) as there:
        there.sendall(b"POST /v2/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
        body = b'{"query": "q", "documents": ["a", "b"]}'
        there.sendall(b"content-length: %d\r\n\r\n" % len(body))
        for byte in body:
            time.sleep(0.02)
            there.sendall(bytes([byte]))
        assert says(there, b"HTTP/1.1 200 ")


def test_what_comes_after_an_answer_is_a_head_or_nothing() -> None:
    """A refusal does not wait for the body; a client that goes on with it forever is not listened to."""
    with bounded(head_s=0.3, body_bytes=10**9) as service, opened(service) as there:
        there.sendall(b"GET /nothing HTTP/1.1\r\nhost: elsewhere\r\ncontent-length: 100000\r\n\r\n")
        assert says(there, b"HTTP/1.1 400 ")

        def goes_on() -> bool:
            try:
                there.sendall(b"x")
            except OSError:
                return False
            return True

        until(lambda: not goes_on())


def test_more_connections_than_may_be_are_told_to_come_again() -> None:
    with bounded(connections=2, head_s=20) as service, ExitStack() as stack:
        held = [stack.enter_context(opened(service)) for _ in range(2)]
        for each in held:
            each.sendall(HEAD + b"\r\n")
            assert says(each, LIVE)
        answer = httpx2.post(f"{service.url}/v2/rerank", json=ASKED)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        assert answer.json()["error_type"] == "busy"
        held[0].sendall(HEAD + b"\r\n")  # those that are in are served
        assert says(held[0], LIVE)
        held[1].close()

        def is_served() -> bool:
            return httpx2.get(f"{service.url}/health/live").status_code == 200

        until(is_served)
        assert 'listwise_connections_ended_total{why="full"}' in httpx2.get(f"{service.url}/metrics").text


def test_those_turned_away_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_LINGERING", 2)
    monkeypatch.setattr(connections, "LINGER_S", 60.0)
    with bounded(connections=1, head_s=60) as service, ExitStack() as stack:
        held = stack.enter_context(opened(service))
        held.sendall(HEAD + b"\r\n")
        assert says(held, LIVE)
        away = [stack.enter_context(opened(service)) for _ in range(4)]
        assert [says(each, b"HTTP/1.1 503 ") for each in away] == [True] * 4
        for each in away[:2]:
            each.close()  # they make room for others
        again = stack.enter_context(opened(service))
        assert says(again, b"HTTP/1.1 503 ")


def test_an_answer_that_nobody_reads_ends_the_connection() -> None:
    text = "x" * 200_000
    body = b'{"query": "q", "return_documents": true, "documents": [%s]}' % b",".join(
        [b'"' + text.encode() + b'"'] * 40
    )
    with (
        bounded(Policy.of("offline", local="none"), read_s=0.3) as service,
        ExitStack() as stack,
        service.client() as client,
    ):
        never = stack.enter_context(opened(service))
        never.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        never.sendall(b"POST /v2/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
        never.sendall(b"content-length: %d\r\n\r\n" % len(body) + body)
        until(lambda: len(service.log.lines) == 1)
        assert client.post("/v2/rerank", json=ASKED).status_code == 200
        time.sleep(1)
        received = 0
        try:
            while part := never.recv(2**20):
                received += len(part)
        except ConnectionResetError:
            pass
        assert received < len(body)  # what the sockets' buffers held
        assert 'listwise_connections_ended_total{why="unread"} 1.0' in client.get("/metrics").text

        steady = stack.enter_context(opened(service))
        steady.sendall(b"POST /v2/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
        steady.sendall(b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        received = 0
        while part := steady.recv(2**17):
            received += len(part)
            time.sleep(0.01)
        assert received > len(body)


def test_a_request_leaves_nothing_of_its_context_to_its_connection() -> None:
    """Reading is paused and resumed within it, as its body is long."""
    found: list[dict[str, Any]] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append({"said": record.getMessage(), **get_contextvars()})

    handler = Keeping()
    logging.getLogger("uvicorn.error").addHandler(handler)
    try:
        with bounded() as service, opened(service) as there:
            body = json.dumps({**ASKED, "documents": ["x" * 100_000, "y"]}).encode()
            there.sendall(b"POST /v2/rerank HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
            there.sendall(b"content-length: %d\r\n\r\n" % len(body) + body)
            assert says(there, b"x-compute-tokens")
            until(lambda: len(service.log.lines) == 1)
            there.sendall(b"\0\r\n\r\n")
            assert says(there, b"HTTP/1.1 400 ")
    finally:
        logging.getLogger("uvicorn.error").removeHandler(handler)
    assert {"said": "Invalid HTTP request received."} in found


def test_files_are_made_room_for(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    resource = pytest.importorskip("resource", reason="needs a system with limits of files")
    said: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: said.append(limits))
    for soft, hard in ((1024, 5000), (1024, 1500), (1024, resource.RLIM_INFINITY), (4096, 4096)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, limits=(soft, hard): limits)
        make_room(Limits(connections=1000, running=256))
    assert said == [(1512, 5000), (1500, 1500), (1512, resource.RLIM_INFINITY)]
    assert "too few files" in caplog.text
