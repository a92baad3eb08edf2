"""What is counted, as Prometheus reads it. No label ever holds a query, a key or an account."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

from listwise.log import get_logger
from listwise.serve.service import Service
from listwise.types import Receipt

_log = get_logger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where workers leave their figures for one another; set before they start."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
TOKENS = ("input", "cached_input", "cache_write", "output", "reasoning")


class Metrics:
    """The figures of one worker."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        self._requests = Counter("listwise_requests", "Requests answered.", ["route", "outcome"], registry=own)
        self._seconds = Histogram(
            "listwise_request_seconds",
            "From a request's head to its answer.",
            ["route"],
            registry=own,
            buckets=SECONDS,
        )
        self._rankings = Counter(
            "listwise_rankings",
            "Rankings by the tier that decided; llm is the escalated share.",
            ["tier"],
            registry=own,
        )
        self._degraded = Counter("listwise_degraded", "Rankings not made wholly as asked.", registry=own)
        self._over_cap = Counter("listwise_over_cap", "Rankings that met a dollar cap.", ["scope"], registry=own)
        self._usd = Counter("listwise_usd", "Dollars spent for rankings that were given.", registry=own)
        self._tokens = Counter("listwise_tokens", "Tokens bought.", ["kind"], registry=own)
        self._calls = Counter("listwise_llm_calls", "Windows put to an LLM.", registry=own)
        self._hits = Counter("listwise_cache_hits", "Calls answered from the cache.", registry=own)
        self._retries = Counter("listwise_retries", "Attempts beyond the first of their call.", registry=own)
        self._repairs = Counter("listwise_repairs", "Repairs to answers.", ["kind"], registry=own)
        self._running = Gauge("listwise_running", "Rankings under way.", registry=own, multiprocess_mode="livesum")
        self._waiting = Gauge(
            "listwise_waiting", "Requests in the queue.", registry=own, multiprocess_mode="livesum"
        )
        self._reserved = Gauge(
            "listwise_usd_reserved",
            "Dollars set aside in the ledger for attempts under way, of all processes.",
            registry=own,
            multiprocess_mode="mostrecent",
        )

    def answered(self, route: str, outcome: str, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, outcome).inc()
        self._seconds.labels(route).observe(seconds)

    def ranked(self, receipt: Receipt) -> None:
        """A ranking was made."""
        self._rankings.labels("llm" if receipt.ordered_by else receipt.fallback or receipt.route).inc()
        self._degraded.inc(bool(receipt.degraded))
        if receipt.over_cap is not None:
            self._over_cap.labels(receipt.over_cap).inc()
        self._usd.inc(float(receipt.usd))
        for kind in TOKENS:
            self._tokens.labels(kind).inc(getattr(receipt, f"{kind}_tokens"))
        self._calls.inc(receipt.calls)
        self._hits.inc(receipt.cache_hits)
        self._retries.inc(receipt.retries)
        for kind, count in receipt.repairs.items():
            self._repairs.labels(kind).inc(count)

    def page(self, service: Service, reserved_usd: float) -> bytes:
        """Everything, of all workers, as text."""
        self._reserved.set(reserved_usd)
        return generate_latest(self._of_all_workers(service))

    def samples(self, service: Service) -> list[Sample]:
        """The same but for what is reserved, as numbers."""
        return [each for family in self._of_all_workers(service).collect() for each in family.samples]

    def _of_all_workers(self, service: Service) -> CollectorRegistry:
        self._running.set(service.gate.running)
        self._waiting.set(service.gate.waiting)
        if FOLDER not in os.environ:
            return self._registry
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry
