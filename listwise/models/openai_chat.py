"""OpenAI's Chat Completions: how a call is written, and how an answer is read. Many servers speak it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from listwise.calls import ALTERNATIVES, Call, Completion, ServiceTier
from listwise.models.answers import (
    Believable,
    Body,
    OptionalTokens,
    TierWord,
    Tokens,
    believed,
    left_out,
    order_schema,
    read_body,
)
from listwise.models.failures import Failures
from listwise.models.families import Traits
from listwise.models.logprobs import Place, leading
from listwise.types import Usage

PATH = "/chat/completions"


def request(
    model: str, call: Call, traits: Traits, *, own_host: bool, service_tier: ServiceTier = "default"
) -> dict[str, Any]:
    """The body of a request.

    OpenAI's own host and reasoning models want ``max_completion_tokens``; elsewhere ``max_tokens`` is what every
    server knows, and a bound that a server does not know would be no bound.

    OpenAI is told even the default tier: left out, it is the one set for the account's project, which may be dearer
    than what was reserved. Other servers need not know the field.
    """
    sampling = call.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in call.messages],
        "max_completion_tokens" if own_host or not traits.takes_temperature else "max_tokens": (
            sampling.max_output_tokens
        ),
    }
    if own_host or service_tier != "default":
        body["service_tier"] = service_tier
    if sampling.temperature is not None and traits.takes_temperature:
        body["temperature"] = sampling.temperature
    if sampling.reasoning_effort is not None:
        body["reasoning_effort"] = sampling.reasoning_effort
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if call.form == "order":
        schema = {"name": "order", "strict": True, "schema": order_schema(call.passages)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if call.weighed and traits.gives_logprobs:
        body |= {"logprobs": True, "top_logprobs": ALTERNATIVES}
    return body


class _InputDetails(Body):
    cached_tokens: OptionalTokens = None
    cache_write_tokens: OptionalTokens = None


class _OutputDetails(Body):
    reasoning_tokens: OptionalTokens = None


class _Usage(Body):
    prompt_tokens: Tokens
    completion_tokens: Tokens
    total_tokens: OptionalTokens = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None

    def usage(self, service_tier: str) -> Usage:
        read = self.prompt_tokens_details or _InputDetails()
        made = self.completion_tokens_details or _OutputDetails()
        beside = left_out(self.total_tokens, self.prompt_tokens + self.completion_tokens)
        return Usage(
            self.prompt_tokens,
            read.cached_tokens or 0,
            read.cache_write_tokens or 0,
            self.completion_tokens + beside,
            max(made.reasoning_tokens or 0, beside),
            service_tier=service_tier,
        )


class _Message(Body):
    content: str | None = None
    refusal: str | None = None


class _Logprobs(Body):
    content: list[Place] | None = None


class _Choice(Body):
    message: _Message
    finish_reason: str | None = None
    logprobs: Believable[_Logprobs] = None


class _Answer(Body):
    model: str | None = None
    choices: list[_Choice] = Field(min_length=1)
    usage: Believable[_Usage] = None
    service_tier: Believable[TierWord] = None


_FINISHES: dict[str | None, Literal["stop", "length", "refusal"]] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "refusal",
}


def read(content: bytes, call: Call, failures: Failures) -> Completion:
    """The answer in the body of a response.

    Raises:
        ServerError: it is no chat completion; billable.
    """
    answer = read_body(_Answer, content, failures)
    choice = answer.choices[0]
    refusal = choice.message.refusal
    identity = failures.identity
    usage = answer.usage.usage(answer.service_tier or "") if answer.usage else None
    text = refusal or choice.message.content or ""
    return Completion(
        text=text,
        usage=believed(usage, call, identity.name, text),
        served_by=answer.model or identity.model,
        finish="refusal" if refusal else _FINISHES.get(choice.finish_reason, "other"),
        leading=leading(call, choice.logprobs.content if choice.logprobs else None),
    )
