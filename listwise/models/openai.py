"""OpenAI's models, and every server that speaks OpenAI's interfaces.

Requests go through the SDK's own client (its connections, keys, headers and errors), as plain bodies: its parameter
and answer classes cost 0.5 ms a call, and would let a malformed answer through. Answers are checked here instead.
"""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any, ClassVar, Literal

import httpx2
import openai

from listwise.calls import Call, Completion, Identity, ServiceTier
from listwise.errors import CallError
from listwise.models import openai_chat, openai_responses
from listwise.models.answers import Body, Tokens, read_body
from listwise.models.connections import client
from listwise.models.failures import Failures
from listwise.models.families import UNKNOWN_CONTEXT_TOKENS, Traits
from listwise.models.http import CONNECT_TIMEOUT_S, Address, with_pace
from listwise.spend.tokens import Rung

Api = Literal["chat", "responses"]

OWN_HOST = "api.openai.com"
BASE_URL = f"https://{OWN_HOST}/v1"
COUNT_PATH = "/responses/input_tokens"
COUNTED_FIELDS = frozenset({"model", "input", "reasoning", "text"})
"""What of a request the endpoint that counts takes."""


class _Counted(Body):
    input_tokens: Tokens


class OpenAIModel:
    """One model behind Chat Completions or Responses."""

    provider: ClassVar[str] = "openai"
    counted: ClassVar[Rung] = "provider"

    def __init__(
        self,
        model: str,
        *,
        api_key: str,
        traits: Traits,
        address: Address | None = None,
        api: Api = "chat",
        service_tier: ServiceTier = "default",
    ) -> None:
        address = address or Address.parse(BASE_URL)
        self.identity = Identity(self.provider, model, address.shown, "" if api == "chat" else api)
        self.context_tokens = traits.context_tokens or UNKNOWN_CONTEXT_TOKENS
        self.reasons = traits.reasons
        self.gives_logprobs = traits.gives_logprobs and (api == "chat" or address.host == OWN_HOST)
        self._traits = traits
        self._own_host = address.host == OWN_HOST
        self._service_tier = service_tier
        self._interface: ModuleType = openai_responses if api == "responses" else openai_chat
        self._failures = Failures(self.identity, (api_key, *address.secrets))
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=address.url,
            default_query=dict(address.query),
            max_retries=0,
            http_client=client(),
        )

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        """See `Model.complete`."""
        response = await self._post(self._interface.PATH, self._request(call), timeout_s)
        completion: Completion = self._interface.read(response.content, call, self._failures)
        return with_pace(completion, response.headers)

    async def count_tokens(self, call: Call, *, timeout_s: float) -> int:
        """See `CountingModel.count_tokens`. OpenAI counts a call of either interface as one of Responses.

        Raises:
            CallError: the server cannot be asked, or does not count.
        """
        asked = openai_responses.request(self.identity.model, call, self._traits, own_host=self._own_host)
        body = {name: value for name, value in asked.items() if name in COUNTED_FIELDS}
        response = await self._post(COUNT_PATH, body, timeout_s)
        return read_body(_Counted, response.content, self._failures).input_tokens

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.close()

    def _request(self, call: Call) -> dict[str, Any]:
        body: dict[str, Any] = self._interface.request(
            self.identity.model, call, self._traits, own_host=self._own_host, service_tier=self._service_tier
        )
        return body

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
        except openai.OpenAIError as error:
            raise translated(error, self._failures) from self._failures.cleansed(error)
        except TimeoutError as error:
            raise self._failures.of_silence(timeout_s) from error
        except UnicodeEncodeError as error:
            raise self._failures.of_text() from error


def translated(error: openai.OpenAIError, failures: Failures) -> CallError:
    """The SDK's errors as ours."""
    if isinstance(error, openai.APIStatusError):
        return failures.of_status(error.status_code, error.body, error.response.headers)
    if isinstance(error, openai.APIConnectionError):
        return failures.of_connection(error.__cause__)
    return failures.of_answer(f"the SDK cannot use it ({type(error).__name__})")
