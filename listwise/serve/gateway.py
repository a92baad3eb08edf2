"""What stands between the socket and the endpoints: a request's name, its key, its body's bounds, log and metrics.

Plain ASGI, so that endpoints still hear when a client goes away.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listwise.log import get_logger
from listwise.serve.keys import Key, KeyRing
from listwise.serve.metrics import Metrics
from listwise.serve.quotas import Quotas
from listwise.serve.refusals import Refusal
from listwise.serve.service import Service, stopping
from listwise.serve.settings import Limits

_log = get_logger(__name__)

OPEN = {"/health/live", "/health/ready", "/openapi.json"}
"""Paths that need no key."""
CLIENT_GONE = 499
"""As nginx has it: nobody is there to be answered."""
OUTCOMES = {404: "unknown", 405: "unknown", CLIENT_GONE: "gone"}


class Gone(Exception):
    """The client left before its answer."""


@dataclass(slots=True)
class Visit:
    """One request, as the log and the metrics will have it."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    key: Key | None = None
    status: int = 0
    outcome: str | None = None
    noted: dict[str, Any] = field(default_factory=dict)
    """What the endpoint adds to the log."""

    @property
    def result(self) -> str:
        """One word for what came of it."""
        if self.outcome is not None:
            return self.outcome
        named = OUTCOMES.get(self.status)
        return named or ("ok" if self.status < 400 else "invalid" if self.status < 500 else "failed")


class Gateway:
    """Wraps the endpoints; ``scope["state"]["visit"]`` is the request's `Visit`."""

    def __init__(
        self, app: ASGIApp, service: Service, metrics: Metrics, log: Any, ring: KeyRing | None, routes: set[str]
    ) -> None:
        """``routes``: the paths that metrics may name."""
        self._app, self._service, self._metrics, self._log, self._ring = app, service, metrics, log, ring
        self._routes = routes
        self._quotas = Quotas(service.settings.workers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit, began = Visit(), time.monotonic()
        scope.setdefault("state", {})["visit"] = visit

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                last = ((b"connection", b"close"),) if self._service.draining else ()
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", visit.id.encode()), *last]
            await send(message)

        try:
            with self._admitted(scope, visit):
                body = await _read(scope, receive, self._service.settings.limits)
                await self._app(scope, _replayed(body, receive), named)
        except Refusal as refusal:
            visit.outcome = refusal.outcome
            await _answer(refusal, named)
        except Gone:
            visit.status = CLIENT_GONE
        except Exception:  # noqa: BLE001 - one request that fails must not take the service with it, nor go unsaid
            visit.status, visit.outcome = visit.status or 500, "failed"
            _log.exception("a request failed", request_id=visit.id)
            await _answer(Refusal(500, "failed", f"internal error; the log has it under {visit.id}"), named)
        finally:
            self._note(scope, visit, time.monotonic() - began)

    @contextmanager
    def _admitted(self, scope: Scope, visit: Visit) -> Iterator[None]:
        """Whether the client may ask at all."""
        if scope["path"] in OPEN:
            yield
            return
        if self._service.draining:
            raise stopping()
        if self._ring is None:
            yield
            return
        visit.key = self._ring.opened_by(_bearer(scope))
        if visit.key is None:
            raise Refusal(
                401, "unauthorized", "a key is needed: Authorization: Bearer KEY", {"www-authenticate": "Bearer"}
            )
        with self._quotas.used_by(visit.key):
            yield

    def _note(self, scope: Scope, visit: Visit, seconds: float) -> None:
        path = scope["path"] if scope["path"] in self._routes else "other"
        self._metrics.answered(path, visit.result, seconds)
        if scope["path"] in OPEN and visit.status < 500:  # who probes, probes often
            return
        self._log.info(
            "request",
            request_id=visit.id,
            method=scope["method"],
            path=scope["path"],
            status=visit.status,
            outcome=visit.result,
            seconds=round(seconds, 4),
            **({"account": visit.key.name} if visit.key else {}),
            **visit.noted,
        )


def _bearer(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, text = value.decode("latin-1").partition(" ")
            return text.strip() if kind.lower() == "bearer" else ""
    return ""


async def _read(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """The whole body.

    Raises:
        Refusal: it is too long, or comes too slowly, or in another form than as it is.
        Gone: the client left meanwhile.
    """
    too_long = Refusal(
        413, "invalid", f"the body is longer than {limits.body_bytes} bytes", {"connection": "close"}
    )
    headers = dict(scope["headers"])
    _check_framing(headers)
    stated = headers.get(b"content-length", b"")
    if stated.isdigit() and int(stated[:20]) > limits.body_bytes:
        raise too_long
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.body_s):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limits.body_bytes:
                    raise too_long
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        slow = f"the body did not come within {limits.body_s:g} seconds"
        raise Refusal(408, "invalid", slow, {"connection": "close"}) from None


def _check_framing(headers: Mapping[bytes, bytes]) -> None:
    """Whether a body can only be read in one way.

    Raises:
        Refusal: it is compressed, or has two lengths: a proxy may have believed the other (RFC 9112, section 6.3).
    """
    if b"transfer-encoding" in headers and b"content-length" in headers:
        raise Refusal(
            400, "invalid", "both Transfer-Encoding and Content-Length are given", {"connection": "close"}
        )
    coding = headers.get(b"content-encoding", b"identity").lower()
    if coding != b"identity":
        raise Refusal(415, "invalid", "compressed bodies are not taken: send it without Content-Encoding")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, and after it what else the client does."""
    first: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


async def _answer(refusal: Refusal, send: Send) -> None:
    body = json.dumps(refusal.body).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **refusal.headers}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
