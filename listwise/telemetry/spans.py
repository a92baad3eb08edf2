"""Spans, for applications that trace with OpenTelemetry; where none does, a span that is nothing.

OpenTelemetry is never imported here. An application that traces has imported it, and set a tracer provider; it is
found among the modules that are loaded. Exceptions are told by their type alone: what they say may quote a prompt.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from listwise.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

Value = str | bool | int | float | list[str]
Attributes = Mapping[str, Value]
Kind = Literal["INTERNAL", "SERVER", "CLIENT"]
Headers = Iterable[tuple[bytes, bytes]]

SCOPE = "listwise"
"""The name of the instrumentation, and of this package."""
_API = "opentelemetry.trace"


class Span:
    """One piece of work, as it is told.

    Attributes:
        recording: whether it is told at all; what is costly to say need not be made up otherwise.
    """

    __slots__ = ("_span", "recording")

    def __init__(self, span: OtelSpan | None = None) -> None:
        self._span = span
        self.recording = span is not None and span.is_recording()

    def note(self, attributes: Attributes) -> None:
        """Say something about it."""
        if self._span is not None:
            self._span.set_attributes(attributes)

    def name(self, name: str) -> None:
        """Call it otherwise."""
        if self._span is not None:
            self._span.update_name(name)

    def fail(self, kind: str) -> None:
        """It failed, in a way that goes by this name."""
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_attribute(names.ERROR_TYPE, kind)
            self._span.set_status(StatusCode.ERROR)


class _Nothing(Span):
    """A span that nobody hears of. There is one for all."""

    __slots__ = ()

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None:
        return None


NOTHING = _Nothing()


def begin(
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: Kind = "INTERNAL",
    headers: Headers | None = None,
) -> AbstractContextManager[Span]:
    """A span until the end of the block, within the one that is current; what escapes the block is its failure.

    Args:
        name: what is done, of few different kinds.
        attributes: what is known from the start, and what samplers may go by.
        kind: on which side of a request it is.
        headers: a client's, which may name the span of its own that this belongs to.
    """
    tracer = _tracer()
    return NOTHING if tracer is None else _told(tracer, name, attributes, kind, headers)


def current_ids() -> dict[str, str]:
    """``trace_id`` and ``span_id`` of the current span, as log lines have them; empty where nobody traces."""
    api = sys.modules.get(_API)
    if api is None or _tracer() is None:
        return {}
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def error_type(error: BaseException) -> str:
    """The name by which spans and figures know an error: that of its class."""
    return type(error).__name__


@contextmanager
def _told(
    tracer: Tracer, name: str, attributes: Attributes | None, kind: Kind, headers: Headers | None
) -> Iterator[Span]:
    from opentelemetry.trace import SpanKind

    with tracer.start_as_current_span(
        name,
        context=None if headers is None else _parent(headers),
        kind=SpanKind[kind],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        told = Span(span)
        try:
            yield told
        except BaseException as error:
            told.fail(error_type(error))
            raise


def _parent(headers: Headers) -> Context | None:
    """Whose span a request's is: an instrumentation's around this one, else the client's, else nobody's.

    What is current may also be that of the request before on the same connection, since asyncio hands on the
    context in which reading was resumed; but then it has ended.
    """
    from opentelemetry.propagate import extract
    from opentelemetry.trace import get_current_span

    if get_current_span().is_recording():
        return None
    return extract({name.decode("latin-1"): value.decode("latin-1") for name, value in headers})


_known: tuple[Any, Tracer | None] = (None, None)
"""The tracer provider that was seen last, and our tracer of it."""


def _tracer() -> Tracer | None:
    """The tracer, if an application has set a tracer provider."""
    global _known  # noqa: PLW0603 - a cache of one: to ask a provider for a tracer takes longer than a span
    api = sys.modules.get(_API)
    provider_of = getattr(api, "get_tracer_provider", None)  # none while it is being imported
    if api is None or provider_of is None:
        return None
    provider, known = provider_of(), _known
    if provider is not known[0]:
        version: str = sys.modules[SCOPE].__version__
        proxy = isinstance(provider, api.ProxyTracerProvider)
        _known = known = (provider, None if proxy else provider.get_tracer(SCOPE, version))
    return known[1]
