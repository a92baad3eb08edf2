"""The scripted server keeps its own books right: other tests believe them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import aclosing

from listwise.errors import CallError
from listwise.models.registry import load_model
from tests.loopback import HalfBody, Reset, Said, ScriptedServer, Turn, failure
from tests.models.adapters import ADAPTERS, call


async def test_turns_follow_one_another_and_are_billed_if_the_work_was_done() -> None:
    turns: list[Turn] = [Said("a", 5, 1), failure(429), Reset(), HalfBody(Said("b", 7, 2)), "c"]
    with ScriptedServer(turns) as server:
        said = []
        async with aclosing(ADAPTERS[0].at(server)) as model:
            for _ in range(6):
                try:
                    said.append((await model.complete(call(), timeout_s=5)).text)
                except CallError as error:
                    said.append(type(error).__name__)
    assert said == ["a", "RateLimited", "Timeout", "Timeout", "c", "c"]
    assert server.billed[0] == (5, 1)
    assert server.billed[2] == (7, 2)
    assert len(server.billed) == 5
    assert len(server.asked) == 6


async def test_delays_overlap() -> None:
    with ScriptedServer(lambda asked: asked.prompt, delay_s=0.2) as server:
        async with aclosing(ADAPTERS[0].at(server)) as model, asyncio.timeout(2):
            await asyncio.gather(*(model.complete(call(), timeout_s=5) for _ in range(20)))
    assert server.most_at_once == 20


def test_as_a_process() -> None:
    command = [sys.executable, "-m", "tests.loopback", "--delay-ms", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            base_url = process.stdout.readline().strip()
            text = asyncio.run(_text(base_url))
        finally:
            process.terminate()
    assert text == "[3] > [2] > [1]"


async def _text(base_url: str) -> str:
    async with aclosing(load_model("openai/loopback-1", base_url=base_url)) as model:
        return (await model.complete(call(), timeout_s=5)).text
