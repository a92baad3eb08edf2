"""Addresses of servers, and what their headers say about waiting."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from listwise.errors import ConfigError

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs whole URLs, which can hold a key

CONNECT_TIMEOUT_S = 10.0
"""A server that does not take a connection in this time is not there; nothing was sent, so nothing is owed."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is. Credentials in it reach the server, and nobody else."""

    url: str = field(repr=False)
    """For requests: with ``user:password@`` if the user gave one, without a query."""
    query: Mapping[str, str] = field(repr=False)
    """Parameters for every request."""
    shown: str
    """For people, errors and cache keys: without credentials and query."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be repeated in any message."""
        parts = urlsplit(self.url)
        named = (parts.password, unquote(parts.password or ""), *self.query.values())
        return tuple(secret for secret in named if secret)

    @property
    def host(self) -> str:
        """The host's name in lower case."""
        return urlsplit(self.url).hostname or ""

    @classmethod
    def parse(cls, text: str, *, default_path: str = "") -> Address:
        """Read a base URL; ``default_path`` is added to one that has no path.

        Raises:
            ConfigError: it is not an http or https URL with a host.
        """
        text = text.strip()
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ConfigError("the base URL cannot be read; give one such as http://127.0.0.1:8000/v1") from error
        if parts.scheme not in {"http", "https"} or not host or not text.isprintable() or " " in text:
            raise ConfigError(
                "a base URL begins with http:// or https:// and names a host; "
                "give one such as http://127.0.0.1:8000/v1"
            )
        place = f"[{host}]" if ":" in host else host
        place += "" if port is None else f":{port}"
        path = parts.path.rstrip("/") or default_path
        credentials = parts.netloc.rpartition("@")[0]
        return cls(
            url=urlunsplit((parts.scheme, f"{credentials}@{place}" if credentials else place, path, "", "")),
            query=dict(parse_qsl(parts.query)),
            shown=urlunsplit((parts.scheme, place, path, "", "")),
        )


def retry_after_s(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """How long the server asks to be left alone, in seconds; None where it does not say, or says nonsense.

    Reads ``retry-after-ms``, then ``retry-after`` as seconds or as an HTTP date. ``now`` is Unix time, for tests.
    """
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        if (wish := _number(headers.get(name))) is not None:
            return wish * unit
    try:
        then = parsedate_to_datetime(headers.get("retry-after", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, then - (time.time() if now is None else now))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
