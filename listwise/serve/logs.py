"""The access log: one JSON object a request, on standard error."""

from __future__ import annotations

import sys
from typing import Any, TextIO

import structlog


def access_log(to: TextIO | None = None) -> Any:
    """A logger that writes JSON lines, each with its time in UTC."""
    return structlog.wrap_logger(
        structlog.WriteLogger(to or sys.stderr),
        wrapper_class=structlog.BoundLogger,
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
    )
