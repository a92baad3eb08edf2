"""Sends spans to a collector by OTLP, where OpenTelemetry's own environment variables ask for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from listwise import __version__
from listwise.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
SERVICE = "listwise"
"""The name of the service, if no variable says another."""
FLUSH_S = 3.0
"""How long what is not sent yet may take at the end; a collector that hangs must not keep a worker."""


def is_asked_for(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether spans are to be sent.

    Raises:
        ConfigError: in a way that is not offered, or that cannot work.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter not in ("", "otlp", "none"):
        raise ConfigError(f"OTEL_TRACES_EXPORTER={exporter}: spans are sent by otlp, or not at all (none)")
    endpoint = next((name for name in ENDPOINTS if environment.get(name, "").strip()), None)
    if exporter == "none" or (endpoint is None and not exporter):
        return False
    if endpoint is not None and not _is_address(environment[endpoint]):
        raise ConfigError(f"{endpoint} is no address of a collector: it is like http://127.0.0.1:4318")
    chosen = next((name for name in PROTOCOLS if environment.get(name, "").strip()), None)
    if chosen is not None and environment[chosen].strip() != PROTOCOL:
        raise ConfigError(
            f"{chosen}={environment[chosen]}: spans are sent by {PROTOCOL}; set that, or leave it out"
        )
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError as error:
        raise MissingExtra(f"to send spans, as {endpoint or 'OTEL_TRACES_EXPORTER'} asks for,", "otel") from error
    return True


def start_exporting() -> TracerProvider | None:
    """Send spans from now on, if that is asked for, and no tracer provider is set up already.

    Raises:
        ConfigError: see `is_asked_for`.
    """
    if not is_asked_for():
        return None
    from opentelemetry import propagate, trace  # noqa: F401 - propagators are loaded here, not with the first request
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    resource = Resource.create({"service.version": __version__})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": SERVICE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def sent_at_the_end(provider: TracerProvider | None) -> Iterator[None]:
    """After this block nothing is traced any more, and what is not sent yet is, within `FLUSH_S`."""
    try:
        yield
    finally:
        if provider is not None:
            last = threading.Thread(target=provider.shutdown, name="listwise-spans", daemon=True)
            last.start()
            last.join(FLUSH_S)


def _is_address(text: str) -> bool:
    address = urlsplit(text.strip())
    return address.scheme in ("http", "https") and bool(address.netloc)
