"""The MCP server, started by the real MCP client as agents start it: a process behind two pipes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs mcp: make test-adapters")

from click.testing import CliRunner
from mcp import Client, StdioServerParameters

from listwise import ConfigError, Policy
from listwise.adapters.mcp_server import Tools, server_of
from listwise.cli import cli
from listwise.spend.history import History
from tests.adapters.contract import TEXTS
from tests.conftest import CHECKOUT
from tests.loopback import Hang, ScriptedServer

pytestmark = pytest.mark.adapters

SKY = ["Paint dries slowly.", "The sky is blue because air scatters blue light."]


def arguments(*options: str) -> list[str]:
    return ["-m", "listwise", "mcp", *options]


def environment(tmp_path: Path) -> dict[str, str]:
    names = ("LISTWISE_CACHE", "LISTWISE_LEDGER", "PATH", "HOME")
    return {name: os.environ[name] for name in names if name in os.environ} | {"PYTHONPATH": str(CHECKOUT)}


@pytest.fixture
def paid(settings: dict[str, Any]) -> dict[str, Any]:
    """A model that costs a dollar for a million tokens, both ways, and books that are kept."""
    kept = {name: value for name, value in settings.items() if name != "ledger"}
    return {**kept, "price": (f"{settings['llm']}=1,1",)}


@asynccontextmanager
async def serving(tmp_path: Path, *options: str) -> AsyncIterator[Client]:
    started = StdioServerParameters(
        command=sys.executable, args=arguments(*options), env=environment(tmp_path), cwd=tmp_path
    )
    async with Client(started) as client:
        yield client


async def said(client: Client, tool: str, **given: Any) -> dict[str, Any]:
    answer: Any = await client.call_tool(tool, given)
    assert not answer.is_error, answer.content
    structured: dict[str, Any] = answer.structured_content
    return structured


async def refused(client: Client, tool: str, **given: Any) -> str:
    answer: Any = await client.call_tool(tool, given)
    assert answer.is_error
    return str(answer.content[0].text)


async def test_a_local_model_over_stdio(tmp_path: Path) -> None:
    async with serving(tmp_path, "--policy", "offline") as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"rerank", "explain", "spend"}
        assert set(tools["rerank"].input_schema["properties"]) == {
            *("query", "passages", "top_n", "policy", "budget_usd"),
        }
        found = await said(client, "rerank", query="why is the sky blue", passages=SKY)
        assert [(each["index"], each["relevance_score"]) for each in found["results"]] == [(1, 1.0), (0, 0.5)]
        assert found["results"][0]["probability"] > found["results"][1]["probability"]
        assert (found["score_type"], found["receipt"]["route"]) == ("rank", "local")
        assert (await said(client, "rerank", query="why", passages=[]))["results"] == []
        told = await said(client, "explain", query="why is the sky blue", passages=SKY)
        assert (told["route"], told["reason"], told["expected_usd"]) == ("local", "escalation is off", 0)
        assert (await said(client, "spend"))["kept"] is False


@asynccontextmanager
async def connected(paid: dict[str, Any], **offered: Policy) -> AsyncIterator[Client]:
    """The same server, in this process."""
    async with Client(server_of(Tools(Policy.of(**paid), offered))) as client:
        yield client


async def test_money_is_foreseen_spent_counted_and_bounded(paid: dict[str, Any], server: ScriptedServer) -> None:
    caps: dict[str, Any] = {"account": "agents", "budget_day_usd": 5}
    poor = Policy.of(**paid, **caps, budget_usd="0.000001")
    free = Policy.of("offline", **caps)
    async with connected({**paid, **caps}, poor=poor, free=free) as client:
        told = await said(client, "explain", query="why", passages=TEXTS[:5])
        assert (told["route"], told["priced"], server.asked) == ("llm", True, [])
        found = await said(client, "rerank", query="why", passages=TEXTS[:5], top_n=2)
        assert [each["index"] for each in found["results"]] == [4, 3]
        assert 0 < found["receipt"]["usd"] <= told["high_usd"]
        for limit in ({"budget_usd": 0.000001}, {"budget_usd": 1000, "policy": "poor"}):
            broke = await said(client, "rerank", query="why not", passages=TEXTS[:5], **limit)
            assert [each["index"] for each in broke["results"]] == [0, 1, 2, 3, 4]
            assert "USD budget of 0.000001 reached" in broke["receipt"]["degraded"][-1]
        local = await said(client, "rerank", query="why", passages=TEXTS[:3], policy="free")
        assert (local["policy"], local["receipt"]["route"]) == ("free", "local")
        spent = await said(client, "spend")
    assert len(server.asked) == 1
    (account,) = spent["accounts"]
    assert (spent["account"], spent["kept"], account["account"]) == ("agents", True, "agents")
    assert account["usd"] == pytest.approx(found["receipt"]["usd"])
    assert (account["queries"], account["cap_day_usd"], account["cap_total_usd"]) == (4, 5, None)


async def test_a_cap_of_the_run_holds_over_all_policies(paid: dict[str, Any], server: ScriptedServer) -> None:
    capped = {**paid, "budget_total_usd": "0.004", "ledger": "off"}
    async with connected(capped, other=Policy.of(**capped, strategy="full")) as client:
        usd, calls = 0.0, 0
        for at in range(30):
            policy = ("default", "other")[at % 2]
            found = await said(client, "rerank", query=f"why {at}", passages=TEXTS[:4], policy=policy)
            usd, calls = usd + found["receipt"]["usd"], calls + len(found["receipt"]["ordered_by"])
    assert 1 < calls == len(server.asked) < 30
    assert usd <= 0.004


async def test_a_client_names_no_file_no_model_and_no_nonsense() -> None:
    async with connected({"escalate": "never"}, offline=Policy.of("offline")) as client:
        for name in ("/etc/passwd", "frugal", "openai/gpt-4o", "../offline.toml"):
            refusal = await refused(client, "rerank", query="why", passages=SKY, policy=name)
            assert f"no policy {name!r} is offered here; there are: default, offline" in refusal
        for wrong in (
            {"top_n": 0},
            {"top_n": "many"},
            {"budget_usd": -1},
            {"passages": ["x"] * 1001},
            {"passages": "a text"},
            {"query": "x" * 10_001},
            {"query": None},
        ):
            assert "validation error" in await refused(
                client, "rerank", **{"query": "why", "passages": SKY, **wrong}
            )
        twice = await said(client, "rerank", query="why", passages=["same", "same"])
        assert sorted(each["index"] for each in twice["results"]) == [0, 1]


async def test_dollars_without_a_price_are_refused_in_words(paid: dict[str, Any]) -> None:
    async with connected({**paid, "price": ()}) as client:
        refusal = await refused(client, "rerank", query="why", passages=SKY, budget_usd=1)
        assert "a budget in dollars, but no price is known of vllm/loopback-1" in refusal


async def test_many_at_once(paid: dict[str, Any], server: ScriptedServer) -> None:
    async with connected(paid) as client, asyncio.TaskGroup() as group:
        calls = [
            group.create_task(said(client, "rerank", query=f"why {at}", passages=TEXTS[:4])) for at in range(20)
        ]
    assert [call.result()["results"][0]["index"] for call in calls] == [3] * 20
    assert server.most_at_once > 1


@pytest.mark.slow
def test_hanging_up_and_sigterm_settle_what_is_under_way(tmp_path: Path) -> None:
    opening = [
        '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
        '"clientInfo":{"name":"test","version":"1"}}}',
        '{"jsonrpc":"2.0","method":"notifications/initialized"}',
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rerank","arguments":'
        '{"query":"why","passages":["a","b"]}}}',
    ]
    for how, code in (("hang up", 0), ("SIGTERM", 128 + signal.SIGTERM)):
        ledger = tmp_path / f"{code}.db"
        with ScriptedServer([Hang()]) as server:
            name = "vllm/loopback-1"
            llm = ("--llm", name, "--base-url", server.base_url, "--price", f"{name}=1,1", "--ledger", str(ledger))
            process = subprocess.Popen(
                [sys.executable, *arguments(*llm, "--local", "none", "--escalate", "always", "--cache", "off")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(tmp_path),
                cwd=tmp_path,
            )
            assert process.stdin is not None
            process.stdin.write("\n".join(opening) + "\n")
            process.stdin.flush()
            _wait_for(server)
            if how == "SIGTERM":
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=20)
            _, shown = process.communicate(timeout=20)
        assert (process.returncode, shown) == (code, ""), how
        (line,) = History(ledger).report("account")
        assert (line.open, line.unknown, line.usd > 0) == (0, 1, True), how


def _wait_for(server: ScriptedServer) -> None:
    for _ in range(2000):
        if server.asked:
            return
        time.sleep(0.01)
    raise AssertionError("the model was not asked")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--offer", "no-such"], "no-such"),
        (["--offer", "frugal"], "there is no llm to escalate to"),
        (["--policy", "no-such"], "no-such"),
        (["--llm", "nobody/x"], "nobody"),
    ],
)
def test_wrong_settings_end_it_before_it_begins(options: list[str], says: str) -> None:
    error = CliRunner().invoke(cli, ["mcp", *options]).exception
    assert isinstance(error, ConfigError)
    assert says in str(error)


def test_help_names_the_tools() -> None:
    shown = CliRunner().invoke(cli, ["mcp", "--help"]).output
    for each in ("rerank", "explain", "spend", "--offer"):
        assert each in shown


async def test_a_client_that_cancels_stops_what_is_asked(paid: dict[str, Any], tmp_path: Path) -> None:
    with ScriptedServer([Hang()]) as server:
        async with connected({**paid, "base_url": server.base_url, "ledger": str(tmp_path / "l.db")}) as client:
            call = asyncio.create_task(client.call_tool("rerank", {"query": "why", "passages": SKY}))
            while not server.asked:  # noqa: ASYNC110 - it runs in another thread
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            for _ in range(500):
                (account,) = (await said(client, "spend"))["accounts"]
                if account["reserved_usd"] == 0 < account["usd"]:
                    break
                await asyncio.sleep(0.01)
            assert account["reserved_usd"] == 0 < account["usd"]
