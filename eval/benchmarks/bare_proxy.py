"""The least that a Python service over an LLM can be: reads a body, makes one call through the openai SDK, answers.

    python -m eval.benchmarks.bare_proxy LLM_URL

Nothing is ranked, counted, checked, booked or logged. It runs on uvicorn with what `listwise serve` gives it.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

import httpx2
import openai
import uvicorn

Scope = dict[str, Any]


class Proxy:
    """An ASGI application."""

    def __init__(self, llm: str) -> None:
        limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
        self._llm = openai.AsyncOpenAI(
            api_key="none",
            base_url=llm,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(limits=limits, trust_env=False),
        )

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        parts, more = [], True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = json.loads(b"".join(parts))
        passages = "\n".join(f"[{at}] {text}" for at, text in enumerate(body["documents"], 1))
        answer = await self._llm.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": f"{body['query']}\n{passages}"}]
        )
        said = json.dumps({"answer": answer.choices[0].message.content}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(said)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"serving at http://127.0.0.1:{listening.getsockname()[1]}", file=sys.stderr, flush=True)
    config = uvicorn.Config(Proxy(sys.argv[1]), lifespan="off", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
