"""What a plan says of rerank APIs, and of an LLM after one, held against runs over a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from listwise import Candidate, Query, Request, Reranker
from tests.loopback import Asked, ScriptedServer

PRICES = ("cohere/rerank-v3.5=search_unit:0.002", "openai/gpt-4o=2.5,10")


def answer(asked: Asked) -> str:
    """As a reranker: the last is the best by little, so that nothing is clear. As an LLM: the last first."""
    if "query" in asked.body:
        return json.dumps([1 + at / 1000 if at >= 20 else 0 for at in range(len(asked.body["documents"]))])
    numbers = sorted({int(digits) for digits in re.findall(r"\[(\d+)\]", asked.prompt)}, reverse=True)
    return " > ".join(f"[{number}]" for number in numbers)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "k")
    monkeypatch.setenv("OPENAI_API_KEY", "k")


def reranker(server: ScriptedServer, tmp_path: Path, **settings: Any) -> Reranker:
    return Reranker(
        local=f"cohere/rerank-v3.5@{server.root}",
        llm="openai/gpt-4o",
        base_url=server.base_url,
        cache=str(tmp_path),
        ledger="off",
        price=PRICES,
        **settings,
    )


def requests_of(n: int) -> list[Request]:
    """The first stage is sure of the first ten, which are short; the API prefers the last, which are long."""
    return [
        Request(
            Query(f"q{at}", f"what is {at}"),
            tuple(Candidate(f"d{i}", "sky " * (2 if i < 20 else 200), 100.0 if i < 10 else 0.0) for i in range(40)),
        )
        for at in range(n)
    ]


@pytest.mark.parametrize("strategy", ["sliding", "topdown", "pointwise"])
@pytest.mark.parametrize("escalate", ["auto", "always"])
def test_whatever_an_api_says_the_bill_is_not_above_the_high_figure(
    tmp_path: Path, strategy: str, escalate: str
) -> None:
    settings: dict[str, Any] = {
        "escalate": escalate,
        "strategy": strategy,
        "llm_depth": 10,
        "window": 10,
        "stride": 5,
    }
    if escalate == "auto":
        settings["margin"] = 100.0
    if strategy == "pointwise":
        settings["on_bad_answer"] = "keep"
    with ScriptedServer(answer) as server, reranker(server, tmp_path, **settings) as reranking:
        plan = reranking.plan(requests_of(3))
        assert not server.asked
        receipts = [ranking.receipt for ranking in reranking.rerank_many(requests_of(3))]
    assert [receipt.route for receipt in receipts] == ["llm"] * 3
    assert dict(plan.routes) == {"llm": 3}
    assert float(sum(receipt.usd for receipt in receipts)) <= float(str(plan.as_record()["high_usd"]))


def test_what_an_api_said_already_is_known_to_a_plan(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"strategy": "single", "llm_depth": 10}
    with ScriptedServer(answer) as server, reranker(server, tmp_path, escalate="never", **settings) as first:
        list(first.rerank_many(requests_of(3)))
        asked = len(server.asked)
        with reranker(server, tmp_path, escalate="auto", **settings) as reranking:
            plan = reranking.plan(requests_of(3))
            assert len(server.asked) == asked
            receipts = [ranking.receipt for ranking in reranking.rerank_many(requests_of(3))]
    assert (plan.stages[0].cached, plan.stages[0].usd.high) == (3, 0)
    [line] = plan.strategies
    assert line.input_tokens.expected == pytest.approx(sum(each.input_tokens for each in receipts), rel=0.05)


def test_a_querys_budget_is_in_the_plan_of_an_api(tmp_path: Path) -> None:
    with ScriptedServer(answer) as server, reranker(server, tmp_path, budget_usd="0.001") as reranking:
        plan = reranking.plan(requests_of(3))
    assert plan.stages[0].usd.high == pytest.approx(0.003)
