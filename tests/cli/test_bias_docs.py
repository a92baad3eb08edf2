"""Every command of docs/bias.md, as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.loopback import Asked, ScriptedServer

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bias.md"
SERVED = "http://127.0.0.1:8000/v1"


def commands() -> list[str]:
    """In their order; several lines that belong together are one."""
    text = DOCS.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.startswith("    listwise ")]


def in_order(asked: Asked) -> str:
    found = len(set(re.findall(r"\[(\d+)\] text", asked.prompt))) or 5
    return json.dumps({"order": list(range(1, found + 1))}) if "JSON" in asked.prompt else " > ".join(
        f"[{at}]" for at in range(1, found + 1)
    )  # fmt: skip


def test_every_command_runs(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    run = [line.split() for line in (shell.folder / "run.trec").read_text().splitlines()]
    (shell.folder / "qrels.txt").write_text(
        "".join(f"{q} 0 {doc} {int(rank) % 3}\n" for q, _, doc, rank, *_ in run)
    )
    answers = [
        {"model": "m", "qid": f"q{at}", "docids": ["a", "b"], "response": "[2] > [1]", "call": 0} for at in range(8)
    ]
    (shell.folder / "answers.jsonl").write_text("".join(json.dumps(each) + "\n" for each in answers))
    found = commands()
    assert len(found) >= 8
    with ScriptedServer(in_order) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        for line in found:
            told = line.replace(SERVED, server.base_url).replace(
                "vllm/Qwen/Qwen2.5-1.5B-Instruct", "vllm/loopback-1"
            )
            if "openai/" in line:  # served from another address than the vendor's, it has no price
                told += " --price openai/gpt-4o=2.5,10"
            done = shell.run(*shlex.split(told)[1:])
            assert done.returncode == 0, (line, done.stderr)
    assert (shell.folder / "study" / "curve.svg").is_file()
    assert json.loads((shell.folder / "recorded" / "bias.json").read_text())["studies"][0]["model"] == "m"


def test_what_it_says_about_rank_biased_overlap() -> None:
    """The weight of the first ten ranks in an endless list: Webber et al. 2010, equation 21."""
    p, d = 0.9, 10
    series = sum(p**each / each for each in range(1, 2000)) - sum(p**each / each for each in range(1, d))
    assert round(1 - p ** (d - 1) + (1 - p) / p * d * series, 2) == 0.86
    assert "the first ten ranks have 86 % of the weight" in DOCS.read_text(encoding="utf-8")
