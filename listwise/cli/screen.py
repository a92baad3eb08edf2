"""What a person sees while work goes on and when it is done."""

from __future__ import annotations

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from listwise.spend.money import dollars
from listwise.types import Receipt, StageReceipt

LINE_EVERY_S = 5.0
"""Seconds between lines of progress where there is no terminal."""

SHOWN_DEGRADED = 5
FEWEST_ECHOES = 3
"""Windows that must have come back in the order shown before it is worth a word."""
_FIGURES = re.compile(r"(?<![\w:./-])\d[\d.,:]*\b")
"""Numbers and times of day, but not those in names and addresses."""

ROUTES = ("llm", "local", "first_stage", "empty")
_TIERS = {
    "llm": "to another LLM of the chain",
    "local": "to the local model's order",
    "first_stage": "to the first stage's order",
}


def console() -> Console:
    """Standard error: standard output is for results. Brackets and colons are no markup, but part of names."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def output() -> Console:
    """Standard output; wide where it is no terminal, so that a file holds whole lines. Nothing is markup."""
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, markup=False, emoji=False, width=None if narrow else 160)


@dataclass(frozen=True, slots=True)
class ApiTotals:
    """What a rerank API did for many queries."""

    calls: int = 0
    attempts: int = 0
    cached: int = 0
    search_units: int = 0
    input_tokens: int = 0
    usd: Decimal = Decimal(0)

    def with_one(self, stage: StageReceipt) -> ApiTotals:
        """And for one query more."""
        return ApiTotals(
            self.calls + stage.calls,
            self.attempts + stage.attempts,
            self.cached + stage.cache_hits,
            self.search_units + stage.search_units,
            self.input_tokens + stage.input_tokens,
            self.usd + stage.usd,
        )


def served(scorer: str, calls: int, cached: int, search_units: int, input_tokens: int, usd: str) -> str:
    """A line on a rerank API."""
    size = f"{search_units:,} search units, {input_tokens:,} tokens"
    return f"{scorer}: {calls:,} calls ({cached:,} cached), {size}, {usd}"


@dataclass(slots=True)
class Totals:
    """Sums over receipts."""

    what: str = "queries"
    """What there is a receipt of."""
    routes: Counter[str] = field(default_factory=Counter)
    numbers: dict[str, Counter[str]] = field(default_factory=lambda: {route: Counter() for route in ROUTES})
    usd: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(ROUTES, Decimal(0)))
    priced: bool = True
    stages: dict[str, ApiTotals] = field(default_factory=dict)
    """By the scorer's name; those on this machine have no calls."""
    degraded: dict[str, Counter[str]] = field(default_factory=dict)
    """What could not be done as asked and for how many queries; what differs only in figures is together."""
    noted: dict[str, Counter[str]] = field(default_factory=dict)
    """Likewise, what was noticed on the way."""
    echoes: int = 0
    ordered: int = 0
    """Windows that an LLM put in order."""
    fallbacks: Counter[str] = field(default_factory=Counter)
    simulated: int = 0
    """Queries whose LLM was a simulation."""
    seconds: float = 0.0

    def add(self, receipt: Receipt) -> None:
        """Count one ranking."""
        self.routes[receipt.route] += 1
        numbers = self.numbers[receipt.route]
        for name in ("calls", "attempts", "retries", "cache_hits", "input_tokens", "output_tokens"):
            numbers[name] += getattr(receipt, name)
        for stage in receipt.stages:
            self.stages[stage.scorer] = self.stages.get(stage.scorer, ApiTotals()).with_one(stage)
        numbers["repairs"] += sum(receipt.repairs.values())
        self.usd[receipt.route] += receipt.usd
        self.priced = self.priced and receipt.priced
        self.echoes += receipt.echoes
        self.ordered += sum(receipt.ordered_by.values())
        for what in receipt.degraded:
            alike = _FIGURES.sub("N", what.replace(f"query {receipt.qid}:", "query:"))
            self.degraded.setdefault(alike, Counter())[what] += 1
        self.simulated += receipt.simulated
        for what in receipt.notes:
            self.noted.setdefault(_FIGURES.sub("N", what.partition(": ")[0]), Counter())[what] += 1
        if receipt.fallback is not None:
            self.fallbacks[receipt.fallback] += 1

    @property
    def never_answered(self) -> bool:
        """Whether an LLM was asked, and not one answer came."""
        asked = self.sum("attempts") - sum(stage.attempts for stage in self.stages.values())
        return asked > 0 and self.sum("output_tokens") == 0 and self.sum("cache_hits") == 0

    @property
    def echoed(self) -> bool:
        """Whether most windows, of at least a few, came back in the order shown."""
        return self.echoes >= FEWEST_ECHOES and 2 * self.echoes > self.ordered

    @property
    def total_usd(self) -> Decimal:
        """Dollars over all routes."""
        return sum(self.usd.values(), Decimal(0))

    @property
    def spent(self) -> str:
        """Dollars over all routes, as people write them; says so where a model has no price or is simulated."""
        return dollars(self.total_usd) + " simulated" * bool(self.simulated) if self.priced else "no price"

    def sum(self, name: str) -> int:
        """One of the numbers over all routes."""
        return sum(numbers[name] for numbers in self.numbers.values())


@contextmanager
def following(total: int | None, totals: Totals) -> Iterator[_Follower]:
    """Show progress: a bar on a terminal, a line now and then elsewhere."""
    started = time.monotonic()
    follower: _Follower = _Bar(total, totals) if sys.stderr.isatty() else _Lines(total, totals)
    try:
        yield follower
    finally:
        follower.close()
        totals.seconds = time.monotonic() - started


class _Follower:
    """Is told of each finished query."""

    def advance(self) -> None:
        """One more query is done."""

    def close(self) -> None:
        """No more will come."""


class _Bar(_Follower):
    def __init__(self, total: int | None, totals: Totals) -> None:
        self._totals = totals
        self._progress = Progress(
            TextColumn("re-ranking"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(totals.what),
            TextColumn("{task.fields[spent]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console(),
            transient=True,
        )
        self._task = self._progress.add_task("re-ranking", total=total, spent="$0")
        self._progress.start()

    def advance(self) -> None:
        self._progress.update(self._task, advance=1, spent=self._totals.spent)

    def close(self) -> None:
        self._progress.stop()


class _Lines(_Follower):
    def __init__(self, total: int | None, totals: Totals) -> None:
        self._total = total
        self._totals = totals
        self._started = self._last = time.monotonic()
        self._done = 0

    def advance(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._last < LINE_EVERY_S:
            return
        self._last = now
        line = f"listwise: {self._done} of {self._total or '?'} {self._totals.what}, {self._totals.spent}"
        if self._total:
            left = (now - self._started) / self._done * (self._total - self._done)
            line += f", about {left:.0f} s left"
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Lines need no end."""


def show_totals(totals: Totals) -> None:
    """The table at the end of a run."""
    table = Table(box=None, pad_edge=False)
    table.add_column("route")
    columns = (totals.what, "calls", "input tok", "output tok", "USD", "hits", "repairs", "retries")
    for column in columns:
        table.add_column(column, justify="right")
    shown = [route for route in ROUTES if totals.routes[route]]
    for route in shown:
        table.add_row(route, *_row(totals, [route]))
    if len(shown) != 1:
        table.add_row("all", *_row(totals, shown))
    screen = console()
    screen.print(table)
    for scorer, stage in totals.stages.items():
        if stage.calls or stage.attempts:
            usd = dollars(stage.usd) if totals.priced else "no price"
            line = served(scorer, stage.calls, stage.cached, stage.search_units, stage.input_tokens, usd)
            screen.print(f"of that {line}", soft_wrap=True)
    screen.print(f"{sum(totals.routes.values())} {totals.what} in {totals.seconds:.2f} s")
    if totals.simulated:
        screen.print(
            f"simulation, {totals.simulated} {totals.what}: no LLM was asked; "
            "orders, tokens and dollars are made up",
            style="bold yellow",
        )
    for tier, count in totals.fallbacks.items():
        screen.print(f"fell back, {count} {totals.what}: {_TIERS[tier]}", style="yellow")
    if totals.echoed:
        screen.print(
            f"echoed: {totals.echoes} of {totals.ordered} windows came back in the order shown; "
            "the model may rank nothing",
            style="yellow",
        )
    for word, all_said in (("degraded", totals.degraded), ("noted", totals.noted)):
        for alike in sorted(all_said.values(), key=lambda alike: -alike.total())[:SHOWN_DEGRADED]:
            ((what, _),) = alike.most_common(1)
            such = "" if len(alike) == 1 else "such as "
            screen.print(f"{word}, {alike.total()} {totals.what}: {such}{what}", style="yellow")


def _row(totals: Totals, routes: list[str]) -> list[str]:
    def total(name: str) -> str:
        return f"{sum(totals.numbers[route][name] for route in routes):,}"

    usd = sum((totals.usd[route] for route in routes), Decimal(0))
    return [
        f"{sum(totals.routes[route] for route in routes):,}",
        total("calls"),
        total("input_tokens"),
        total("output_tokens"),
        dollars(usd) if totals.priced else "no price",
        total("cache_hits"),
        total("repairs"),
        total("retries"),
    ]
