"""The MCP server, started by the real MCP client as agents start it: a process behind two pipes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs mcp: make test-adapters")

from click.testing import CliRunner
from mcp import Client, StdioServerParameters

from listwise.cli import cli
from listwise.spend.history import History
from tests.adapters.contract import TEXTS
from tests.conftest import CHECKOUT
from tests.loopback import Hang, ScriptedServer

pytestmark = [pytest.mark.adapters, pytest.mark.filterwarnings("ignore::ResourceWarning")]

SKY = ["Paint dries slowly.", "The sky is blue because air scatters blue light."]


def arguments(*options: str) -> list[str]:
    return ["-m", "listwise", "mcp", *options]


def environment(tmp_path: Path) -> dict[str, str]:
    names = ("LISTWISE_CACHE", "LISTWISE_LEDGER", "PATH", "HOME")
    return {name: os.environ[name] for name in names if name in os.environ} | {"PYTHONPATH": str(CHECKOUT)}


@pytest.fixture
def paid(server: ScriptedServer) -> list[str]:
    """Options for the server as a model that costs a dollar for a million tokens, both ways."""
    name = "vllm/loopback-1"
    return [
        *("--llm", name, "--base-url", server.base_url, "--price", f"{name}=1,1"),
        *("--local", "none", "--escalate", "always", "--cache", "off"),
    ]


@asynccontextmanager
async def serving(tmp_path: Path, *options: str) -> AsyncIterator[Client]:
    started = StdioServerParameters(
        command=sys.executable, args=arguments(*options), env=environment(tmp_path), cwd=tmp_path
    )
    async with Client(started) as client:
        yield client


async def said(client: Client, tool: str, **given: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, given)
    assert not answer.is_error, answer.content
    structured: dict[str, Any] = answer.structured_content
    return structured


async def refused(client: Client, tool: str, **given: Any) -> str:
    answer = await client.call_tool(tool, given)
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
        assert (found["score_type"], found["receipt"]["route"]) == ("reciprocal_rank", "local")
        assert (await said(client, "rerank", query="why", passages=[]))["results"] == []
        told = await said(client, "explain", query="why is the sky blue", passages=SKY)
        assert (told["route"], told["reason"], told["expected_usd"]) == ("local", "escalation is off", 0)
        assert (await said(client, "spend"))["kept"] is False


async def test_money_is_foreseen_spent_counted_and_bounded(
    tmp_path: Path, paid: Sequence[str], server: ScriptedServer
) -> None:
    caps = ("--account", "agents", "--budget", "0.01", "--budget-day", "5")
    async with serving(tmp_path, *paid, *caps, "--offer", "offline") as client:
        told = await said(client, "explain", query="why", passages=TEXTS[:5])
        assert (told["route"], told["priced"], server.asked) == ("llm", True, [])
        found = await said(client, "rerank", query="why", passages=TEXTS[:5], top_n=2)
        assert [each["index"] for each in found["results"]] == [4, 3]
        usd = found["receipt"]["usd"]
        assert 0 < usd <= told["high_usd"]
        broke = await said(client, "rerank", query="why not", passages=TEXTS[:5], budget_usd=0.000001)
        assert [each["index"] for each in broke["results"]] == [0, 1, 2, 3, 4]
        assert "USD budget of 0.000001 reached" in broke["receipt"]["degraded"][-1]
        greedy = await said(client, "rerank", query="DOWN" * 2000, passages=TEXTS[:5], budget_usd=1000)
        assert "USD budget of 0.01 reached" not in str(found["receipt"])
        assert greedy["receipt"]["usd"] <= 0.01
        offline = await said(client, "rerank", query="why", passages=TEXTS[:3], policy="offline")
        assert (offline["policy"], offline["receipt"]["route"]) == ("offline", "local")
        spent = await said(client, "spend")
    (account,) = spent["accounts"]
    assert (spent["account"], spent["kept"], account["account"]) == ("agents", True, "agents")
    assert account["usd"] == pytest.approx(usd + greedy["receipt"]["usd"])
    assert (account["queries"], account["cap_day_usd"], account["cap_total_usd"]) == (4, 5, None)


async def test_a_client_names_no_file_no_model_and_no_nonsense(tmp_path: Path) -> None:
    async with serving(tmp_path, "--policy", "offline", "--offer", "offline") as client:
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
        unknown = await client.call_tool(
            "rerank", {"query": "why", "passages": SKY, "base_url": "http://evil", "ledger": "/tmp/x"}
        )
        assert unknown.is_error or unknown.structured_content["receipt"]["route"] == "local"
        assert (await said(client, "rerank", query="why", passages=["same", "same"]))["results"][0]["index"] == 0


async def test_many_at_once(tmp_path: Path, paid: Sequence[str], server: ScriptedServer) -> None:
    async with serving(tmp_path, *paid, "--ledger", "off") as client, asyncio.TaskGroup() as group:
        calls = [
            group.create_task(said(client, "rerank", query=f"why {at}", passages=TEXTS[:4])) for at in range(20)
        ]
    assert [call.result()["results"][0]["index"] for call in calls] == [3] * 20
    assert server.most_at_once > 1


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
    import time

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
def test_wrong_settings_end_it_before_it_begins(tmp_path: Path, options: list[str], says: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments(*options)],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        cwd=tmp_path,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_the_tools() -> None:
    shown = CliRunner().invoke(cli, ["mcp", "--help"]).output
    for each in ("rerank", "explain", "spend", "--offer"):
        assert each in shown
