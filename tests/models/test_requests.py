"""How calls are written, by provider and model."""

from __future__ import annotations

import json
import re
from contextlib import aclosing
from itertools import permutations
from typing import Any

import pytest

from listwise.calls import Call, Identity, Message, Sampling
from listwise.models import anthropic, openai_chat, openai_responses
from listwise.models.failures import Failures
from listwise.models.families import Traits, traits_of
from listwise.models.http import Address
from listwise.models.vllm import constraint
from tests.loopback import Asked, Said, ScriptedServer, dialects
from tests.models.adapters import call

PLAIN, REASONING = Traits(8192), Traits(8192, reasons=True, takes_temperature=False)

FAILURES = Failures(Identity("openai", "m", ""))


def chat(model: str = "gpt-4o", asked: Call | None = None, *, own_host: bool = True) -> dict[str, Any]:
    return openai_chat.request(model, asked or call(), traits_of("openai", model), own_host=own_host)


def responses(model: str = "gpt-4o", asked: Call | None = None, *, own_host: bool = True) -> dict[str, Any]:
    return openai_responses.request(model, asked or call(), traits_of("openai", model), own_host=own_host)


def messages(model: str, asked: Call | None = None) -> dict[str, Any]:
    return anthropic.request(model, asked or call(), traits_of("anthropic", model))


def test_chat() -> None:
    body = chat(asked=call(seed=7))
    assert body["max_completion_tokens"] == 50
    assert "max_tokens" not in body
    assert (body["temperature"], body["seed"]) == (0.0, 7)
    assert body.keys().isdisjoint({"reasoning_effort", "response_format"})


@pytest.mark.parametrize("form", ["first", "choice", "relevance"])
def test_log_probabilities_are_asked_for_where_the_model_gives_them(form: Any) -> None:
    body = chat(asked=call(form=form))
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert "response_format" not in body
    body = responses(asked=call(form=form))
    assert (body["include"], body["top_logprobs"]) == (["message.output_text.logprobs"], 20)
    for body in (
        chat("gpt-5", call(form=form)),
        responses("o3", call(form=form)),
        messages("claude-3", call(form=form)),
    ):
        assert body.keys().isdisjoint({"logprobs", "top_logprobs", "include"})


def test_only_openais_own_responses_are_asked_for_log_probabilities() -> None:
    body = responses(asked=call(form="choice"), own_host=False)
    assert body.keys().isdisjoint({"include", "top_logprobs"})


def test_responses_gives_log_probabilities_with_its_text() -> None:
    likely = ({"Yes": -0.25, " yes": -2, "No": float("-inf"), "Ja": 1e-9, "Oui": 3.0}, {".": 0})
    body = {"model": "m", "input": "q", **responses(asked=call(form="relevance"))}
    said = dialects.body(Asked("POST", "/v1/responses", {}, body), Said("Yes.", leading=likely))
    completion = openai_responses.read(json.dumps(said).encode(), call(form="relevance"), FAILURES)
    assert completion.leading == ({"Yes": -0.25, " yes": -2.0, "Ja": 0.0}, {".": 0.0}), "what cannot be is left out"


@pytest.mark.parametrize("places", [7, [7], {"content": [{}]}, {"content": [{"token": "a", "logprob": None}]}])
def test_log_probabilities_that_are_none_spoil_no_answer(places: Any) -> None:
    body = dialects.body(Asked("POST", "/v1/chat/completions", {}, {"model": "m", "messages": []}), Said("Yes"))
    body["choices"][0]["logprobs"] = places
    completion = openai_chat.read(json.dumps(body).encode(), call(form="relevance"), FAILURES)
    assert (completion.text, completion.leading) == ("Yes", None)


@pytest.mark.parametrize("form", ["text", "order"])
def test_orders_are_read_without_log_probabilities(form: Any) -> None:
    for body in (chat(asked=call(form=form)), responses(asked=call(form=form))):
        assert body.keys().isdisjoint({"logprobs", "top_logprobs", "include"})


def test_chat_elsewhere_bounds_answers_in_the_word_that_all_servers_know() -> None:
    body = chat("llama-3.1-8b", own_host=False)
    assert body["max_tokens"] == 50
    assert "max_completion_tokens" not in body


@pytest.mark.parametrize("model", ["o1", "o3-mini", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5.4", "gpt-6-sol"])
def test_reasoning_models_get_no_temperature(model: str) -> None:
    asked = call(reasoning_effort="low")
    body = chat(model, asked, own_host=False)
    assert "temperature" not in body
    assert body["max_completion_tokens"] == 50
    assert body["reasoning_effort"] == "low"
    body = responses(model, asked)
    assert "temperature" not in body
    assert body["reasoning"] == {"effort": "low"}


@pytest.mark.parametrize("write", [chat, responses])
def test_the_provider_may_choose_the_temperature(write: Any) -> None:
    assert "temperature" not in write(asked=call(temperature=None))
    assert write(asked=call(temperature=0.5))["temperature"] == 0.5


def test_responses_are_not_kept() -> None:
    body = responses(asked=call(seed=7))
    assert body["store"] is False
    assert "seed" not in body
    assert body["max_output_tokens"] == 50


@pytest.mark.parametrize("interface", [openai_chat, openai_responses])
def test_openai_is_told_the_tier_and_other_servers_only_if_it_is_a_special_one(interface: Any) -> None:
    def tier(**asked: Any) -> object:
        return interface.request("gpt-5", call(), PLAIN, **asked).get("service_tier")

    assert tier(own_host=True) == "default", "else the account's project decides"
    assert tier(own_host=False) is None
    assert tier(own_host=True, service_tier="flex") == tier(own_host=False, service_tier="flex") == "flex"


def order(body: dict[str, Any]) -> dict[str, Any]:
    assert body["strict"] is True
    schema: dict[str, Any] = body["schema"]
    assert schema["required"] == ["order"]
    assert schema["additionalProperties"] is False
    found: dict[str, Any] = schema["properties"]["order"]
    return found


def test_openai_constrains_by_a_strict_schema() -> None:
    asked = call(form="order", passages=5)
    in_chat = chat(asked=asked)["response_format"]
    in_responses = responses(asked=asked)["text"]["format"]
    assert in_chat["type"] == in_responses["type"] == "json_schema"
    for found in (order(in_chat["json_schema"]), order(in_responses)):
        assert found["items"]["enum"] == [1, 2, 3, 4, 5]
        assert (found["minItems"], found["maxItems"]) == (5, 5)


def test_anthropic_constrains_by_the_schema_it_takes() -> None:
    output = messages("claude-haiku-4-5", call(form="order", passages=2))["output_config"]
    assert output["format"]["type"] == "json_schema"
    found = output["format"]["schema"]["properties"]["order"]
    assert found == {"type": "array", "items": {"type": "integer", "enum": [1, 2]}}, "minItems is refused there"


def test_anthropic_has_its_system_prompt_apart() -> None:
    two = (Message("system", "one"), Message("user", "hi"), Message("system", "two"))
    body = messages("claude-haiku-4-5", Call(two, Sampling(9)))
    assert body["system"] == "one\n\ntwo"
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert "system" not in messages("claude-haiku-4-5", Call(two[1:2], Sampling(9)))


def test_anthropic_alone_is_told_its_standard_tier() -> None:
    own = anthropic.request("claude-haiku-4-5", call(), PLAIN, own_host=True)
    assert own["service_tier"] == "standard_only"
    assert "service_tier" not in messages("claude-haiku-4-5")


async def test_the_tier_is_for_answers_and_not_for_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anthropic, "OWN_HOST", "127.0.0.1")
    with ScriptedServer() as server:
        address = Address.parse(server.root)
        async with aclosing(anthropic.AnthropicModel("m", api_key="k", traits=PLAIN, address=address)) as model:
            await model.complete(call(), timeout_s=5)
            await model.count_tokens(call(), timeout_s=5)
    assert [asked.body.get("service_tier") for asked in server.requests] == ["standard_only", None]


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-3-5-haiku-latest", True),
        ("claude-opus-4-20250514", True),
        ("claude-opus-4-1-20250805", True),
        ("claude-sonnet-4-5-20250929", True),
        ("claude-haiku-4-5", True),
        ("claude-sonnet-4-6", True),
        ("claude-opus-4-7", False),
        ("claude-opus-4-8", False),
        ("claude-opus-4-10", False),
        ("claude-sonnet-5", False),
        ("claude-haiku-5-5", False),
        ("claude-fable-5-1", False),
        ("smollm2", True),
    ],
)
def test_anthropic_temperatures(model: str, takes: bool) -> None:
    assert ("temperature" in messages(model)) is takes


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "output"),
    [
        ("claude-haiku-4-5", "2048", {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-opus-4-6", "low", {"type": "adaptive"}, {"effort": "low"}),
        ("claude-opus-5", "low", None, {"effort": "low"}),
        ("claude-opus-5", "none", {"type": "disabled"}, None),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, None),
        ("claude-opus-5", None, None, None),
    ],
)
def test_anthropic_thinking(model: str, effort: str | None, thinking: Any, output: Any) -> None:
    body = messages(model, call(reasoning_effort=effort))
    assert body.get("thinking") == thinking
    assert body.get("output_config") == output
    assert not (thinking and thinking["type"] != "disabled" and "temperature" in body), "400 while thinking"


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_vllm_chooses_among_all_orders_of_few(n: int) -> None:
    choices = constraint(n)["choice"]
    assert isinstance(choices, list)
    every = {" > ".join(f"[{i}]" for i in order) for order in permutations(range(1, n + 1))}
    assert set(choices) == every
    assert len(choices) == len(every)


@pytest.mark.parametrize("n", [5, 20])
def test_vllm_bounds_the_form_of_many(n: int) -> None:
    pattern = constraint(n)["regex"]
    assert isinstance(pattern, str)
    whole = [f"[{i}]" for i in range(n, 0, -1)]
    assert re.fullmatch(pattern, " > ".join(whole))
    for bad in (whole[1:], [*whole, "[1]"], [*whole[1:], f"[{n + 1}]"], [*whole[1:], "[0]"]):
        assert not re.fullmatch(pattern, " > ".join(bad))
