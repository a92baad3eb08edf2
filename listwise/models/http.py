"""Addresses of servers, and what their headers say about waiting."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from listwise.calls import Completion
from listwise.errors import ConfigError
from listwise.pace import Pace, Quota

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


_ANTHROPIC = {
    f"anthropic-ratelimit-{kind.replace('_', '-')}-{part}": (kind, part)
    for kind in ("requests", "tokens", "input_tokens", "output_tokens")
    for part in ("limit", "remaining", "reset")
}
_OPENAI = {
    f"x-ratelimit-{part}-{kind}": (kind, part)
    for kind in ("requests", "tokens")
    for part in ("limit", "remaining", "reset")
}
_RATE_LIMITS = {**_ANTHROPIC, **_OPENAI}
"""Headers that state rate limits, with what they speak of: a limit of `Pace`, and a part of its `Quota`."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def pace_of(headers: Mapping[str, str], *, now: float | None = None) -> Pace | None:
    """The rate limits that an answer's headers state, OpenAI's or Anthropic's; None where they state none.

    A limit that is incomplete or makes no sense is left out. Header names are in lower case; ``now`` is Unix time.
    """
    said: dict[str, dict[str, str]] = {}
    for name, text in headers.items():
        if (place := _RATE_LIMITS.get(name)) is not None:
            said.setdefault(place[0], {})[place[1]] = text
    if not said:
        return None
    now = time.time() if now is None else now
    quotas = {kind: quota for kind, parts in said.items() if (quota := _quota(parts, now)) is not None}
    return Pace(**quotas) if quotas else None


def with_pace(completion: Completion, headers: Mapping[str, str]) -> Completion:
    """The completion with the rate limits that came with it."""
    pace = pace_of(headers)
    return completion if pace is None else replace(completion, pace=pace)


def _quota(parts: Mapping[str, str], now: float) -> Quota | None:
    limit, remaining = _number(parts.get("limit")), _number(parts.get("remaining"))
    reset_s = _reset_s(parts.get("reset", ""), now)
    if limit is None or limit < 1 or remaining is None or reset_s is None:
        return None
    return Quota(int(limit), min(int(remaining), int(limit)), reset_s)


def _reset_s(text: str, now: float) -> float | None:
    """Seconds until a limit is whole again: a number of them, a duration such as ``6m0s``, or a date (RFC 3339)."""
    text = text.strip()
    if (seconds := _number(text)) is not None:
        return seconds
    if text and not _DURATION.sub("", text):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
        return seconds if math.isfinite(seconds) else None
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if then.tzinfo is None else max(0.0, then.timestamp() - now)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
