"""A loopback server that speaks as much of the OpenAI API as a listwise re-ranker uses, in a process of its own.

It answers ``/v1/chat/completions`` and ``/v1/responses`` after a fixed delay with whatever an `Answerer` says, and
counts. It is raw asyncio and costs some 0.1 ms of CPU a request, so that it is not what a benchmark measures.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, NamedTuple, Self

HOST = "127.0.0.1"
FIGURES = "/figures"
START_S = 30.0
MESSAGE_TOKENS = 3
"""Around each message of a chat, and before the answer (OpenAI's cookbook, "How to count tokens")."""


class Said(NamedTuple):
    """What the model behind the server says: an answer, or with a ``status`` of 400 and more an error's message."""

    text: str
    status: int = 200
    input_tokens: int = 2000
    output_tokens: int = 100
    """What the answer's usage says, and so what is billed; an error is not."""


Answerer = Callable[[bytes], Said]
"""Reads the body of a request. It travels to the server's process, so it must be picklable."""


@dataclass(frozen=True, slots=True)
class Descending:
    """Says `[n] > ... > [1]`, whatever it is asked."""

    passages: int = 20

    def __call__(self, body: bytes) -> Said:
        return Said(" > ".join(f"[{identifier}]" for identifier in range(self.passages, 0, -1)))


@dataclass(frozen=True, slots=True)
class Metered:
    """The same, with the tokens that there are, as a provider counts those of a chat: what is billed differs from
    question to question, and stays below any bound that holds for a provider."""

    passages: int

    def __call__(self, body: bytes) -> Said:
        asked = json.loads(body)["messages"]
        said = Descending(self.passages)(body).text
        size = sum(_size(message["content"]) + MESSAGE_TOKENS for message in asked) + MESSAGE_TOKENS
        return Said(said, input_tokens=size, output_tokens=_size(said))


@dataclass(frozen=True, slots=True)
class Figures:
    """What the server saw since it was last asked."""

    requests: int
    rejected: int
    """Requests answered with an error."""
    max_in_flight: int
    span_s: float
    """From the arrival of the first request to the departure of the last answer."""
    cpu_s: float
    """The server's own."""
    input_tokens: int
    output_tokens: int
    """Of all requests that came and were not answered with an error, whether or not anybody waited for the answer:
    what is billed."""


class Loopback:
    """The server, running while the context is open.

    Raises:
        RuntimeError: on entering, the server did not come up.
    """

    def __init__(self, answerer: Answerer, *, latency_s: float = 0.0) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._ports, ports = spawning.Pipe(duplex=False)
        self._process = spawning.Process(target=_serve, args=(answerer, latency_s, ports), daemon=True)
        self._port = 0

    @property
    def url(self) -> str:
        """The base URL for an OpenAI client."""
        return f"http://{HOST}:{self._port}/v1"

    def take(self) -> Figures:
        """What the server saw since the last call."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=START_S)
        try:
            connection.request("GET", FIGURES)
            return Figures(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self._process.start()
        if not self._ports.poll(START_S):
            self._stop()
            raise RuntimeError("the loopback server did not start")
        self._port = self._ports.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self._process.close()
        self._ports.close()


class _Tally:
    """Counts requests as they come and go."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._reset()

    def _reset(self) -> None:
        self.requests = self.rejected = self.max_in_flight = 0
        self.first_s: float | None = None
        self.last_s = 0.0
        self.cpu_s = time.process_time()
        self.input_tokens = self.output_tokens = 0

    def arrived(self) -> None:
        if self.first_s is None:
            self.first_s = time.perf_counter()
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def answered(self, said: Said) -> None:
        if said.status < 400:
            self.input_tokens += said.input_tokens
            self.output_tokens += said.output_tokens

    def left(self, status: int) -> None:
        self.in_flight -= 1
        self.rejected += status >= 400
        self.last_s = time.perf_counter()

    def take(self) -> Figures:
        span_s = 0.0 if self.first_s is None else self.last_s - self.first_s
        taken = Figures(
            self.requests,
            self.rejected,
            self.max_in_flight,
            span_s,
            time.process_time() - self.cpu_s,
            self.input_tokens,
            self.output_tokens,
        )
        self._reset()
        return taken


class _Client(asyncio.Protocol):
    """One keep-alive connection; a request at a time, as HTTP/1.1 clients send them."""

    def __init__(self, answerer: Answerer, latency_s: float, tally: _Tally) -> None:
        self._answerer, self._latency_s, self._tally = answerer, latency_s, tally
        self._unread = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head_end = self._unread.find(b"\r\n\r\n")
        if head_end < 0:
            return
        start, *fields = bytes(self._unread[:head_end]).split(b"\r\n")
        end = head_end + 4 + content_length(fields)
        if len(self._unread) < end:
            return
        body = bytes(self._unread[head_end + 4 : end])
        del self._unread[:end]
        self._answer(start.split(b" ")[1].decode(), body)

    def _answer(self, path: str, body: bytes) -> None:
        if path == FIGURES:
            self._send(200, asdict(self._tally.take()))
        elif path not in WRAPPERS:
            self._send(404, _error(f"no such path: {path}"))
        else:
            self._tally.arrived()
            said = self._answerer(body)
            self._tally.answered(said)
            content = _error(said.text) if said.status >= 400 else WRAPPERS[path](said)
            asyncio.get_running_loop().call_later(self._latency_s, self._leave, said.status, content)

    def _leave(self, status: int, content: dict[str, Any]) -> None:
        self._tally.left(status)
        self._send(status, content)

    def _send(self, status: int, content: dict[str, Any]) -> None:
        assert self._transport is not None
        if self._transport.is_closing():
            return
        body = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


def content_length(fields: list[bytes]) -> int:
    """What the head of a message says of the length of its body; 0 where it says nothing."""
    for field in fields:
        name, _, value = field.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _size(text: str) -> int:
    from listwise.spend.vocabularies import tokens

    return len(tokens(text, "o200k_base"))


def _chat(said: Said) -> dict[str, Any]:
    return {
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": 0,
        "model": "loopback",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": said.text}, "finish_reason": "stop"},
        ],
        "usage": {
            "prompt_tokens": said.input_tokens,
            "completion_tokens": said.output_tokens,
            "total_tokens": said.input_tokens + said.output_tokens,
        },
    }


def _response(said: Said) -> dict[str, Any]:
    content = {"type": "output_text", "text": said.text, "annotations": []}
    message = {
        "id": "msg-loopback",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [content],
    }
    return {
        "id": "resp-loopback",
        "object": "response",
        "created_at": 0,
        "model": "loopback",
        "status": "completed",
        "output": [message],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": said.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": said.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": said.input_tokens + said.output_tokens,
        },
    }


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


WRAPPERS: dict[str, Callable[[Said], dict[str, Any]]] = {
    "/v1/chat/completions": _chat,
    "/v1/responses": _response,
}
"""What an answer looks like on each path."""


def _serve(answerer: Answerer, latency_s: float, ports: Connection) -> None:
    asyncio.run(_serving(answerer, latency_s, ports))


async def _serving(answerer: Answerer, latency_s: float, ports: Connection) -> None:
    tally = _Tally()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Client(answerer, latency_s, tally), HOST, 0, backlog=256
    )
    ports.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()
