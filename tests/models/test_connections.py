"""Connections: one a request at a time, the same one again, and none for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from listwise.models.connections import IDLE_S, Connections, client


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


MANY = 120
"""More than httpx2's own pool would open."""


@pytest.mark.parametrize("proxied", [False, True], ids=["", "by a proxy"])
def test_a_client_has_as_many_connections_as_requests_at_a_time(
    proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over real sockets; where the environment names a proxy, all of them are its."""
    served: list[asyncio.Task[None] | None] = []

    async def work() -> None:
        several = asyncio.Semaphore(0)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.append(asyncio.current_task())
            while await reader.readline() != b"":
                while await reader.readline() != b"\r\n":
                    pass
                await several.acquire()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=MANY)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.delenv(name, raising=False)
        if proxied:
            monkeypatch.setenv("HTTP_PROXY", url)
            url = "http://example.invalid/"
        async with server:
            async with client() as asking:
                for _ in range(3):
                    several.release()
                    assert (await asking.get(url)).text == "ok"
                assert len(served) == 1
                under_way = [asyncio.create_task(asking.get(url, timeout=30)) for _ in range(MANY)]
                while len(served) < MANY:  # noqa: ASYNC110 - none is answered before all are there
                    await asyncio.sleep(0.01)
                for _ in under_way:
                    several.release()
                assert {(await each).text for each in under_way} == {"ok"}
            await asyncio.gather(*(task for task in served if task is not None))

    asyncio.run(asyncio.wait_for(work(), 30))
