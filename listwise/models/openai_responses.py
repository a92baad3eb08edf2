"""OpenAI's Responses: how a call is written, and how an answer is read."""

from __future__ import annotations

from typing import Any, Literal

from listwise.calls import ALTERNATIVES, Call, Completion, ServiceTier
from listwise.errors import CallError, Permanent, RateLimited, ServerError
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

PATH = "/responses"


def request(
    model: str, call: Call, traits: Traits, *, own_host: bool, service_tier: ServiceTier = "default"
) -> dict[str, Any]:
    """The body of a request. The interface has no seed, and keeps answers for 30 days unless told not to.

    Service tiers are as in `listwise.models.openai_chat`. Only OpenAI's own host is asked for log-probabilities:
    others give none here, and llama.cpp's server turns the question down.
    """
    sampling = call.sampling
    body: dict[str, Any] = {
        "model": model,
        "input": [{"role": message.role, "content": message.content} for message in call.messages],
        "max_output_tokens": sampling.max_output_tokens,
    }
    if own_host:
        body["store"] = False
    if own_host or service_tier != "default":
        body["service_tier"] = service_tier
    if sampling.temperature is not None and traits.takes_temperature:
        body["temperature"] = sampling.temperature
    if sampling.reasoning_effort is not None:
        body["reasoning"] = {"effort": sampling.reasoning_effort}
    if call.form == "order":
        schema = {"name": "order", "strict": True, "schema": order_schema(call.passages)}
        body["text"] = {"format": {"type": "json_schema", **schema}}
    if call.weighed and traits.gives_logprobs and own_host:
        body |= {"include": ["message.output_text.logprobs"], "top_logprobs": ALTERNATIVES}
    return body


class _InputDetails(Body):
    cached_tokens: OptionalTokens = None
    cache_write_tokens: OptionalTokens = None


class _OutputDetails(Body):
    reasoning_tokens: OptionalTokens = None


class _Usage(Body):
    input_tokens: Tokens
    output_tokens: Tokens
    total_tokens: OptionalTokens = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def usage(self, service_tier: str) -> Usage:
        read = self.input_tokens_details or _InputDetails()
        made = self.output_tokens_details or _OutputDetails()
        beside = left_out(self.total_tokens, self.input_tokens + self.output_tokens)
        return Usage(
            self.input_tokens,
            read.cached_tokens or 0,
            read.cache_write_tokens or 0,
            self.output_tokens + beside,
            max(made.reasoning_tokens or 0, beside),
            service_tier=service_tier,
        )


class _Part(Body):
    type: str
    text: str = ""
    refusal: str = ""
    logprobs: Believable[list[Place]] = None


class _Output(Body):
    type: str
    content: list[_Part] | None = None


class _Error(Body):
    code: str | None = None
    message: str = ""


class _Incomplete(Body):
    reason: str | None = None


class _Answer(Body):
    model: str | None = None
    status: str = "completed"
    output: list[_Output]
    error: _Error | None = None
    incomplete_details: _Incomplete | None = None
    usage: Believable[_Usage] = None
    service_tier: Believable[TierWord] = None


def read(content: bytes, call: Call, failures: Failures) -> Completion:
    """The answer in the body of a response.

    Raises:
        CallError: the response failed, or is none; billable unless the provider turned it down without a usage.
    """
    answer = read_body(_Answer, content, failures)
    if answer.error is not None:
        failed = _failed(answer.error, failures)
        failed.billable |= answer.usage is not None and answer.usage.usage("") != Usage()
        raise failed
    parts = [part for output in answer.output if output.type == "message" for part in output.content or ()]
    refusal = "".join(part.refusal for part in parts)
    identity = failures.identity
    usage = answer.usage.usage(answer.service_tier or "") if answer.usage else None
    text = refusal or "".join(part.text for part in parts if part.type == "output_text")
    return Completion(
        text=text,
        usage=believed(usage, call, identity.name, text),
        served_by=answer.model or identity.model,
        finish="refusal" if refusal else _finish(answer),
        leading=leading(call, [place for part in parts for place in part.logprobs or ()]),
    )


def _finish(answer: _Answer) -> Literal["stop", "length", "refusal", "other"]:
    reason = answer.incomplete_details.reason if answer.incomplete_details else None
    if reason == "content_filter":
        return "refusal"
    if reason == "max_output_tokens":
        return "length"
    return "stop" if answer.status == "completed" else "other"


def _failed(error: _Error, failures: Failures) -> CallError:
    """A response that says by itself that it failed, under HTTP 200."""
    message = failures.scrub(f"the response failed: {error.code}: {error.message}")
    model = failures.identity.name
    if error.code == "rate_limit_exceeded":
        return RateLimited(message, model=model)
    if error.code in {None, "server_error"}:
        failed = ServerError(message, model=model)
        failed.billable = True
        return failed
    return Permanent(message, model=model)
