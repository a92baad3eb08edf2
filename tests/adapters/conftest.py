"""A re-ranker over a real server, which puts ``text 9`` before ``text 8``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from listwise import Reranker
from tests.loopback import Asked, ScriptedServer, Turn, failure


def highest_first(asked: Asked) -> Turn:
    """As a model that likes high numbers; one that is down, where the query says so."""
    if "DOWN" in asked.prompt:
        return failure(400)
    shown = [int(number) for number in re.findall(r"^\[\d+\] .*?text (\d+)$", asked.prompt, re.MULTILINE)]
    order = sorted(range(len(shown)), key=lambda at: -shown[at])
    return " > ".join(f"[{at + 1}]" for at in order)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(highest_first, delay_s=0.005) as running:
        yield running


@pytest.fixture
def settings(server: ScriptedServer) -> dict[str, Any]:
    """Of a policy whose LLM is the server."""
    return {
        "llm": "vllm/loopback-1",
        "base_url": server.base_url,
        "local": "none",
        "escalate": "always",
        "cache": "off",
        "ledger": "off",
    }


@pytest.fixture
def reranker(settings: dict[str, Any]) -> Iterator[Reranker]:
    with Reranker(**settings) as reranker:
        yield reranker
