"""Against a real vLLM: `make test-vllm`, or `pytest -m vllm tests/vllm` with ``VLLM_BASE_URL`` set to one of yours.

The model in `run.py` is a toy: what is tested is that its answers, sense or nonsense, are asked for, constrained,
counted and read as they should be.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from listwise import Reranker
from listwise.calls import Call, Completion, Message, Sampling
from listwise.models.registry import load_model
from listwise.models.vllm import VllmModel
from listwise.types import Candidate, Query, Ranking, Request

BASE_URL = os.environ.get("VLLM_BASE_URL")
TIMEOUT_S = 300.0
TOPICS = {
    "why is the sky blue": "Rayleigh scattering sends short wavelengths of sunlight in all directions",
    "how do bees make honey": "worker bees reduce nectar by evaporation and store it in wax cells",
    "what melts ice on roads": "salt lowers the freezing point of the water on the surface of a road",
}

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(BASE_URL is None, reason="needs a vLLM server: run `make test-vllm`"),
]


@pytest.fixture(scope="module")
def name() -> str:
    """The served model, as the command line would name it."""
    with urllib.request.urlopen(f"{BASE_URL}/models", timeout=10) as answer:
        return f"vllm/{json.load(answer)['data'][0]['id']}"


@pytest.fixture
def requests() -> list[Request]:
    """A dozen passages a query, of which one is to the point."""
    others = [f"This is filler number {at} about [{at}] nothing in particular." for at in range(11)]
    return [
        Request(
            Query(f"q{at}", query),
            tuple(Candidate(f"d{place}", text) for place, text in enumerate((*others, answer))),
        )
        for at, (query, answer) in enumerate(TOPICS.items())
    ]


@pytest.fixture
def reranker_for(name: str) -> Callable[..., Reranker]:
    def build(**settings: Any) -> Reranker:
        defaults = {"local": "none", "escalate": "always", "cache": "off", "timeout_s": TIMEOUT_S}
        return Reranker(llm=name, base_url=BASE_URL, trace=True, **{**defaults, **settings})

    return build


def check(rankings: list[Ranking], requests: list[Request], windows: int) -> None:
    """Whatever was said: every candidate once, every window answered, every token counted."""
    for ranking, request in zip(rankings, requests, strict=True):
        receipt = ranking.receipt
        assert sorted(ranking.docids) == sorted(each.docid for each in request.candidates)
        assert receipt.route == "llm"
        assert receipt.calls == receipt.attempts == len(ranking.windows) == windows
        assert receipt.retries == 0
        assert all(window.answer is not None and window.served_by for window in ranking.windows)
        assert receipt.input_tokens == sum(window.usage.input_tokens for window in ranking.windows) > 100 * windows
        assert receipt.output_tokens == sum(window.usage.output_tokens for window in ranking.windows) >= windows


def test_rankzephyr_prompt(reranker_for: Callable[..., Reranker], requests: list[Request]) -> None:
    with reranker_for(prompt="rankzephyr", window=8, stride=4) as reranker:
        rankings = list(reranker.rerank_many(requests))
    check(rankings, requests, windows=2)


@pytest.mark.parametrize("window", [4, 12])
def test_structured_orders_hold_to_their_form(
    reranker_for: Callable[..., Reranker], requests: list[Request], window: int
) -> None:
    """Up to four passages the server can only say a permutation; beyond, only identifiers, so many of them."""
    with reranker_for(prompt="structured", strategy="single", window=window, stride=2) as reranker:
        rankings = list(reranker.rerank_many(requests))
    check(rankings, requests, windows=1)
    for ranking in rankings:
        (asked,) = ranking.windows
        assert asked.answer is not None
        identifiers = [int(found) for found in re.findall(r"\[(\d+)\]", asked.answer)]
        assert asked.answer == " > ".join(f"[{identifier}]" for identifier in identifiers)
        assert len(identifiers) == window
        assert set(identifiers) <= set(range(1, window + 1))
        assert asked.permutation is not None
        if window == 4:
            assert asked.permutation == tuple(identifier - 1 for identifier in identifiers)
            assert not asked.repairs


def test_same_prompt_same_order(reranker_for: Callable[..., Reranker], requests: list[Request]) -> None:
    with reranker_for(prompt="rankzephyr") as reranker:
        first, again = (reranker.rerank(requests[0]) for _ in range(2))
    assert first.docids == again.docids
    assert again.receipt.cached_input_tokens > 0, "vLLM keeps the prompt's prefix, and says so in usage"
    assert again.receipt.cached_input_tokens <= again.receipt.input_tokens


def test_tokenize_counts_what_usage_bills(name: str) -> None:
    messages = (Message("system", "You rank."), Message("user", "[1] naïve – ☃\n[2] plain\nRank the passages."))
    call = Call(messages, Sampling(max_output_tokens=4))

    async def ask() -> tuple[int, Completion]:
        model = load_model(name, base_url=BASE_URL)
        assert isinstance(model, VllmModel)
        try:
            return await model.count_tokens(call, timeout_s=TIMEOUT_S), await model.complete(
                call, timeout_s=TIMEOUT_S
            )
        finally:
            await model.aclose()

    counted, completion = asyncio.run(ask())
    assert counted == completion.usage.input_tokens > 0
    assert completion.usage.output_tokens <= 4
    assert completion.served_by == name.partition("/")[2]


def test_context_is_the_servers_own(name: str) -> None:
    with urllib.request.urlopen(f"{BASE_URL}/models", timeout=10) as answer:
        stated = json.load(answer)["data"][0]["max_model_len"]
    model = load_model(name, base_url=BASE_URL)
    assert model.context_tokens == stated
    asyncio.run(model.aclose())
