"""What is counted, as Prometheus reads it. No label ever holds a query, a key, an account, or words of a client."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.samples import Sample

from listwise.serve.admission import Gate
from listwise.telemetry import names
from listwise.telemetry.attributes import tier_of
from listwise.telemetry.listening import (
    Attempted,
    Broke,
    Called,
    Event,
    Mended,
    Reserved,
    Retried,
    Scored,
    Settled,
)
from listwise.types import Receipt, Usage

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where workers leave their figures for one another; set before they start."""
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
LOCAL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TOKENS = ("input", "cached_input", "cache_write", "output", "reasoning")


class Metrics:
    """The figures of one worker. It listens to what the engine tells (`listwise.telemetry.listening`)."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        self._broken: defaultdict[str, set[int]] = defaultdict(set)
        self._held_nano_usd = 0

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(name, says, labels, registry=own)

        def gauge(name: str, says: str, *labels: str) -> Gauge:
            return Gauge(name, says, labels, registry=own, multiprocess_mode="livesum")

        def histogram(name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, says, labels, registry=own, buckets=buckets)

        self._requests = counter("listwise_requests", "Requests answered.", "route", "outcome")
        self._seconds = histogram(
            "listwise_request_seconds", "From a request's head to its answer.", SECONDS, "route"
        )
        self._ended = counter(
            "listwise_connections_ended", "Connections that the service did not put up with.", "why"
        )
        self._rankings = counter(
            "listwise_rankings", "Rankings, by the route chosen and the tier that decided.", "route", "tier"
        )
        self._degraded = counter("listwise_degraded", "Rankings not made wholly as asked.")
        self._over_cap = counter("listwise_over_cap", "Rankings that met a dollar cap.", "scope")
        self._repairs = counter("listwise_repairs", "Repairs to answers.", "kind")
        self._usd = counter("listwise_usd", "Dollars spent, whatever became of the ranking.")
        self._reserved = gauge("listwise_usd_reserved", "Dollars set aside for attempts under way.")
        self._tokens = counter("listwise_tokens", "Tokens bought.", "kind")
        self._calls = counter("listwise_calls", "Calls answered, from the cache or by a model.", "model")
        self._hits = counter("listwise_cache_hits", "Calls whose answer was at hand.", "model")
        self._attempts = counter("listwise_attempts", "Requests sent to models.", "model", "outcome")
        self._retries = counter("listwise_retries", "Attempts beyond the first of their call.")
        self._call_seconds = histogram(
            f"{names.INFERENCE_DURATION.replace('.', '_')}_seconds",
            "Calls that were not answered from the cache, with their attempts and all waiting.",
            names.INFERENCE_BUCKETS,
            "gen_ai_operation_name",
            "gen_ai_provider_name",
            "gen_ai_request_model",
            "error_type",
        )
        self._local_seconds = histogram(
            "listwise_local_seconds", "A local model over one query's candidates.", LOCAL_SECONDS, "scorer"
        )
        self._local_failures = counter("listwise_local_failures", "Queries that it could not score.", "scorer")
        self._open = gauge("listwise_breaker_open", "Circuit breakers that are open or half-open.", "model")
        self._running = gauge("listwise_running", "Rankings under way.")
        self._waiting = gauge("listwise_waiting", "Requests in the queue.")

    def answered(self, route: str, outcome: str, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, outcome).inc()
        self._seconds.labels(route).observe(seconds)

    def connection_ended(self, why: str) -> None:
        """There were too many connections, or its client took too long."""
        self._ended.labels(why).inc()

    def ranked(self, receipt: Receipt) -> None:
        """A ranking was made, and given."""
        self._rankings.labels(receipt.route, tier_of(receipt)).inc()
        self._degraded.inc(bool(receipt.degraded))
        if receipt.over_cap is not None:
            self._over_cap.labels(receipt.over_cap).inc()
        for kind, count in receipt.repairs.items():
            self._repairs.labels(kind).inc(count)

    def __call__(self, event: Event) -> None:
        """Hear of something."""
        match event:
            case Called():
                self._called(event)
            case Attempted(identity, error):
                self._attempts.labels(identity.name, error or "ok").inc()
            case Retried():
                self._retries.inc()
            case Scored(scorer, seconds, failed):
                self._local_seconds.labels(scorer).observe(seconds)
                self._local_failures.labels(scorer).inc(failed)
            case Reserved(nano_usd):
                self._hold(nano_usd)
            case Settled(reserved, nano_usd, usage):
                self._hold(-reserved)
                self._spent(nano_usd, usage)
            case Broke(circuit, model):
                self._broken[model].add(circuit)
                self._show_breakers(model)
            case Mended(circuit, model):
                self._broken[model].discard(circuit)
                self._show_breakers(model)

    def _called(self, call: Called) -> None:
        model = call.identity
        self._show_breakers(model.name)
        if call.error is None:
            self._calls.labels(model.name).inc()
            self._hits.labels(model.name).inc(call.cached)
        if not call.cached:
            labels = (call.operation, model.provider, model.model, call.error or "")
            self._call_seconds.labels(*labels).observe(call.seconds)

    def _hold(self, nano_usd: int) -> None:
        self._held_nano_usd += nano_usd
        self._reserved.set(self._held_nano_usd / 1e9)

    def _spent(self, nano_usd: int, usage: Usage) -> None:
        self._usd.inc(nano_usd / 1e9)
        for kind in TOKENS:
            self._tokens.labels(kind).inc(getattr(usage, f"{kind}_tokens"))

    def _show_breakers(self, model: str) -> None:
        self._open.labels(model).set(len(self._broken[model]))

    def watch(self, gate: Gate) -> None:
        """Show who runs and who waits, from now on."""

        def show() -> None:
            self._running.set(gate.running)
            self._waiting.set(gate.waiting)

        gate.watcher = show

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Everything, of all workers, and its content type: as Prometheus' text, or as OpenMetrics if the header
        ``accept`` has that."""
        registry = self._of_all_workers()
        if OPENMETRICS in accept:  # the library's own choice fails on versions that are none
            page: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
            return page, openmetrics.CONTENT_TYPE_LATEST
        return generate_latest(registry), PLAIN

    def samples(self) -> list[Sample]:
        """The same as numbers."""
        return [each for family in self._of_all_workers().collect() for each in family.samples]

    def _of_all_workers(self) -> CollectorRegistry:
        folder = os.environ.get(FOLDER)
        if folder is None:
            return self._registry
        _forget_the_dead(Path(folder))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry


def _forget_the_dead(folder: Path) -> None:
    """What ran in a worker that is gone does not run any more; what it counted stays."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in folder.glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            pass
