"""What the service costs: requests a second and latencies, over the local model alone and over a slow LLM.

    python -m eval.benchmarks.serving [--clients N] [--requests N] [--workers N]

The local tier: 100 passages a request, a few clients at a time, against the same model in a bare loop. The LLM: a
loopback server that answers after 500 ms, one window of 20 passages a request, so that the ideal is 0.5 s whatever
the number of clients; and every answer must come. Also the time from the start of the process to its being ready,
and with ``--memory 10000`` what it holds after a thousand requests and after ten thousand. The clients run in this
process, on the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx2

from eval.benchmarks.children import CHECKOUT, LISTWISE, loopback_environment
from eval.benchmarks.loopback import Descending, Loopback

PASSAGES, WINDOW = 100, 20
LATENCY_S = 0.5
WORDS = 60
"""Of a passage, as in MS MARCO."""


@dataclass(frozen=True, slots=True)
class Load:
    """What clients saw."""

    seconds: Sequence[float]
    """Of each request."""
    wall_s: float
    lost: int
    cpu_s: float = 0.0
    """Of the service; with several workers, of their parent."""

    @property
    def a_second(self) -> float:
        return len(self.seconds) / self.wall_s

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def row(self, name: str) -> str:
        p50, p95, p99 = (1000 * self.quantile(share) for share in (0.5, 0.95, 0.99))
        count = len(self.seconds)
        cpu_ms = 1000 * self.cpu_s / count
        return (
            f"| {name} | {count} | {self.a_second:.1f} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {cpu_ms:.1f} "
            f"| {self.lost} |"
        )


@dataclass(frozen=True, slots=True)
class Running:
    """A service, and how long it took to be ready."""

    url: str
    pid: int
    ready_s: float

    def cpu_s(self) -> float:
        """What the process used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """Of the process; with several workers, of their parent."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return float("nan")


def bodies(count: int, passages: int) -> list[dict[str, Any]]:
    """Requests of our documentation's words in no order, all different."""
    chance = Random(8)
    pages = [page.read_text(encoding="utf-8") for page in sorted((CHECKOUT / "docs").glob("*.md"))]
    words = [word for page in pages for word in re.findall(r"[a-z]+", page.lower())]

    def text(length: int) -> str:
        return " ".join(chance.choices(words, k=length))

    return [{"query": text(6), "documents": [text(WORDS) for _ in range(passages)]} for _ in range(count)]


@contextmanager
def service(folder: Path, *arguments: str) -> Iterator[Running]:
    """`listwise serve` until the end of the block."""
    own = {"LISTWISE_CACHE": "cache", "LISTWISE_LEDGER": "ledger.db", "LISTWISE_KEYS": "keys.json"}
    places = {name: str(folder / place) for name, place in own.items()}
    environment = {**loopback_environment(), **places, "OPENAI_API_KEY": "none", "PYTHONPATH": str(CHECKOUT)}
    began = time.monotonic()
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen([*LISTWISE, "serve", "--port", "0", *arguments], env=environment, stderr=log)
    try:
        url = _url(folder / "log", process)
        while not _is_ready(url):
            time.sleep(0.01)
        yield Running(url, process.pid, time.monotonic() - began)
    finally:
        process.terminate()
        process.wait()


def load(running: Running, asked: Sequence[dict[str, Any]], clients: int) -> Load:
    """So many clients, each of which sends its next request when it has its answer."""

    async def work() -> Load:
        waiting, seconds, lost = iter(asked), [], 0

        async def one(session: httpx2.AsyncClient) -> None:
            nonlocal lost
            for body in waiting:
                began = time.monotonic()
                answer = await session.post("/v2/rerank", json=body)
                seconds.append(time.monotonic() - began)
                lost += answer.status_code != 200 or answer.json()["listwise"]["receipt"]["degraded"] != []

        limits = httpx2.Limits(max_connections=clients)
        began, before = time.monotonic(), running.cpu_s()
        async with (
            httpx2.AsyncClient(base_url=running.url, timeout=120, limits=limits) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(clients):
                group.create_task(one(session))
        return Load(seconds, time.monotonic() - began, lost, running.cpu_s() - before)

    return asyncio.run(work())


def bare(asked: Sequence[dict[str, Any]]) -> Load:
    """The same model without a service around it, one request after another."""
    from listwise.models.local import load_scorer

    scorer, seconds = load_scorer("embedded"), []
    scorer.score("warm", ["up"])
    began, before = time.monotonic(), time.process_time()
    for body in asked:
        started = time.monotonic()
        scorer.score(body["query"], body["documents"])
        seconds.append(time.monotonic() - started)
    return Load(seconds, time.monotonic() - began, 0, time.process_time() - before)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.benchmarks.serving", description=__doc__)
    parser.add_argument("--clients", type=int, default=200, help="over the LLM, at a time")
    parser.add_argument("--requests", type=int, default=1000, help="over the LLM, in all")
    parser.add_argument("--local-requests", type=int, default=300)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="also the memory after so many requests")
    options = parser.parse_args()
    _say("| | requests | a second | p50 (ms) | p95 | p99 | CPU (ms) a request | lost |")
    _say("|---|---|---|---|---|---|---|---|")
    workers = ("--workers", str(options.workers))
    small = bodies(options.local_requests, PASSAGES)
    with tempfile.TemporaryDirectory() as folder:
        _say(bare(small).row("local model, bare loop"))
        with service(Path(folder), *workers) as running:
            load(running, small[:20], 2)
            for clients in (1, 4):
                _say(load(running, small, clients).row(f"local tier, {clients} client(s)"))
            memory = _memory(running, options.memory)
            ready_s = running.ready_s
    with tempfile.TemporaryDirectory() as folder, Loopback(Descending(WINDOW), latency_s=LATENCY_S) as llm:
        asking = ("--llm", "openai/gpt-4o", "--base-url", llm.url, "--price", "openai/gpt-4o=2.5,10")
        how = ("--escalate", "always", "--local", "none", "--strategy", "single", "--guard", "off")
        with service(Path(folder), *workers, *asking, *how, "--concurrency", "1000", "--cache", "off") as running:
            load(running, bodies(20, WINDOW), 20)
            for clients in sorted({1, 20, options.clients}):
                asked = bodies(max(20, options.requests * clients // options.clients), WINDOW)
                found = load(running, asked, clients)
                _say(found.row(f"LLM of 500 ms, {clients} client(s)"))
    _say(f"\nready after {ready_s:.2f} s{memory}")
    _say(f"p95 over the ideal with {options.clients} clients: {found.quantile(0.95) / LATENCY_S:.2f}")


def _say(line: str) -> None:
    print(line, flush=True)


def _memory(running: Running, most: int) -> str:
    """The resident memory after a tenth of the requests, and after all."""
    if not most:
        return ""
    asked, found = bodies(50, 10), []
    for count in (most // 10, most - most // 10):
        load(running, [asked[at % len(asked)] for at in range(count)], 4)
        found.append(running.resident_mib())
    return f"; resident after {most // 10} requests {found[0]:.1f} MiB, after {most} {found[1]:.1f} MiB"


def _url(log: Path, process: subprocess.Popen[bytes]) -> str:
    while "http://" not in (said := log.read_text(encoding="utf-8")):
        if process.poll() is not None:
            sys.exit(said)
        time.sleep(0.01)
    return said.split("serving at ")[1].split()[0]


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health/ready").status_code == 200
    except httpx2.TransportError:
        return False


if __name__ == "__main__":
    main()
