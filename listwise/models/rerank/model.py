"""One rerank API at one address, as a model. Plain HTTP: the vendors' SDKs add nothing to one request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from math import ceil

import httpx2

from listwise.calls import Call, Completion, Identity
from listwise.models.answers import MOST_STRETCH, UNSEEN_PROMPT
from listwise.models.connections import client
from listwise.models.failures import Failures
from listwise.models.http import CONNECT_TIMEOUT_S, Address, with_pace
from listwise.models.rerank.scores import in_order, written
from listwise.models.rerank.vendor import Limits, Ranked, Vendor
from listwise.spend.search_units import DOCUMENTS_A_UNIT
from listwise.spend.tokens import counter_for
from listwise.types import Usage

PATH = "/rerank"
INTERFACE = "rerank"
"""Tells what a server says as a reranker from what the same model says as an LLM."""
UNKNOWN_TOKENS = 32_768
"""A context that is not stated; requests are not fitted to it, the servers cut by themselves."""


class RerankModel:
    """A model that scores passages. See `listwise.models.base.Model`."""

    reasons = False

    def __init__(
        self, provider: str, model: str, vendor: Vendor, *, address: Address, api_key: str | None = None
    ) -> None:
        self.identity = Identity(provider, model, address.shown, INTERFACE)
        self.limits: Limits = vendor.limits(model)
        self.context_tokens = self.limits.document_tokens or UNKNOWN_TOKENS
        self._vendor = vendor
        self._url = f"{address.url}{PATH}"
        self._failures = Failures(self.identity, (*([api_key] if api_key else []), *address.secrets))
        headers = {"content-type": "application/json", "accept": "application/json"}
        if api_key:
            headers["authorization"] = f"Bearer {api_key}"
        self._client = client(headers=headers, params=dict(address.query), follow_redirects=False)

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        """See `Model.complete`. The first message is the query, each one after it a passage."""
        query, *documents = (message.content for message in call.messages)
        response = await self._post(query, documents, timeout_s)
        ranked = self._vendor.read(response.content, response.headers, self._failures)
        try:
            scores = in_order(ranked.pairs, len(documents))
        except ValueError as error:
            raise self._failures.of_answer(str(error)) from error
        served_by = ranked.served_by or self.identity.model
        return with_pace(
            Completion(written(scores), believed(ranked, call, self.identity.name), served_by), response.headers
        )

    async def aclose(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def _post(self, query: str, documents: Sequence[str], timeout_s: float) -> httpx2.Response:
        """Send one request and read the whole answer, once, within ``timeout_s``.

        Raises:
            CallError: whatever goes wrong.
        """
        body = self._vendor.request(self.identity.model, query, documents)
        timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
        failures = self._failures
        try:
            content = json.dumps(body, ensure_ascii=False).encode()
            async with asyncio.timeout(timeout_s):
                response = await self._client.post(self._url, content=content, timeout=timeout)
        except (TimeoutError, httpx2.ReadTimeout) as error:
            raise failures.of_silence(timeout_s) from error
        except UnicodeEncodeError as error:
            raise failures.of_text() from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise failures.of_connection(error) from failures.cleansed(error)
        if response.status_code != 200:
            raise failures.of_status(response.status_code, _body(response), response.headers)
        return response


def believed(ranked: Ranked, call: Call, model: str) -> Usage:
    """The usage that an answer is settled with: as stated, or the worst case where that cannot be right.

    Fewer tokens than documents cannot be, nor fewer units than hundreds of documents. Texts may be cut at the
    server, so their length says nothing of the least.
    """
    count = counter_for(model).count(call)
    tokens, units = ranked.tokens, ranked.search_units
    least_units = ceil(call.passages / DOCUMENTS_A_UNIT)
    if (
        (tokens is not None or units is not None)
        and (tokens is None or call.passages <= tokens <= MOST_STRETCH * count.bound + UNSEEN_PROMPT)
        and (units is None or least_units <= units <= MOST_STRETCH * count.search_units)
    ):
        return Usage(tokens or 0, search_units=units or 0)
    return Usage(count.bound, search_units=count.search_units, assumed=True)


def _body(response: httpx2.Response) -> object:
    """The body of an error: JSON if it is, else its text, else nothing."""
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return response.text or None
