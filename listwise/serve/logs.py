"""What the service writes on standard error: JSON, an object a line.

A line that is written during a request bears its id, and those of the current span where there is one. Of
exceptions it has types and places, never what they say: that may quote what was sent.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from traceback import walk_tb
from typing import Any, TextIO

import structlog
from structlog.contextvars import merge_contextvars
from structlog.typing import EventDict

from listwise.log import get_logger
from listwise.telemetry.spans import current_ids

_log = get_logger(__name__)


def access_log(to: TextIO | None = None) -> Any:
    """A logger for requests; each line has its time in UTC."""
    return structlog.wrap_logger(
        structlog.WriteLogger(to or sys.stderr),
        wrapper_class=structlog.BoundLogger,
        processors=[_with_span, _STAMPED, _RENDERED],
    )


def log_as_json(level: int, to: TextIO | None = None) -> None:
    """Have all that goes through ``logging`` written so: the engine's lines, the web server's, and warnings."""
    handler = logging.StreamHandler(to)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                _of_record,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                merge_contextvars,
                _with_span,
                _STAMPED,
                _RENDERED,
            ]
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


@contextmanager
def failures_logged() -> Iterator[None]:
    """What fails in the running event loop where nobody waits for it is logged as anything else is."""
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(_failed)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


def _failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _log.error("failed in the event loop", what=context.get("message"), exc_info=context.get("exception"))


def _of_record(_: Any, __: str, event: EventDict) -> EventDict:
    """What a record of ``logging`` says, in parts where it is one of ours."""
    record: logging.LogRecord = event["_record"]
    if (said := getattr(record, "said", None)) is not None:
        event["event"], fields = said
        event.update(fields)
    event.update(level=record.levelname.lower(), logger=record.name)
    if (exc_info := event.pop("exc_info", None)) is not None:
        event["exception"] = list(_chain(exc_info[1]))
    event.pop("stack_info", None)
    return event


def _chain(error: BaseException | None) -> Iterator[dict[str, Any]]:
    """An exception and those behind it, latest first."""
    while error is not None:
        frames = [
            f"{PurePath(frame.f_code.co_filename).name}:{line} {frame.f_code.co_name}"
            for frame, line in walk_tb(error.__traceback__)
        ]
        yield {"type": type(error).__name__, "frames": frames}
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _with_span(_: Any, __: str, event: EventDict) -> EventDict:
    return {**event, **current_ids()}


_STAMPED = structlog.processors.TimeStamper(fmt="iso", utc=True)
_RENDERED = structlog.processors.JSONRenderer(default=str)
