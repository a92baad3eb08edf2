"""Anthropic's models through Messages, and every server that speaks it.

Requests go through the SDK's own client as plain bodies, as in `listwise.models.openai`; so a temperature, which
the SDK no longer has a parameter for, can be sent to the models that take one.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, ClassVar, Literal

import anthropic
import httpx2

from listwise.calls import Call, Completion, Identity, Sampling
from listwise.errors import CallError
from listwise.models.answers import Believable, Body, OptionalTokens, Tokens, believed, order_schema, read_body
from listwise.models.connections import client
from listwise.models.failures import Failures
from listwise.models.families import UNKNOWN_CONTEXT_TOKENS, Traits
from listwise.models.http import CONNECT_TIMEOUT_S, Address, with_pace
from listwise.spend.tokens import Rung
from listwise.types import Usage

OWN_HOST = "api.anthropic.com"
BASE_URL = f"https://{OWN_HOST}"
PATH = "/v1/messages"
COUNT_PATH = "/v1/messages/count_tokens"
NOT_COUNTED = frozenset({"max_tokens", "temperature", "service_tier"})
"""What of a request the endpoint that counts does not take."""

_THINKS_IF_TOLD = re.compile(r"claude-(?:opus|sonnet|haiku)-4-[6-9]")
_KEEPS_BETWEEN_TOOLS = re.compile(r"claude-sonnet-5-[5-9]")


class AnthropicModel:
    """One model behind Messages."""

    counted: ClassVar[Rung] = "provider"

    def __init__(self, model: str, *, api_key: str | None, traits: Traits, address: Address | None = None) -> None:
        """Without ``api_key``, the SDK looks for its own other credentials (token, profile).

        Raises:
            anthropic.AnthropicError: those cannot be read.
        """
        address = address or Address.parse(BASE_URL)
        self.identity = Identity("anthropic", model, address.shown)
        self.context_tokens = traits.context_tokens or UNKNOWN_CONTEXT_TOKENS
        self.reasons = traits.reasons
        self._traits = traits
        self._own_host = address.host == OWN_HOST
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=address.url,
            default_query=dict(address.query),
            max_retries=0,
            http_client=client(),
        )
        known = (self._client.api_key, self._client.auth_token, *address.secrets)
        self._failures = Failures(self.identity, tuple(secret for secret in known if secret))

    @property
    def has_credentials(self) -> bool:
        """Whether requests carry a key or token."""
        return any((self._client.api_key, self._client.auth_token, self._client.credentials))

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        """See `Model.complete`."""
        response = await self._post(PATH, self._request(call), timeout_s)
        return with_pace(read(response.content, call, self._failures), response.headers)

    async def count_tokens(self, call: Call, *, timeout_s: float) -> int:
        """See `CountingModel.count_tokens`. Anthropic calls its count an estimate, off by a small amount at times.

        Raises:
            CallError: the server cannot be asked.
        """
        body = {name: value for name, value in self._request(call).items() if name not in NOT_COUNTED}
        response = await self._post(COUNT_PATH, body, timeout_s)
        return read_body(_Counted, response.content, self._failures).input_tokens

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    def _request(self, call: Call) -> dict[str, Any]:
        return request(self.identity.model, call, self._traits, own_host=self._own_host)

    async def _post(self, path: str, body: dict[str, Any], timeout_s: float) -> httpx2.Response:
        """Send one request and read the whole answer, once, within ``timeout_s``.

        Raises:
            CallError: whatever goes wrong.
        """
        timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
        try:
            async with asyncio.timeout(timeout_s):
                return await self._client.post(
                    path,
                    cast_to=httpx2.Response,
                    body=body,
                    options={"timeout": timeout, "follow_redirects": False},
                )
        except anthropic.AnthropicError as error:
            raise translated(error, self._failures) from self._failures.cleansed(error)
        except TimeoutError as error:
            raise self._failures.of_silence(timeout_s) from error
        except UnicodeEncodeError as error:
            raise self._failures.of_text() from error


def translated(error: anthropic.AnthropicError, failures: Failures) -> CallError:
    """The SDK's errors as ours."""
    if isinstance(error, anthropic.APIStatusError):
        return failures.of_status(error.status_code, error.body, error.response.headers)
    if isinstance(error, anthropic.APIConnectionError):
        return failures.of_connection(error.__cause__)
    return failures.of_answer(f"the SDK cannot use it ({type(error).__name__})")


def request(model: str, call: Call, traits: Traits, *, own_host: bool = False) -> dict[str, Any]:
    """The body of a request: system messages stand apart, the others alternate.

    Anthropic's own host is told the standard tier, as the priority one, which an account may have, is billed
    otherwise. Other servers need not know the field.
    """
    sampling = call.sampling
    system = "\n\n".join(message.content for message in call.messages if message.role == "system")
    thinking = _thinking(model, sampling)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": sampling.max_output_tokens,
        "messages": [
            {"role": message.role, "content": message.content}
            for message in call.messages
            if message.role != "system"
        ],
    }
    if own_host:
        body["service_tier"] = "standard_only"
    if system:
        body["system"] = system
    if thinking:
        body["thinking"] = thinking
    if sampling.temperature is not None and traits.takes_temperature and not _is_on(thinking):
        body["temperature"] = sampling.temperature
    if output := _output(call):
        body["output_config"] = output
    return body


def _thinking(model: str, sampling: Sampling) -> dict[str, object] | None:
    """How to think: a number is a budget of tokens (models before 4.7), ``none`` is not at all, other words are an
    effort, for which models that think only when told must be told."""
    effort = sampling.reasoning_effort
    if effort is None:
        return None
    if effort.isdecimal():
        return {"type": "enabled", "budget_tokens": int(effort)}
    if effort == "none":
        return {"type": "between_tools" if _KEEPS_BETWEEN_TOOLS.match(model) else "disabled"}
    return {"type": "adaptive"} if _THINKS_IF_TOLD.match(model) else None


def _is_on(thinking: dict[str, object] | None) -> bool:
    return thinking is not None and thinking["type"] in {"enabled", "adaptive"}


def _output(call: Call) -> dict[str, object]:
    effort = call.sampling.reasoning_effort
    output: dict[str, object] = {}
    if effort is not None and effort != "none" and not effort.isdecimal():
        output["effort"] = effort
    if call.form == "order":
        output["format"] = {"type": "json_schema", "schema": order_schema(call.passages, counted=False)}
    return output


class _OutputDetails(Body):
    thinking_tokens: OptionalTokens = None


class _Counted(Body):
    input_tokens: Tokens


class _Usage(Body):
    input_tokens: Tokens
    output_tokens: Tokens
    cache_read_input_tokens: OptionalTokens = None
    cache_creation_input_tokens: OptionalTokens = None
    output_tokens_details: _OutputDetails | None = None

    def usage(self) -> Usage:
        """With the cached tokens inside ``input_tokens``, where Anthropic leaves them out."""
        cached, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        made = self.output_tokens_details or _OutputDetails()
        total = self.input_tokens + cached + written
        return Usage(total, cached, written, self.output_tokens, made.thinking_tokens or 0)


class _Block(Body):
    type: str
    text: str = ""


class _Answer(Body):
    model: str | None = None
    content: list[_Block]
    stop_reason: str | None = None
    usage: Believable[_Usage] = None


_FINISHES: dict[str | None, Literal["stop", "length", "refusal"]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


def read(content: bytes, call: Call, failures: Failures) -> Completion:
    """The answer in the body of a response; thinking is left out of the text.

    Raises:
        ServerError: it is no message; billable.
    """
    answer = read_body(_Answer, content, failures)
    identity = failures.identity
    text = "".join(block.text for block in answer.content if block.type == "text")
    return Completion(
        text=text,
        usage=believed(answer.usage.usage() if answer.usage else None, call, identity.name, text),
        served_by=answer.model or identity.model,
        finish=_FINISHES.get(answer.stop_reason, "other"),
    )
