"""docs/observability.md is played: its Python traces, its command is one."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest

from listwise.cli.serve_command import command as serve_command
from listwise.serve.exporting import is_asked_for
from tests.telemetry.test_names import PAGE


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_python_traces() -> None:
    (script,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    decoder, text, spans = json.JSONDecoder(), done.stdout.strip(), []
    while text:
        span, end = decoder.raw_decode(text)
        spans.append(span)
        text = text[end:].strip()
    score, rerank = spans
    assert (score["name"], rerank["name"]) == ("score", "rerank")
    assert score["parent_id"] == rerank["context"]["span_id"]


def test_the_command_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[Any] = []
    monkeypatch.setattr(
        "listwise.serve.running.run", lambda settings, host, port: run.append((settings, host, port))
    )
    (line,) = blocks("console")
    words = shlex.split(line.removeprefix("$ "))
    at = words.index("listwise")
    assert is_asked_for(dict(word.split("=", 1) for word in words[:at]))
    assert words[at + 1] == "serve"
    serve_command.main(words[at + 2 :], standalone_mode=False)
    assert [(host, port) for _, host, port in run] == [("127.0.0.1", 8000)]
