"""The endpoints."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from listwise import __version__
from listwise.errors import InputError
from listwise.serve import answers
from listwise.serve.bodies import Ask, CohereV2, RerankV1, Tei, Try, Voyage
from listwise.serve.connections import ENDED
from listwise.serve.draining import drained_by_signals
from listwise.serve.gateway import Gateway, Gone, Visit
from listwise.serve.keys import KeyFile, KeyRing
from listwise.serve.logs import access_log
from listwise.serve.metrics import Metrics
from listwise.serve.page import add_page
from listwise.serve.recents import Recents
from listwise.serve.refusals import Refusal
from listwise.serve.service import Ranked, Service
from listwise.serve.settings import ServeSettings
from listwise.serve.status import status_of
from listwise.serve.streamed import Streamed
from listwise.types import Watcher

if TYPE_CHECKING:  # older versions of FastAPI tell of nothing
    from fastapi.telemetry import TelemetryConfig

LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""How a service without keys may be called: a web page could have its own name resolve to the loopback."""

RANKING = ("/v2/rerank", "/v1/rerank", "/voyage/v1/rerank", "/rerank", "/try")
"""The paths at which there are rankings."""
PRIVATE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


SILENT: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI tells by itself of paths, query strings and what exceptions say; the gateway tells of none of these."""
NO_OBJECT = "it is no JSON object sent with Content-Type: application/json"


class Json(Response):
    """ASCII only: what a client calls its fields, and is told about, may hold what no encoding has."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """See `Response.render`."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def create_app(
    settings: ServeSettings,
    *,
    log: Any = None,
    around: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> FastAPI:
    """The service as an ASGI application. Models are loaded here; the lifespan lets go of everything.

    Args:
        settings: what the operator decides.
        log: gets a line for each request, instead of the access log on standard error.
        around: entered, in the event loop, around all that the service does.

    Raises:
        ConfigError: a policy cannot work here.
    """
    service, metrics, recents = Service(settings), Metrics(), Recents(log_queries=settings.log_queries)
    metrics.watch(service.gate)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        with around(), drained_by_signals(service):
            try:
                yield {ENDED: metrics.connection_ended}
            finally:
                service.draining = True
                await service.aclose()

    app = FastAPI(
        title="listwise", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, telemetry=SILENT
    )
    app.state.service = service
    _add_endpoints(app, service, metrics, recents)
    _add_health(app, service, metrics)
    _add_figures(app, service, metrics, recents)
    add_page(app, keys=settings.keys is not None)
    app.exception_handler(RequestValidationError)(_malformed)
    app.exception_handler(Refusal)(_refused)
    app.exception_handler(HTTPException)(_refused_by_framework)
    app.openapi = partial(_openapi, app, settings)  # type: ignore[method-assign]
    paths = {route.path for route in app.routes if isinstance(route, APIRoute)}
    ring = KeyRing(KeyFile(settings.keys)) if settings.keys is not None else None
    app.add_middleware(Gateway, service=service, metrics=metrics, log=log or access_log(), ring=ring, routes=paths)
    if ring is None:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL_HOSTS))
    return app


def _openapi(app: FastAPI, settings: ServeSettings) -> dict[str, Any]:
    """The description of the API, made when it is first asked for."""
    if app.openapi_schema is None:
        from listwise.serve.described import described

        app.openapi_schema = described(app, settings)
    return app.openapi_schema


def _add_endpoints(app: FastAPI, service: Service, metrics: Metrics, recents: Recents) -> None:
    async def ranked(
        request: Request, body: CohereV2 | RerankV1 | Voyage | Tei | Try, watch: Watcher | None = None
    ) -> Ranked:
        visit: Visit = request.state.visit
        try:
            ask = body.ask()
        except InputError as error:
            raise Refusal(422, "invalid", str(error)) from error
        visit.noted["documents"] = len(ask.texts)
        if service.settings.log_queries:
            visit.noted["query"] = ask.query
        found = await _unless_gone(service, request, ask, visit, watch)
        receipt = found.ranking.receipt
        metrics.ranked(receipt)
        recents.note(found, ask, visit.account)
        visit.noted |= {"policy": found.policy, "route": receipt.route, "usd": str(receipt.usd)}
        visit.outcome = "degraded" if receipt.degraded else "ok"
        return found

    @app.post("/v2/rerank")
    async def cohere_v2(request: Request, body: CohereV2) -> Response:
        """Cohere's Rerank API, version 2."""
        found = await ranked(request, body)
        return Json(answers.cohere_v2(found, body), headers=answers.headers(found))

    @app.post("/v1/rerank")
    async def rerank_v1(request: Request, body: RerankV1) -> Response:
        """Cohere's version 1, Jina's and vLLM's rerank APIs."""
        found = await ranked(request, body)
        return Json(answers.rerank_v1(found, body), headers=answers.headers(found))

    @app.post("/voyage/v1/rerank")
    async def voyage(request: Request, body: Voyage) -> Response:
        """Voyage's rerank API."""
        found = await ranked(request, body)
        return Json(answers.voyage(found, body), headers=answers.headers(found))

    @app.post("/rerank")
    async def tei(request: Request, body: Tei) -> Response:
        """The rerank API of Text Embeddings Inference."""
        found = await ranked(request, body)
        return Json(answers.tei(found, body), headers=answers.headers(found))

    @app.post("/try", status_code=200, response_class=Streamed)
    async def tried(request: Request, body: Try) -> Response:
        """Rank, and tell each window as it is read: a JSON object a line (docs/serve.md, "The page")."""

        def refused(refusal: Refusal) -> None:
            request.state.visit.outcome = refusal.outcome

        return Streamed(lambda watch: ranked(request, body, watch), refused)


def _add_figures(app: FastAPI, service: Service, metrics: Metrics, recents: Recents) -> None:
    @app.get("/status")
    async def status(request: Request) -> Response:
        """What is offered, was done by all workers, and was spent: by the key's account, or without keys by all."""
        account = request.state.visit.account
        return Json(await asyncio.to_thread(status_of, service, metrics, RANKING, account), headers=PRIVATE)

    @app.get("/recent")
    async def recent(request: Request) -> Response:
        """The latest rankings of the worker that answers, with their receipts; those of the key's account."""
        found = [each.as_record() for each in recents.of(request.state.visit.account)]
        return Json({"worker": os.getpid(), "rankings": found}, headers=PRIVATE)


def _add_health(app: FastAPI, service: Service, metrics: Metrics) -> None:
    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """Whether the process answers at all."""
        return {"status": "live"}

    @app.get("/health/ready")
    async def ready() -> Response:
        """Whether requests should be sent here; not while the service stops."""
        if service.draining:
            return Json({"status": "stopping"}, status_code=503)
        return Json({"status": "ready", "policies": list(service.settings.policies)})

    @app.get("/metrics")
    async def figures(request: Request) -> Response:
        """What was done and spent, as Prometheus reads it."""
        page, content_type = metrics.page(request.headers.get("accept", ""))
        return Response(page, headers={"content-type": content_type})


async def _unless_gone(service: Service, request: Request, ask: Ask, visit: Visit, watch: Watcher | None) -> Ranked:
    """Rank, unless the client goes away meanwhile: then the work is cancelled, and what it spent is settled.

    Raises:
        Gone: it went.
    """
    work = asyncio.create_task(
        service.rank(
            ask,
            request_id=visit.id,
            headers=dict(request.headers),
            account=visit.account,
            watch=watch,
            tally=visit.tally,
        )
    )
    leaving: asyncio.Task[None] = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise Gone
    finally:
        for task in (work, leaving):
            task.cancel()
        await asyncio.wait({work, leaving})


async def _gone(request: Request) -> None:
    """Returns when the client goes away; its body was read already."""
    await request.receive()


async def _malformed(_: Request, error: Exception) -> Response:
    """Says where a body is wrong, and never what stood there."""
    assert isinstance(error, RequestValidationError)
    said = []
    for problem in error.errors()[:5]:
        place = ".".join(str(part) for part in problem["loc"] if part != "body")
        whole = not place and problem["type"] == "model_attributes_type"
        said.append(f"{place or 'body'}: {NO_OBJECT if whole else problem['msg']}")
    return _of(Refusal(422, "invalid", "; ".join(said)))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    request.state.visit.outcome = error.outcome
    return _of(error)


async def _refused_by_framework(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _of(Refusal(error.status_code, "invalid", str(error.detail), dict(error.headers or {})))


def _of(refusal: Refusal) -> Response:
    return Json(refusal.body, status_code=refusal.status, headers=refusal.headers)
