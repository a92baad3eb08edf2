"""A real HTTP server on the loopback that does what a script tells it, with every way that servers fail."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tests.loopback import dialects
from tests.loopback.turns import Asked, HalfBody, Hang, Http, Reset, Said, Script, Trickle, Turn, failure

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class ScriptedServer:
    """Answers completions from a script, models and tokens by itself. Runs in a thread of its own.

    The script is a list of turns, the last of which is repeated for good, or a function of the request. With it as
    a context manager::

        with ScriptedServer(["[2] > [1]", failure(429, retry_after="1")]) as server:
            ...
            assert server.asked[0].body["model"] == "gpt-4o"

    Attributes:
        requests: all requests that came, in order.
        billed: one ``(input_tokens, output_tokens)`` for each answer that a provider would charge for: those that
            were given, and those that were made but got lost on the way.
        most_at_once: the highest number of completions that were being answered at the same time.
    """

    def __init__(
        self,
        script: Script | Sequence[Turn] | Turn = "[1] > [2]",
        *,
        delay_s: float = 0.0,
        models: tuple[str, ...] = ("loopback-1",),
        max_model_len: int | None = 4096,
        port: int = 0,
    ) -> None:
        self._script = script if callable(script) else _in_turn(script)
        self._delay_s = delay_s
        self._models = models
        self._max_model_len = max_model_len
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scripted-server", daemon=True)
        self._at_once = self.most_at_once = 0
        self.requests: list[Asked] = []
        self.billed: list[tuple[int, int]] = []

    @property
    def root(self) -> str:
        """The address without a path: what the anthropic SDK wants."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """The address of the OpenAI interface."""
        return f"{self.root}/v1"

    @property
    def asked(self) -> list[Asked]:
        """The requests for completions, in order."""
        return [asked for asked in self.requests if asked.dialect not in {None, "tokenize", "count", "models"}]

    def start(self) -> Self:
        """Listen; returns when connections are accepted."""
        self._thread.start()
        self._ready.wait()
        return self

    def stop(self) -> None:
        """Drop all connections and stop."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def wait(self) -> None:
        """Serve until interrupted."""
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._converse, "127.0.0.1", self._port, limit=2**26, backlog=512)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (asked := await _read(reader)) is not None:
                self.requests.append(asked)
                if not await self._answer(asked, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the server stops
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        """Play the turn for one request; False where the connection ends with it."""
        if asked.dialect == "models":
            return await _send(writer, Http(200, dialects.models(self._models, self._max_model_len)))
        if asked.dialect == "tokenize":
            return await _send(writer, Http(200, dialects.tokenized(asked, self._max_model_len)))
        if asked.dialect == "count":
            return await _send(writer, Http(200, dialects.input_tokens(asked)))
        if asked.dialect is None:
            return await _send(writer, failure(404, f"nothing is at {asked.path}", code="not_found"))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self._delay_s)
            turn = self._script(asked)
            return await self._play(Said(turn) if isinstance(turn, str) else turn, asked, writer)
        finally:
            self._at_once -= 1

    async def _play(self, turn: Said | Http | Hang | Reset | HalfBody | Trickle, asked: Asked, writer: Any) -> bool:
        match turn:
            case Said():
                self.billed.append(dialects.counted(asked, turn))
                return await _send(writer, Http(200, dialects.body(asked, turn), dialects.headers(asked, turn)))
            case Http():
                return await _send(writer, turn)
            case HalfBody(said):
                self.billed.append(dialects.counted(asked, said))
                return await _send(writer, Http(200, dialects.body(asked, said)), half=True)
            case Hang():
                self.billed.append(dialects.counted(asked, Said("")))
                await self._stopping.wait()
            case Trickle(said, every_s):
                self.billed.append(dialects.counted(asked, said))
                await _trickle(writer, Http(200, dialects.body(asked, said)), every_s)
            case Reset():
                self.billed.append(dialects.counted(asked, Said("")))
                writer.transport.abort()
        return False


def _in_turn(turns: Sequence[Turn] | Turn) -> Script:
    """One turn after the other, the last one for good; a single turn is a list of one."""
    if isinstance(turns, str | Said | Http | Hang | Reset | HalfBody | Trickle):
        return lambda _: turns
    left = list(turns)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    """The next request, None where the client has closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, json.loads(raw) if raw else None)


async def _send(writer: asyncio.StreamWriter, answer: Http, *, half: bool = False) -> bool:
    """Write an answer; False where that ends the connection."""
    head, content = _written(answer)
    writer.write(head + (content[: len(content) // 2] if half else content))
    await writer.drain()
    return not half


async def _trickle(writer: asyncio.StreamWriter, answer: Http, every_s: float) -> None:
    head, content = _written(answer)
    writer.write(head)
    for byte in content:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(every_s)


def _written(answer: Http) -> tuple[bytes, bytes]:
    content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    headers = {"content-type": "application/json", "content-length": str(len(content)), **answer.headers}
    head = f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Scripted')}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return head.encode("latin-1") + b"\r\n", content
