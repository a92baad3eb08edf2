"""docs/serve.md is played: its commands run, its Python works, its tables name what there is."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import httpx2
import pytest

from listwise.cli.keys_command import command as keys_command
from listwise.cli.rerank_command import command as rerank_command
from listwise.cli.serve_command import command as serve_command
from tests.conftest import CHECKOUT
from tests.loopback import ScriptedServer
from tests.serve.serving import Served, served, settings
from tests.serve.test_staying_up import asking

PAGE = (CHECKOUT / "docs" / "serve.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    shlex.split(line[2:].removesuffix(" &"))
    for kind, text in BLOCKS
    if kind == "console"
    for line in text.splitlines()
]
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTWISE_KEYS", str(tmp_path / "keys.json"))


def play(command: click.Command, arguments: list[str]) -> None:
    command.main(arguments, standalone_mode=False)


def test_every_command_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Services are set up as far as their settings; keys are really made."""
    run: list[Any] = []
    monkeypatch.setattr(
        "listwise.serve.running.run", lambda settings, host, port: run.append((settings, host, port))
    )
    played = [arguments[:2] for arguments in COMMANDS if arguments[0] == "listwise"]
    for program, *arguments in COMMANDS:
        if program == "listwise":
            play({"serve": serve_command, "keys": keys_command}[arguments[0]], arguments[1:])
    assert len(played) == 7
    assert [host for _, host, _ in run] == ["127.0.0.1", "127.0.0.1", "127.0.0.1", "0.0.0.0"]
    assert [list(settings.policies) for settings, _, _ in run][2] == ["default", "cheap", "best"]
    assert [settings.keys is None for settings, _, _ in run] == [True, True, True, False]
    assert run[3][0].over_cap == "refuse"
    best = run[2][0].policies["best"]
    assert (best.llm, best.escalate) == ("openai/gpt-4o", "always")


def test_the_request_is_answered_as_shown(local: Served) -> None:
    curl, _ = [arguments for arguments in COMMANDS if arguments[0] == "curl"]
    body = json.loads(curl[curl.index("-d") + 1])
    found = httpx2.post(f"{local.url}/v2/rerank", json=body).json()
    (shown,) = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
    assert shown.keys() <= found.keys()
    assert shown["listwise"]["receipt"].items() <= found["listwise"]["receipt"].items()
    assert found["results"][0]["index"] == shown["results"][0]["index"]
    assert found["results"][0]["relevance_score"] == pytest.approx(shown["results"][0]["relevance_score"], abs=0.01)


def test_a_ranking_is_told_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    _, curl = [arguments for arguments in COMMANDS if arguments[0] == "curl"]
    body = json.loads(curl[curl.index("-d") + 1])
    (block,) = [text for kind, text in BLOCKS if kind == "jsonl"]
    with ScriptedServer("[2] > [1]") as llm, served(settings(asking(llm))) as service:
        told = httpx2.post(f"{service.url}/try", json=body).text
    for line, shown in zip(told.splitlines(), block.splitlines(), strict=True):
        assert json.loads(shown).items() <= json.loads(line).items()


def test_the_python_works(local: Served) -> None:
    pytest.importorskip("cohere", reason="needs Cohere's SDK: pip install cohere")
    (python,) = [text for kind, text in BLOCKS if kind == "python"]
    script = python.replace(ADDRESS, local.url)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_endpoint_and_every_option_is_named(local: Served) -> None:
    for path in local.app.openapi()["paths"]:
        assert f"`{path}`" in PAGE or f" {path}`" in PAGE, path
    own = [
        name
        for parameter in serve_command.params
        for name in parameter.opts
        if name.startswith("--") and name not in ("--host", "--port")
    ]
    policies = {name for parameter in rerank_command.params for name in parameter.opts} - {"--run-id"}
    assert {name for name in own if name not in policies and name not in PAGE} == set()
