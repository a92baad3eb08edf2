"""What the service costs: requests a second, latencies and CPU, over the local model alone and over a slow LLM.

    python -m eval.benchmarks.serving [--clients N] [--requests N] [--workers N ...] [--memory N]

The local tier: 100 passages a request, a few clients at a time, against the same model in a bare loop. The LLM: a
loopback server that answers after 500 ms, one window of 20 passages a request, so that the ideal is 0.5 s whatever
the number of clients; and every answer must come, whole. Requests come in the ways of `eval.benchmarks.crowd`.
Beside ours stand the same clients at the LLM itself, and at the least service that Python can be over the openai
SDK (`eval.benchmarks.bare_proxy`).

Clients, LLM and service are processes of their own on the same cores; the CPU that each takes for a request is in
the table. Also: how long until the service is ready, and with ``--memory N`` what it holds after a tenth of N
requests and after N, over the local model and over an LLM that answers at once.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from eval.benchmarks.children import CHECKOUT
from eval.benchmarks.crowd import Load, Seen, put
from eval.benchmarks.loopback import Descending, Loopback
from eval.benchmarks.running import Running, bare_proxy, service

PASSAGES, WINDOW = 100, 20
LATENCY_S = 0.5
WORDS = 60
"""Of a passage, as in MS MARCO."""
OPEN_RATE = 0.8
"""Requests a second where the arrival is open, as a share of what as many clients would ask at the ideal."""
OVER_LLM = ("--escalate", "always", "--local", "none", "--strategy", "single", "--guard", "off")
RANKED = b'"relevance_score"'


def bodies(count: int, passages: int) -> list[bytes]:
    """Requests of our documentation's words in no order, all different."""
    chance = Random(8)
    pages = [page.read_text(encoding="utf-8") for page in sorted((CHECKOUT / "docs").glob("*.md"))]
    words = [word for page in pages for word in re.findall(r"[a-z]+", page.lower())]

    def text(length: int) -> str:
        return " ".join(chance.choices(words, k=length))

    return [
        json.dumps({"query": text(6), "documents": [text(WORDS) for _ in range(passages)]}).encode()
        for _ in range(count)
    ]


def asking(running: Running, asked: Sequence[bytes], passages: int, clients: int) -> Load:
    """What is asked of the service, closed; a good answer ranks all passages, and nothing of it is degraded."""
    whole = ((RANKED, passages), (b'"degraded":[]', 1))
    return Load(f"{running.url}/v2/rerank", asked, whole, clients, spread_s=LATENCY_S)


def bare_loop(asked: Sequence[bytes]) -> tuple[Seen, float]:
    """The same model without a service around it, one request after another; and the CPU seconds of all."""
    from listwise.models.local import load_scorer

    scorer, seconds = load_scorer("embedded"), []
    scorer.score("warm", ["up"])
    began, before = time.monotonic(), time.process_time()
    for body in map(json.loads, asked):
        started = time.monotonic()
        scorer.score(body["query"], body["documents"])
        seconds.append(time.monotonic() - started)
    return Seen(seconds, 0, time.monotonic() - began, 0.0), time.process_time() - before


def row(name: str, seen: Seen, service_s: float = 0.0, llm_s: float = 0.0) -> str:
    """A line of the table; CPU is given in ms a request."""
    count = max(1, len(seen.seconds))
    times = (1000 * seen.quantile(share) for share in (0.5, 0.95, 0.99))
    cpu = (1000 * spent / count for spent in (service_s, seen.cpu_s, llm_s))
    cells = (name, count, f"{seen.a_second:.1f}", *(f"{each:.0f}" for each in times))
    ratio = f"{seen.quantile(0.95) / LATENCY_S:.2f}" if llm_s else ""
    return "| " + " | ".join(map(str, (*cells, ratio, *(f"{each:.2f}" for each in cpu), seen.lost))) + " |"


def measured(name: str, running: Running, load: Load, llm: Loopback | None = None) -> str:
    """The line of one load."""
    if llm is not None:
        llm.take()
    before = running.cpu_s()
    seen = put(load)
    return row(name, seen, running.cpu_s() - before, llm.take().cpu_s if llm is not None else 0.0)


def over_local(workers: int, requests: int) -> Iterator[str]:
    """The local tier."""
    asked = bodies(requests, PASSAGES)
    seen, cpu_s = bare_loop(asked)
    yield row(f"local model, bare loop, {PASSAGES} passages", seen, cpu_s)
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), "--workers", str(workers)) as running:
        put(asking(running, asked[:4], PASSAGES, 2))
        for clients in (1, 4):
            load = asking(running, asked, PASSAGES, clients)
            yield measured(f"local tier, {workers} worker(s), {clients} client(s)", running, load)


def over_llm(workers: int, requests: int, clients: int, *, cache: bool) -> Iterator[str]:
    """The service over an LLM."""
    with _llm(LATENCY_S) as llm, _over(llm, workers, cache=cache) as running:
        asked = bodies(requests, WINDOW)
        put(asking(running, bodies(clients, 2), 2, clients))  # connections
        yield from _ways(f"listwise, {workers} worker(s)", running, asking(running, asked, WINDOW, clients), llm)


def beside(requests: int, clients: int) -> Iterator[str]:
    """The same clients at the LLM itself, and at the least service over it."""
    asked = bodies(requests, WINDOW)
    with _llm(LATENCY_S) as llm, tempfile.TemporaryDirectory() as folder, bare_proxy(Path(folder), llm.url) as bare:
        direct = Load(f"{llm.url}/chat/completions", asked, ((b'"finish_reason"', 1),), clients, spread_s=LATENCY_S)
        llm.take()
        yield row(f"the LLM itself, closed, {clients} clients", put(direct), 0.0, llm.take().cpu_s)
        put(Load(f"{bare.url}/", asked[:clients], (), clients))
        yield from _ways("bare proxy", bare, Load(f"{bare.url}/", asked, ((b'"answer"', 1),), clients), llm)


def memory(most: int) -> Iterator[str]:
    """What a service holds after a tenth of the requests, and after all."""
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running:
        yield _grown("over the local model", running, most, passages=2)
    with _llm(0.0) as llm, _over(llm, 1, cache=True) as running:
        yield _grown("over an LLM", running, most, passages=WINDOW)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.benchmarks.serving", description=__doc__)
    parser.add_argument("--clients", type=int, default=200, help="over the LLM, at a time")
    parser.add_argument("--requests", type=int, default=4000, help="over the LLM, for each way to come")
    parser.add_argument("--local-requests", type=int, default=300)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cache", action="store_true", help="keep answers, as the service does if nothing is said")
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="also the memory after so many requests")
    options = parser.parse_args()
    _say("| | requests | a second | p50 (ms) | p95 | p99 | p95 / ideal | CPU, service | clients | LLM | lost |")
    _say("|---|---|---|---|---|---|---|---|---|---|---|")
    for line in over_local(options.workers[0], options.local_requests) if options.local_requests else ():
        _say(line)
    for line in beside(options.requests, options.clients) if options.requests else ():
        _say(line)
    for workers in options.workers if options.requests else ():
        for line in over_llm(workers, options.requests, options.clients, cache=options.cache):
            _say(line)
    _say("")
    for workers in options.workers:
        with tempfile.TemporaryDirectory() as folder, service(Path(folder), "--workers", str(workers)) as running:
            _say(f"{workers} worker(s): ready after {running.ready_s:.2f} s, {running.cpu_s():.2f} s of CPU")
    for line in memory(options.memory) if options.memory else ():
        _say(line)


def _say(line: str) -> None:
    print(line, flush=True)


def _ways(name: str, running: Running, load: Load, llm: Loopback) -> Iterator[str]:
    """The same requests in all the ways in which they may come."""
    rate = OPEN_RATE * load.clients / LATENCY_S
    few = max(20, len(load.bodies) // 10)
    yield measured(f"{name}, 1 client", running, replace(load, bodies=load.bodies[:20], clients=1), llm)
    twenty = replace(load, bodies=load.bodies[:few], clients=20)
    yield measured(f"{name}, 20 clients", running, twenty, llm)
    yield measured(f"{name}, closed, {load.clients} clients", running, load, llm)
    yield measured(f"{name}, burst of {load.clients}", running, replace(load, arrival="burst"), llm)
    opened = replace(load, arrival="open", rate=rate)
    yield measured(f"{name}, open, {rate:.0f} a second", running, opened, llm)


@contextmanager
def _llm(latency_s: float) -> Iterator[Loopback]:
    with Loopback(Descending(WINDOW), latency_s=latency_s) as llm:
        yield llm


@contextmanager
def _over(llm: Loopback, workers: int, *, cache: bool) -> Iterator[Running]:
    named = ("--llm", "openai/gpt-4o", "--base-url", llm.url, "--price", "openai/gpt-4o=2.5,10")
    how = (*OVER_LLM, "--concurrency", "1000", *(() if cache else ("--cache", "off")))
    arguments = ("--workers", str(workers), *named, *how)
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), *arguments) as running:
        yield running


def _grown(name: str, running: Running, most: int, passages: int) -> str:
    """Distinct queries, over few passages, so that the time goes into the service."""
    found = []
    asked = bodies(most, passages)
    for start, end in ((0, most // 10), (most // 10, most)):
        seen = put(asking(running, asked[start:end], passages, 20))
        found.append(running.resident_mib())
    early, late = found
    return (
        f"{name}: {early:.1f} MiB after {most // 10} requests, {late:.1f} MiB after {most} "
        f"({late / early - 1:+.1%}); {seen.lost} lost"
    )


if __name__ == "__main__":
    main()
