"""Rerank requests against a real vLLM: `make test-vllm`, or set ``VLLM_RERANK_BASE_URL`` to a pooling server.

The model in `run.py` has random weights: what is tested is that its scores are asked for, counted and put in order
as they should be.
"""

from __future__ import annotations

import json
import os
import urllib.request
from contextlib import aclosing
from decimal import Decimal

import pytest

from listwise.policy import Policy
from listwise.spend.tab import Budget, Tab
from listwise.stages.remote import RemoteStage
from listwise.types import Candidate, Query

BASE_URL = os.environ.get("VLLM_RERANK_BASE_URL")
QUERY = Query("q1", "why is the sky blue")
TEXTS = ("scattering of light", "paint dries", "ünïcode 漢字 ☃", "sky " * 2000)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(BASE_URL is None, reason="needs a vLLM server of a cross-encoder: run `make test-vllm`"),
]


@pytest.fixture(scope="module")
def name() -> str:
    """The served model, as a policy would name it."""
    with urllib.request.urlopen(f"{BASE_URL}/models", timeout=10) as answer:
        return f"vllm/{json.load(answer)['data'][0]['id']}"


def stage(name: str) -> RemoteStage:
    policy = Policy.of(None, price=(f"{name}=1,0",), ledger="off", cache="off")
    return RemoteStage.of(policy, name, base_url=BASE_URL, store=None)


async def test_scores_belong_to_their_passages_whatever_the_order(name: str) -> None:
    candidates = [Candidate(str(at), text) for at, text in enumerate(TEXTS)]
    async with aclosing(stage(name)) as api:
        forwards = await api.score(QUERY, candidates, Tab("q1", Budget()))
        backwards = await api.score(QUERY, candidates[::-1], Tab("q1", Budget()))
    assert forwards.degraded == ()
    assert len(set(forwards.scores)) == len(TEXTS)
    assert backwards.scores[::-1] == pytest.approx(forwards.scores, abs=1e-5)


async def test_it_bills_what_it_states_and_no_more_than_the_bound(name: str) -> None:
    candidates = [Candidate(str(at), text) for at, text in enumerate(TEXTS)]
    account = Tab("q1", Budget(usd=Decimal(1)))
    async with aclosing(stage(name)) as api:
        await api.score(QUERY, candidates, account)
        assert not account.usage.assumed
        assert len(TEXTS) <= account.usage.input_tokens
        assert account.nano_usd == 1000 * account.usage.input_tokens <= api.bound_nano_usd(QUERY, candidates)


async def test_many_candidates_go_in_several_requests(name: str) -> None:
    candidates = [Candidate(str(at), f"passage {at} on the sky") for at in range(1050)]
    async with aclosing(stage(name)) as api:
        found = await api.score(QUERY, candidates, Tab("q1", Budget()))
    assert (found.calls, found.scores.count(None)) == (2, 0)


async def test_a_model_that_it_does_not_serve_is_said_so() -> None:
    async with aclosing(stage("vllm/no-such-model")) as api:
        found = await api.score(QUERY, [Candidate("d", "text")], Tab("q1", Budget()))
    assert found.scores == (None,)
    assert "no-such-model" in found.degraded[0]
