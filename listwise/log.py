"""Logging: structlog's key-value events, sent through the standard library under the name ``listwise``.

A library must not choose where its lines go: an application configures ``logging`` as it likes, and structlog's own
global configuration is left alone. Queries, passages, answers and keys are never logged.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, cast

import structlog


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for one module of this library."""
    logger = structlog.wrap_logger(
        logging.getLogger(name),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, _as_sentence],
    )
    return cast(structlog.stdlib.BoundLogger, logger)


def _as_sentence(_: Any, __: str, event: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """``what happened (key=value, ...)``, which reads well in any log, as arguments of a logger's method.

    Formatters that want the parts find them in the record's ``said``.
    """
    said, exc_info = str(event.pop("event")), event.pop("exc_info", None)
    details = ", ".join(f"{key}={value}" for key, value in event.items())
    sentence = f"{said} ({details})" if details else said
    return (sentence,), {"exc_info": exc_info, "extra": {"said": (said, dict(event))}}
