"""A server in a process of its own, with what it takes of time, CPU and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eval.benchmarks.children import CHECKOUT, LISTWISE, loopback_environment

LOOK_S = 0.01
"""Between two looks at whether it is ready."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server, and how long it took to be ready."""

    url: str
    pid: int
    ready_s: float

    def cpu_s(self) -> float:
        """What the process and its workers used so far."""
        return sum(map(_cpu_s, self._pids()))

    def resident_mib(self) -> float:
        """Of the process and its workers together; what they share counts for each."""
        return sum(map(_resident_mib, self._pids()))

    def _pids(self) -> list[int]:
        found = [self.pid]
        for pid in found:
            tasks = Path(f"/proc/{pid}/task").glob("*/children")
            found += [int(child) for each in tasks for child in each.read_text(encoding="ascii").split()]
        return found


@contextmanager
def service(folder: Path, *arguments: str) -> Iterator[Running]:
    """`listwise serve` until the end of the block."""
    own = {"LISTWISE_CACHE": "cache", "LISTWISE_LEDGER": "ledger.db", "LISTWISE_KEYS": "keys.json"}
    places = {name: str(folder / place) for name, place in own.items()}
    command = (*LISTWISE, "serve", "--port", "0", *arguments)
    with _running(command, folder, places, "/health/ready") as running:
        yield running


@contextmanager
def bare_proxy(folder: Path, llm: str) -> Iterator[Running]:
    """`eval.benchmarks.bare_proxy` until the end of the block."""
    with _running((sys.executable, "-m", "eval.benchmarks.bare_proxy", llm), folder, {}, None) as running:
        yield running


@contextmanager
def _running(
    command: Sequence[str], folder: Path, places: Mapping[str, str], ready: str | None
) -> Iterator[Running]:
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    environment = {**loopback_environment(), **places, "PYTHONPATH": path}
    began = time.monotonic()
    log = folder / "log"
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(command, env=environment, stderr=said)
    try:
        url = _url(log, process)
        while ready is not None and not _answers(url + ready):
            time.sleep(LOOK_S)
        yield Running(url, process.pid, time.monotonic() - began)
    finally:
        process.terminate()
        process.wait()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _url(log: Path, process: subprocess.Popen[bytes]) -> str:
    while "http://" not in (said := log.read_text(encoding="utf-8")):
        if process.poll() is not None:
            sys.exit(said)
        time.sleep(LOOK_S)
    return said.split("serving at ")[1].split()[0]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
