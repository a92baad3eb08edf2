"""Rerank APIs before the LLM, at the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import QUERIES, Shell, last_first
from tests.loopback import Asked, ScriptedServer, failure


def answer(asked: Asked) -> str:
    """As a reranker: later is better. As an LLM: the highest number is."""
    return json.dumps(list(range(len(asked.body["documents"])))) if "query" in asked.body else last_first(asked)


def cascade(shell: Shell, server: ScriptedServer, *more: str) -> tuple[str | Path, ...]:
    """Every query through a rerank API and an LLM of that server."""
    stages = ("--local", f"vllm/reranker@{server.base_url}", "--price", "vllm/reranker=1,0")
    usual = shell.rerank(server.base_url, *stages, "--price", "openai/gpt-4o=1,1", *more)
    at = usual.index("none")
    return (*usual[: at - 1], *usual[at + 1 :])


def test_what_a_rerank_api_did_and_cost_is_in_the_table_and_in_the_books(shell: Shell) -> None:
    with ScriptedServer(answer) as server:
        done = shell.run(*cascade(shell, server, "--receipts", "r.jsonl", "--run-id", "r"))
        billed = sum(i + o for i, o in server.billed) / 10**6
    assert done.returncode == 0
    assert f"of that vllm/reranker: {QUERIES} calls (0 cached), 0 search units" in done.stderr
    stages = [record["stages"][0] for record in map(json.loads, shell.lines("r.jsonl"))]
    assert [(stage["calls"], stage["attempts"]) for stage in stages] == [(1, 1)] * QUERIES
    [*models] = json.loads(shell.run("spend", "--run", "r", "--format", "json").stdout)
    assert [(line["name"], line["answered"]) for line in models] == [
        ("openai/gpt-4o", 2 * QUERIES),
        ("vllm/reranker", QUERIES),
    ]
    assert abs(sum(float(line["usd"]) for line in models) - billed) < 1e-9


def test_an_llm_that_was_not_asked_as_nothing_was_left_for_it_did_not_fail(shell: Shell) -> None:
    with ScriptedServer(answer) as server:
        done = shell.run(*cascade(shell, server, "--max-calls", "1"))
        assert len(server.asked) == QUERIES
    assert done.returncode == 0
    assert "answered none" not in done.stderr
    assert f"degraded, {QUERIES} queries: such as stopped after 0 calls" in done.stderr


def test_a_key_in_a_stages_address_is_never_shown(shell: Shell) -> None:
    with ScriptedServer(failure(401, "no such user: hunter2, topsecret")) as server:
        address = server.base_url.replace("://", "://user:hunter2@") + "?api-key=topsecret@10"
        done = shell.run(
            *("-v", *shell.rerank(server.base_url)[:9], "--local", f"tei/x@{address}", "--receipts", "r.jsonl")
        )
        assert "topsecret" in server.asked[0].path
        refused = shell.run("rerank", "--query", "x", "--local", "none", "--local", f"tei/x@{address}")
    assert done.returncode == 0
    assert refused.returncode == 2
    shown = done.stdout + done.stderr + "".join(shell.lines("r.jsonl")) + refused.stderr
    kept = b"".join(path.read_bytes() for path in shell.folder.glob("ledger.db*"))
    assert "degraded" in shown
    assert b"tei/x" in kept
    for secret in ("hunter2", "topsecret"):
        assert secret not in shown
        assert secret.encode() not in kept
