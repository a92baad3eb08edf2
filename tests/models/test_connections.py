"""Connections: one a request at a time, the same one again, and none for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from listwise.models.connections import IDLE_S, Client, Connections


class Body(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"whole"


class Line(httpx2.AsyncBaseTransport):
    """Answers, or fails; says how often it was used, and whether it is closed."""

    def __init__(self) -> None:
        self.used = 0
        self.closed = False
        self.fails: BaseException | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.used += 1
        if self.fails is not None:
            raise self.fails
        return httpx2.Response(200, stream=Body())

    async def aclose(self) -> None:
        self.closed = True


class Lines:
    """A `Connections` over lines that are counted, and a clock that is set."""

    def __init__(self) -> None:
        self.made: list[Line] = []
        self.now = 0.0
        self.all = Connections(self._make, clock=lambda: self.now)

    def _make(self) -> Line:
        self.made.append(Line())
        return self.made[-1]

    async def ask(self) -> httpx2.Response:
        return await self.all.handle_async_request(httpx2.Request("GET", "http://127.0.0.1/"))


def test_a_line_is_used_again_once_its_answer_was_read() -> None:
    async def work(lines: Lines) -> None:
        first, second = await lines.ask(), await lines.ask()
        assert [line.used for line in lines.made] == [1, 1], "two under way at a time have a line each"
        assert await first.aread() == b"whole"
        await lines.ask()
        assert [line.used for line in lines.made] == [2, 1]
        await second.aclose()
        await second.aclose()
        await lines.ask()
        await lines.ask()
        assert [line.used for line in lines.made] == [2, 2, 1], "closed twice, it is free once"

    asyncio.run(work(Lines()))


def test_a_line_that_failed_is_free_again() -> None:
    async def work(lines: Lines) -> None:
        await (await lines.ask()).aread()
        lines.made[0].fails = httpx2.ConnectError("refused")
        with pytest.raises(httpx2.ConnectError):
            await lines.ask()
        lines.made[0].fails = None
        await lines.ask()
        assert [line.used for line in lines.made] == [3]

    asyncio.run(work(Lines()))


def test_what_was_not_needed_for_a_while_is_closed() -> None:
    async def work(lines: Lines) -> None:
        for answer in [await lines.ask() for _ in range(3)]:
            await answer.aread()
        lines.now = IDLE_S + 1
        await (await lines.ask()).aread()
        assert [line.closed for line in lines.made] == [True, True, False], "the one used last is kept"
        await lines.ask()
        await lines.all.aclose()
        assert all(line.closed for line in lines.made), "the busy one, too"

    asyncio.run(work(Lines()))


def test_a_client_has_as_many_connections_as_requests_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over real sockets; and where the environment names a proxy, it is asked."""
    served: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        while await reader.readline() != b"":
            while await reader.readline() != b"\r\n":
                pass
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()
        await writer.wait_closed()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        monkeypatch.setenv("HTTP_PROXY", url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with server:
            async with Client() as client:
                for _ in range(3):
                    assert (await client.get(url)).text == "ok"
                assert len(served) == 1
                for _ in range(2):
                    await asyncio.gather(*(client.get(url) for _ in range(5)))
                assert len(served) == 5
                assert (await client.get("http://example.invalid/")).text == "ok"
            await asyncio.gather(*(task for task in served if task is not None))

    asyncio.run(work())
