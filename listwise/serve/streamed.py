"""A ranking that is told as it is made: a JSON object a line, one for each step, each window and the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from listwise.serve.answers import extra
from listwise.serve.refusals import Refusal
from listwise.serve.service import Ranked
from listwise.serve.words import words
from listwise.types import StepTrace, Watcher, WindowTrace

MEDIA_TYPE = "application/x-ndjson"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""A proxy must not wait for the end."""


class Streamed(Response):
    """Does the work, and sends what its watcher is told. What is refused before anything was told has a status of
    its own, as at any endpoint; after that, a refusal is the last line."""

    media_type = MEDIA_TYPE

    def __init__(self, rank: Callable[[Watcher], Awaitable[Ranked]], refused: Callable[[Refusal], None]) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._rank, self._refused = rank, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request.

        Raises:
            Refusal: before anything was sent.
        """
        seen: asyncio.Queue[StepTrace | WindowTrace | None] = asyncio.Queue()
        work = asyncio.ensure_future(self._rank(seen.put_nowait))
        work.add_done_callback(lambda _: seen.put_nowait(None))
        begun = False

        async def told(event: dict[str, Any], *, more: bool = True) -> None:
            nonlocal begun
            if not begun:
                begun = True
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": line_of(event), "more_body": more})

        try:
            while (each := await seen.get()) is not None:
                await told(event_of(each))
            await told(ranked_event(await work), more=False)
        except Refusal as refusal:
            if not begun:
                raise
            self._refused(refusal)
            await told({"event": "refused", "status": refusal.status, **refusal.body}, more=False)
        finally:
            work.cancel()
            await asyncio.wait({work})


def line_of(event: dict[str, Any]) -> bytes:
    """An event as it is sent."""
    return json.dumps(event, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def event_of(seen: StepTrace | WindowTrace) -> dict[str, Any]:
    """A step or a window; passages are named by their places in the request, from 0."""
    if isinstance(seen, StepTrace):
        return {
            "event": "step",
            "step": seen.step,
            "order": _places(seen.docids),
            "windows": [_places(window) for window in seen.windows],
        }
    shown = _places(seen.docids)
    return {
        "event": "window",
        "step": seen.step,
        "sample": seen.sample,
        "model": seen.model,
        "served_by": seen.served_by,
        "shown": shown,
        "answered": None if seen.permutation is None else [shown[at] for at in seen.permutation],
        "answer": seen.answer,
        "repairs": dict(seen.repairs),
        "input_tokens": seen.usage.input_tokens,
        "output_tokens": seen.usage.output_tokens,
        "usd": float(seen.usd),
        "cached": seen.cached,
        "error": seen.error,
    }


def ranked_event(ranked: Ranked) -> dict[str, Any]:
    """The end: all documents, best first, as Cohere's shape has them, and the receipt."""
    return {
        "event": "ranked",
        "id": ranked.request_id,
        "results": [
            {"index": at, "relevance_score": score} for at, score in zip(ranked.places, ranked.scores, strict=False)
        ],
        "listwise": extra(ranked),
        "words": [sentence._asdict() for sentence in words(ranked.ranking.receipt)],
    }


def _places(docids: tuple[str, ...]) -> list[int]:
    return [int(docid) for docid in docids]
