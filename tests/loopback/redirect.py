"""Requests to providers lead to a server on the loopback: SDKs, addresses and so prices are the real ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

OWN_SERVERS = {8000, 8080, 11434}
"""Ports of this machine at which pages say that a server of the reader's own is."""
_PREFIX = re.compile(r"^/(v1beta/openai|api/v1)(?=/)")
"""How vendors begin paths that end as OpenAI's."""


@contextmanager
def leading_to(root: str) -> Iterator[None]:
    """Meanwhile requests of this process that would leave the machine, or go to `OWN_SERVERS`, go to ``root``."""
    there = httpx2.URL(root)
    kept = httpx2.AsyncHTTPTransport.handle_async_request, httpx2.HTTPTransport.handle_request

    def lead(request: httpx2.Request) -> httpx2.Request:
        url = request.url
        if url.host not in {"127.0.0.1", "localhost"} or url.port in OWN_SERVERS:
            path = _PREFIX.sub("/v1", url.path)
            request.url = url.copy_with(scheme=there.scheme, host=there.host, port=there.port, path=path)
        return request

    async def handle_async(transport: Any, request: httpx2.Request) -> httpx2.Response:
        return await kept[0](transport, lead(request))

    def handle(transport: Any, request: httpx2.Request) -> httpx2.Response:
        return kept[1](transport, lead(request))

    httpx2.AsyncHTTPTransport.handle_async_request = handle_async  # type: ignore[method-assign,assignment]
    httpx2.HTTPTransport.handle_request = handle  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        httpx2.AsyncHTTPTransport.handle_async_request, httpx2.HTTPTransport.handle_request = kept  # type: ignore[method-assign]
