"""What stands between the socket and the endpoints: a request's name, its key, its body's bounds, log and metrics.

Plain ASGI, so that endpoints still hear when a client goes away.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from listwise.log import get_logger
from listwise.serve import page
from listwise.serve.keys import Key, KeyRing
from listwise.serve.metrics import Metrics
from listwise.serve.quotas import Quotas
from listwise.serve.refusals import Refusal
from listwise.serve.service import Service, stopping
from listwise.serve.settings import Limits
from listwise.serve.tally import Tally
from listwise.spend.money import plain
from listwise.telemetry import names
from listwise.telemetry.spans import NOTHING, Span, Value, begin, error_type

_log = get_logger(__name__)

OPEN = {"/health/live", "/health/ready", "/openapi.json", *page.PATHS}
"""Paths that need no key."""
POLLED = {"/status", "/recent"}
"""Paths that the page asks again and again."""
UNTRACED = {*OPEN, *POLLED, "/metrics"}
"""Paths that are asked for every few seconds."""
METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
ELSEWHERE = "other"
"""A path that there is not; what a client wrote there may be anything."""
CLIENT_GONE = 499
"""As nginx has it: nobody is there to be answered."""
OUTCOMES = {404: "unknown", 405: "unknown", CLIENT_GONE: "gone"}


class Gone(Exception):
    """The client left before its answer."""


@dataclass(slots=True)
class Visit:
    """One request, as the log and the metrics will have it."""

    tally: Tally
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    key: Key | None = None
    status: int = 0
    outcome: str | None = None
    error: str | None = None
    """The type of what went wrong, where nobody foresaw it."""
    noted: dict[str, Any] = field(default_factory=dict)
    """What the endpoint adds to the log."""

    @property
    def account(self) -> str | None:
        """Whose money is spent; None where there are no keys."""
        return self.key.name if self.key else None

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
        visit = Visit(Tally(self._metrics))
        scope.setdefault("state", {})["visit"] = visit
        with bound_contextvars(request_id=visit.id), self._span(scope, visit) as span:
            await self._serve(scope, receive, send, visit, span)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, visit: Visit, span: Span) -> None:
        began = time.monotonic()

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
        except Exception as error:  # noqa: BLE001 - one that fails must not take the service with it, nor go unsaid
            begun, visit.outcome, visit.error = visit.status > 0, "failed", error_type(error)
            _log.exception("a request failed")
            if begun:  # nothing more can be said but by closing the connection
                return
            visit.status = 500
            await _answer(Refusal(500, "failed", f"internal error; the log has it under {visit.id}"), named)
        finally:
            self._note(scope, visit, time.monotonic() - began)
            _finish(span, visit)

    @contextmanager
    def _admitted(self, scope: Scope, visit: Visit) -> Iterator[None]:
        """Whether the client may ask at all."""
        if scope["path"] in OPEN:
            yield
            return
        if self._service.draining:
            raise stopping()
        if self._ring is None:
            _check_origin(scope)
            yield
            return
        visit.key = self._ring.opened_by(_bearer(scope))
        if visit.key is None:
            raise Refusal(
                401, "unauthorized", "a key is needed: Authorization: Bearer KEY", {"www-authenticate": "Bearer"}
            )
        if scope["method"] != "POST":  # whoever looks at figures takes nothing from what may be ranked
            yield
            return
        with self._quotas.used_by(visit.key):
            yield

    def _span(self, scope: Scope, visit: Visit) -> AbstractContextManager[Span]:
        """What traces have of a request: nothing that a client could have made up."""
        if scope["path"] in UNTRACED:
            return NOTHING
        method = scope["method"] if scope["method"] in METHODS else names.OTHER_METHOD
        said: dict[str, Value] = {
            names.HTTP_METHOD: method,
            names.URL_SCHEME: scope.get("scheme", "http"),
            names.PROTOCOL_VERSION: scope["http_version"],
            names.REQUEST_ID: visit.id,
        }
        called = method if method != names.OTHER_METHOD else names.OTHER_METHOD_IN_NAME
        if scope["path"] in self._routes:
            called = f"{called} {scope['path']}"
            said |= {names.HTTP_ROUTE: scope["path"], names.URL_PATH: scope["path"]}
        return begin(called, said, kind="SERVER", headers=scope["headers"])

    def _note(self, scope: Scope, visit: Visit, seconds: float) -> None:
        path = scope["path"] if scope["path"] in self._routes else ELSEWHERE
        self._metrics.answered(path, visit.result, seconds)
        if visit.status < (500 if scope["path"] in OPEN else 400 if scope["path"] in POLLED else 0):
            return  # who probes, probes often
        most = visit.tally.most_usd
        spent = {"usd": plain(most)} if most else {}
        self._log.info(
            "request",
            request_id=visit.id,
            method=scope["method"] if scope["method"] in METHODS else names.OTHER_METHOD,
            path=path,
            status=visit.status,
            outcome=visit.result,
            seconds=round(seconds, 4),
            **({"account": visit.key.name} if visit.key else {}),
            **{**spent, **visit.noted},
        )


def _finish(span: Span, visit: Visit) -> None:
    if not span.recording:
        return
    said: dict[str, Value] = {names.OUTCOME: visit.result}
    if visit.status and visit.status != CLIENT_GONE:
        said[names.HTTP_STATUS] = visit.status
    if "policy" in visit.noted:
        said[names.POLICY] = visit.noted["policy"]
    if "query" in visit.noted:
        said[names.QUERY_TEXT] = visit.noted["query"]
    span.note(said)
    if visit.error is not None or visit.status >= 500:
        span.fail(visit.error or str(visit.status))


def _bearer(scope: Scope) -> str:
    kind, _, text = _header(scope, b"authorization").partition(" ")
    return text.strip() if kind.lower() == "bearer" else ""


def _check_origin(scope: Scope) -> None:
    """Whether it is no page of another origin that asks: where no key is needed, any that its user looks at could
    spend. Browsers say who asks, in all requests that such a page can send but plain GETs, whose answers they keep
    from it.

    Raises:
        Refusal: it is.
    """
    origin = _header(scope, b"origin")
    if origin and origin.partition("://")[2] != _header(scope, b"host"):
        raise Refusal(403, "invalid", "pages of other origins may not ask here; with keys they could")


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


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
