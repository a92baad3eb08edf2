"""What a service that is stopped again and again does to its clients and to the money.

    python -m eval.benchmarks.restarts [--requests 5000] [--every 5] [--signal TERM|KILL] [--workers N] [--cap USD]
        [--when-ready]

`listwise serve` runs under a supervisor that starts it again whenever it ends, and every few seconds it is sent a
signal. Clients that retry put so many different questions to it, each with a name of its own; behind it is a
loopback LLM that counts what it bills. The contract: every question is answered exactly once, with an order of its
own documents; the ledger has the provider's bill, or more where an attempt's outcome is not known; neither is above
the cap of the account, whenever that is reached. Exit status 1 where it is broken.

What "once" is on the service's side, its access log says: a question that it answered twice was answered to nobody
the first time. After SIGTERM there is none; after SIGKILL a client may have been cut off from an answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

import httpx2

from eval.benchmarks.children import CHECKOUT, LISTWISE, loopback_environment
from eval.benchmarks.loopback import Figures, Loopback, Metered
from eval.benchmarks.retrying import Heard, Question, ask_all
from eval.benchmarks.serving import bodies
from eval.benchmarks.supervised import Supervisor
from listwise.serve.keys import KeyFile
from listwise.spend.history import History, Line
from listwise.spend.money import usd_of
from listwise.spend.schema import connect

PASSAGES = 10
CLIENTS = 32
LATENCY_S = 0.2
ACCOUNT = "load"
INPUT_NANO_USD, OUTPUT_NANO_USD = 2500, 10000
"""A token's price; `PRICE` is that of a million in dollars."""
ADDRESS_TAKEN = 2
"""The exit status of a service that comes while the workers of one that was killed are still going."""
PRICE = "openai/gpt-4o=2.5,10"
HOW = (
    *("--llm", "openai/gpt-4o", "--price", PRICE, "--local", "none", "--escalate", "always"),
    *("--strategy", "single", "--guard", "off", "--concurrency", "1000", "--log-queries"),
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried."""

    requests: int = 5000
    every_s: float = 5.0
    signal: signal.Signals = signal.SIGTERM
    workers: int = 1
    clients: int = CLIENTS
    cap_usd: Decimal = Decimal(1000)
    """Of the account, a day."""
    when_ready: bool = False
    """Whether the seconds between signals begin when the service is ready."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it."""

    trial: Trial
    heard: Heard
    billed: Figures
    books: Line
    """The account's, in the ledger, after the last process ended."""
    held_usd: Decimal
    """What counts against the account's caps."""
    served: Counter[str]
    """Answers with status 200 to each question, by the access log."""
    exits: Counter[int]
    signals: int
    seconds: float

    @property
    def bill_usd(self) -> Decimal:
        """The provider's."""
        nano_usd = self.billed.input_tokens * INPUT_NANO_USD + self.billed.output_tokens * OUTPUT_NANO_USD
        return usd_of(nano_usd)

    @property
    def ledger_usd(self) -> Decimal:
        """Settled, and still reserved by processes that are dead."""
        return self.books.usd + self.books.reserved_usd

    @property
    def twice(self) -> int:
        """Questions that the service answered more than once."""
        return sum(count > 1 for count in self.served.values())

    def broken(self) -> list[str]:
        """What of the contract does not hold."""
        once = sum(count == 1 for count in self.heard.answers.values())
        stopped = self.trial.signal is signal.SIGTERM
        exact = self.bill_usd == self.books.usd and not self.books.open and not self.books.unknown
        ends = {0} if stopped else {0, -self.trial.signal, *((ADDRESS_TAKEN,) if self.trial.workers > 1 else ())}
        checks = {
            f"{self.trial.requests - once} questions were not answered exactly once": once == self.trial.requests,
            f"{len(self.heard.wrong)} wrong answers, the first: {self.heard.wrong[:1]}": not self.heard.wrong,
            "the ledger is below the provider's bill": self.ledger_usd >= self.bill_usd,
            "the caps count something else than the ledger's attempts": self.held_usd == self.ledger_usd,
            "the ledger is above the cap": self.ledger_usd <= self.trial.cap_usd,
            "the provider's bill is above the cap": self.bill_usd <= self.trial.cap_usd,
            "after SIGTERM the ledger is not the bill": exact or not stopped,
            f"after SIGTERM {self.twice} questions were answered twice": not self.twice or not stopped,
            f"processes ended with {dict(self.exits)}": set(self.exits) <= ends,
            "no process was ended": bool(self.exits) or not self.signals,
        }
        return [what for what, holds in checks.items() if not holds]

    def row(self) -> str:
        """A line of the table."""
        once = sum(count == 1 for count in self.heard.answers.values())
        retries = ", ".join(f"{count} {what}" for what, count in self.heard.retries.most_common())
        cells = (
            self.trial.signal.name,
            self.trial.workers,
            f"{once} of {self.trial.requests}",
            self.twice,
            self.heard.over_cap,
            retries or "0",
            sum(self.exits.values()),
            f"{self.ledger_usd:.6f}",
            f"{self.bill_usd:.6f}",
            f"{self.trial.cap_usd:f}",
            self.books.open,
            f"{self.seconds:.0f}",
            f"{self.heard.longest_gap_s():.1f}",
            f"{self.heard.quantile_s(0.5):.2f}",
            f"{self.heard.quantile_s(0.95):.2f}",
        )
        return f"| {' | '.join(map(str, cells))} |"


HEADINGS = (
    *("signal", "workers", "answered once", "answered twice", "over the cap", "retries", "restarts", "ledger ($)"),
    *("bill ($)", "cap ($)", "left open", "seconds", "longest gap (s)", "p50 (s)", "p95 (s)"),
)
HEAD = f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}"


def run(trial: Trial, folder: Path) -> Found:
    """Try it, with ledger, cache, keys and log in a folder."""
    with Loopback(Metered(PASSAGES), latency_s=LATENCY_S) as llm:
        return asyncio.run(_run(trial, folder, llm))


async def _run(trial: Trial, folder: Path, llm: Loopback) -> Found:
    ledger, log, port = folder / "ledger.db", folder / "log", _free_port()
    key = _account(folder, trial.cap_usd)
    own = {"LISTWISE_CACHE": "cache", "LISTWISE_LEDGER": "ledger.db", "LISTWISE_KEYS": "keys.json"}
    places = {name: str(folder / place) for name, place in own.items()}
    command = (
        *LISTWISE,
        "serve",
        "--port",
        str(port),
        "--workers",
        str(trial.workers),
        "--base-url",
        llm.url,
        *HOW,
    )
    environment = {**loopback_environment(), **places, "PYTHONPATH": str(CHECKOUT)}
    supervisor = Supervisor(command, environment, log)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with supervisor.running():
        url = f"http://127.0.0.1:{port}"
        ready = partial(_ready, url) if trial.when_ready else None
        sending = asyncio.create_task(supervisor.send(trial.signal, trial.every_s, ready))
        heard = await ask_all(questions(trial.requests), url, key, clients=trial.clients)
        sending.cancel()
        seconds = loop.time() - began
    history = History(ledger)
    (books,) = (line for line in history.report("account") if line.name == ACCOUNT)
    held = history.held("account", ACCOUNT)
    counts = supervisor.exits, supervisor.signals
    return Found(trial, heard, llm.take(), books, held, served(log), *counts, seconds)


def questions(count: int) -> list[Question]:
    """All different, so that the cache answers none but the repeated."""
    return [
        Question(f"q{at}", {**body, "query": f"q{at} {body['query']}", "return_documents": True})
        for at, body in enumerate(map(json.loads, bodies(count, PASSAGES)))
    ]


def served(log: Path) -> Counter[str]:
    """Answers with status 200 to each question, by the access log."""
    found: Counter[str] = Counter()
    for line in log.read_text(encoding="utf-8").splitlines():
        if line.startswith("{") and '"query"' in line:
            said = json.loads(line)
            found[said["query"].split()[0]] += said["status"] == 200
    return found


async def _ready(url: str) -> None:
    """Returns once the service is ready."""
    async with httpx2.AsyncClient(base_url=url, timeout=5) as session:
        while True:
            with suppress(httpx2.TransportError):
                if (await session.get("/health/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.05)


def _account(folder: Path, cap_usd: Decimal) -> str:
    """A key for the account, with its cap."""
    connect(folder / "ledger.db").close()
    History(folder / "ledger.db").keep_cap(ACCOUNT, "day", cap_usd)
    return KeyFile(folder / "keys.json").add(ACCOUNT)[1]


def _free_port() -> int:
    with closing(socket.socket()) as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.benchmarks.restarts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--requests", type=int, default=5000, help="[5000]")
    parser.add_argument("--every", type=float, default=5.0, metavar="S", help="seconds between signals [5]")
    parser.add_argument("--signal", choices=["TERM", "KILL"], default="TERM", help="[TERM]")
    parser.add_argument("--workers", type=int, default=1, help="[1]")
    parser.add_argument("--clients", type=int, default=CLIENTS, help=f"at a time [{CLIENTS}]")
    parser.add_argument("--cap", type=Decimal, default=Decimal(1000), metavar="USD", help="a day [1000]")
    parser.add_argument("--when-ready", action="store_true", help="count those seconds from when it is ready")
    options = parser.parse_args(arguments)
    number = signal.Signals[f"SIG{options.signal}"]
    trial = Trial(
        options.requests,
        options.every,
        number,
        options.workers,
        options.clients,
        options.cap,
        options.when_ready,
    )
    with tempfile.TemporaryDirectory(prefix="restarts-") as folder:
        found = run(trial, Path(folder))
    print(f"{HEAD}\n{found.row()}")
    for what, count in found.heard.degraded.most_common(3):
        print(f"degraded: {count} times: {what}")
    for what in found.broken():
        print(f"broken: {what}", file=sys.stderr)
    return 1 if found.broken() else 0


if __name__ == "__main__":
    sys.exit(main())
