"""Contract 6: no network at import, at ``--help``, or to count tokens; what is missing is said at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

NO_NETWORK = """
import socket

def refuse(*arguments, **options):
    raise SystemExit("the network was touched")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
"""


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(NO_NETWORK)
    environment = {**os.environ, "PYTHONPATH": str(folder), "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
    )


@pytest.mark.parametrize(
    "code",
    [
        "import listwise, listwise.reranker, listwise.models.registry",
        "from listwise.spend.tokens import counter_for\nprint(counter_for('openai/gpt-4o').bound('hello'))",
        "from listwise.spend.tokens import counter_for\nprint(counter_for('anthropic/x').bound('hello'))",
        "from listwise.spend.prices import PriceBook\nprint(PriceBook().find('openai/gpt-4o'))",
        "from listwise import Reranker\nprint(Reranker().rerank('why', ['a', 'b']).docids)",
        "from listwise import Reranker\nReranker(llm='openai/gpt-4o', base_url='http://127.0.0.1:9/v1')",
    ],
)
def test_no_network_is_needed(tmp_path: Path, code: str) -> None:
    done = python(tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command", ["--help", "rerank --help", "eval --help", "demo --no-llm", "prompts list", "cache info"]
)
def test_no_command_needs_it_either(tmp_path: Path, command: str) -> None:
    done = python(tmp_path, "-m", "listwise", *command.split())
    assert done.returncode == 0, done.stderr


def test_a_model_that_is_not_here_is_said_at_once(tmp_path: Path) -> None:
    passages = tmp_path / "p.txt"
    passages.write_text("a\nb\n")
    started = time.monotonic()
    done = python(
        tmp_path, "-m", "listwise", "rerank", "--query", "q", "--passages", str(passages), "--local", "no/model"
    )
    assert time.monotonic() - started < 20
    assert done.returncode == 2
    assert "no/model" in done.stderr
    assert "network was touched" not in done.stderr
