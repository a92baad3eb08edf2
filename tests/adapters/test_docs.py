"""The examples of docs/adapters.md run as they stand, and print what stands below them."""

from __future__ import annotations

import json
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from listwise.cli import cli
from tests.conftest import CHECKOUT

PAGE = (CHECKOUT / "docs" / "adapters.md").read_text(encoding="utf-8")
OWN, CLIENTS = PAGE.split("## Clients you already have")
EXAMPLES = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", OWN, re.DOTALL)
LIBRARIES = ["langchain_core", "llama_index", "haystack", "pyterrier", "mcp"]
COMMANDS = re.findall(r"^    \$ listwise (.*)$", PAGE, re.MULTILINE)


def test_every_example_says_what_it_prints() -> None:
    assert len(EXAMPLES) == OWN.count("```python") == len(LIBRARIES)
    assert len(COMMANDS) == 3


@pytest.mark.adapters
@pytest.mark.parametrize(("library", "example"), list(zip(LIBRARIES, EXAMPLES, strict=True)), ids=LIBRARIES)
def test_an_example_runs(
    library: str, example: tuple[str, str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec(library) is None:
        pytest.skip(f"needs {library}: make test-adapters")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    code, printed = example
    exec(compile(code, "docs/adapters.md", "exec"), {"__name__": "__main__"})
    assert capfd.readouterr().out == printed


@pytest.mark.adapters
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_starts(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcp", reason="needs mcp: make test-adapters")
    from listwise.adapters import mcp_server

    started: list[tuple[str, ...]] = []

    async def serve(tools: mcp_server.Tools) -> None:
        started.append(tools.names)
        await tools.aclose()

    monkeypatch.setattr(mcp_server, "serve", serve)
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    done = CliRunner().invoke(cli, line.split())
    assert done.exception is None, done.exception
    assert started == [("default", *re.findall(r"--offer (\S+)", line))]


def test_a_clients_settings_name_our_command() -> None:
    (settings,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    server = json.loads(settings)["mcpServers"]["listwise"]
    assert (server["command"], server["args"]) == ("listwise", ["mcp", "--policy", "offline"])
