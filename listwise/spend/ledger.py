"""Who may spend what: reserve the most an attempt can cost, settle what it did cost.

Invariant: in every scope with a cap, settled + reserved <= cap. A reservation is settled or released exactly once;
one that never is, because its process died, goes on counting as spent.

`Ledger` is what a networked store would implement; `MemoryLedger` holds for one process,
`listwise.spend.sqlite.SqliteLedger` for all processes of one machine.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from listwise.errors import BudgetExceeded
from listwise.spend.money import usd_of
from listwise.spend.routes import Routed, RouteFilter, RouteNote
from listwise.types import Receipt, Usage

ScopeKind = Literal["query", "run", "day", "month", "account"]
Outcome = Literal["answered", "rejected", "unsent", "unknown", "cached", "lost", "written off"]
"""What became of an attempt: ``answered`` cost its usage; ``rejected`` (by the server) and ``unsent`` cost nothing;
``unknown`` counts as the most it could cost; ``cached`` was answered without an attempt. Those of dead processes
are ``lost`` once reconciled at their worst case or at a known amount, ``written off`` if they cost nothing."""

PATIENCE_S = 600.0
"""How long a reservation is expected to be open at most, unless its maker says otherwise."""
MOST_IN_MEMORY = 20_000
"""Routes that are kept without a file."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Something that money is counted for, with its cap in nano-dollars; None is no cap of the asker's."""

    kind: ScopeKind
    name: str
    cap: int | None = None

    @property
    def key(self) -> str:
        """Names the scope among all kinds."""
        return f"{self.kind} {self.name}"

    def over(self, cap: int, held: int, asked: int, *, pending: bool) -> BudgetExceeded:
        """The error for an amount that does not fit."""
        return BudgetExceeded(
            f"{self.kind} {self.name.partition(' #')[0]}: USD",
            cap=usd_of(cap),
            spent=usd_of(held),
            asked=usd_of(asked),
            pending=pending,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """What an attempt is for, as the books keep it."""

    run: str = ""
    account: str = "default"
    qid: str = ""
    model: str = ""
    """``provider/name``."""
    priced: bool = True
    """Whether its price is known; if not, the amount says nothing, and no cap may be kept for the account."""
    passages: int = 0
    estimated_input: int = 0
    """Tokens of the prompt by our own estimate."""
    counted: str = ""
    """The rung of counting behind the amount."""


class Sample(NamedTuple):
    """An answered attempt, as estimates learn from it."""

    passages: int
    estimated_input: int
    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nano-dollars set aside in all of ``scopes``."""

    id: int
    scopes: tuple[Scope, ...]
    nano_usd: int


class Shared(NamedTuple):
    """What processes share of an account, and what a scope holds, both as of one moment. Nano-dollars."""

    state: str
    settled: int
    reserved: int


class Ledger(Protocol):
    """Atomic over all scopes of a reservation: either all hold it, or none."""

    @property
    def keeps(self) -> bool:
        """Whether it keeps history, and caps of its own, so that amounts matter even where the asker has no cap."""
        ...

    def caps(self, account: str) -> Mapping[str, int]:
        """Caps in nano-dollars, by kind of scope, that are kept for an account whoever asks."""
        ...

    def samples(self, model: str) -> Sequence[Sample]:
        """The latest answered attempts of a model, for estimates to learn from."""
        ...

    async def reserve(
        self, scopes: Sequence[Scope], nano_usd: int, entry: Entry = ..., *, patience_s: float = PATIENCE_S
    ) -> Reservation:
        """Set an amount aside in every scope; durable when it returns.

        A caller that is cancelled meanwhile holds nothing.

        Raises:
            BudgetExceeded: it does not fit in one of them; nothing was set aside. ``pending`` where it would fit
                if attempts that are still on their way turned out to cost less than was reserved for them.
            LedgerFailed: the books cannot be written, so nothing may be spent.
        """
        ...

    def settle(
        self,
        reservation: Reservation,
        nano_usd: int,
        *,
        usage: Usage = ...,
        outcome: Outcome = "answered",
        seconds: float = 0.0,
    ) -> None:
        """Replace a reservation by what was really spent. Does not wait for the disk: until it is there, the
        reservation counts."""
        ...

    def release(self, reservation: Reservation, *, outcome: Outcome = "rejected") -> None:
        """Give a reservation back: it is known that nothing was spent."""
        ...

    def cached(self, entry: Entry, usage: Usage) -> None:
        """Note an answer that cost nothing, since it came from the cache."""
        ...

    def ranked(self, entry: Entry, receipt: Receipt) -> None:
        """Note a finished ranking."""
        ...

    async def share(self, account: str, scope: Scope, update: Callable[[str | None], str]) -> Shared:
        """Change the state that all processes share of an account's pacing. It outlives a killed process.

        Args:
            account: whose state.
            scope: of which the caller wants to know what it holds.
            update: gets what is kept, None at first, and returns what is to be kept. It may be called in another
                thread, and again if the books could not be written, so it must change nothing else.

        Raises:
            LedgerFailed: the books cannot be written.
        """
        ...

    def routed(self, entry: Entry, note: RouteNote) -> None:
        """Put a query into the log of routes. Does not wait for the disk."""
        ...

    def routes(self, chosen: RouteFilter = ...) -> Sequence[Routed]:
        """The log of routes, oldest first, as far as it is durable and was not too long to be kept."""
        ...

    def held(self, scope: Scope) -> int:
        """Nano-dollars settled and reserved in a scope, as far as they are durable."""
        ...

    def forget(self, scope: Scope) -> None:
        """Drop a scope that will not be used again, so that the books do not grow with it."""
        ...

    async def flush(self) -> None:
        """Wait until everything told so far is durable."""
        ...

    def close(self) -> None:
        """Make everything durable and let go of files; may be called again."""
        ...


class MemoryLedger:
    """A ledger for one process, safe over threads and tasks. It keeps totals, not history; of routes the latest."""

    keeps = False

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._routes: deque[Routed] = deque(maxlen=MOST_IN_MEMORY)
        self._lock = threading.Lock()
        self._settled: dict[str, int] = {}
        self._reserved: dict[str, int] = {}
        self._open: dict[int, Reservation] = {}
        self._next = 0
        self._shared: dict[str, str] = {}

    def caps(self, account: str) -> Mapping[str, int]:
        """None are kept."""
        return {}

    def samples(self, model: str) -> tuple[Sample, ...]:
        """None are kept."""
        return ()

    async def reserve(
        self, scopes: Sequence[Scope], nano_usd: int, entry: Entry = Entry(), *, patience_s: float = PATIENCE_S
    ) -> Reservation:
        """See `Ledger.reserve`."""
        with self._lock:
            for scope in scopes:
                settled, reserved = self._settled.get(scope.key, 0), self._reserved.get(scope.key, 0)
                if scope.cap is not None and settled + reserved + nano_usd > scope.cap:
                    pending = reserved > 0 and settled + nano_usd <= scope.cap
                    raise scope.over(scope.cap, settled + reserved, nano_usd, pending=pending)
            self._next += 1
            reservation = Reservation(self._next, tuple(scopes), nano_usd)
            self._open[reservation.id] = reservation
            for scope in scopes:
                self._reserved[scope.key] = self._reserved.get(scope.key, 0) + nano_usd
            return reservation

    def settle(
        self,
        reservation: Reservation,
        nano_usd: int,
        *,
        usage: Usage = Usage(),
        outcome: Outcome = "answered",
        seconds: float = 0.0,
    ) -> None:
        """See `Ledger.settle`. A real cost above the reservation is counted in full."""
        with self._lock:
            del self._open[reservation.id]
            for scope in reservation.scopes:
                self._reserved[scope.key] = self._reserved.get(scope.key, 0) - reservation.nano_usd
                self._settled[scope.key] = self._settled.get(scope.key, 0) + nano_usd

    def release(self, reservation: Reservation, *, outcome: Outcome = "rejected") -> None:
        """See `Ledger.release`."""
        self.settle(reservation, 0, outcome=outcome)

    def held(self, scope: Scope) -> int:
        """Nano-dollars settled and reserved in a scope."""
        with self._lock:
            return self._settled.get(scope.key, 0) + self._reserved.get(scope.key, 0)

    async def share(self, account: str, scope: Scope, update: Callable[[str | None], str]) -> Shared:
        """See `Ledger.share`; the processes are this one only."""
        with self._lock:
            self._shared[account] = update(self._shared.get(account))
            settled, reserved = self._settled.get(scope.key, 0), self._reserved.get(scope.key, 0)
            return Shared(self._shared[account], settled, reserved)

    def forget(self, scope: Scope) -> None:
        """See `Ledger.forget`."""
        with self._lock:
            self._settled.pop(scope.key, None)
            self._reserved.pop(scope.key, None)

    def cached(self, entry: Entry, usage: Usage) -> None:
        """No history is kept."""

    def ranked(self, entry: Entry, receipt: Receipt) -> None:
        """No history is kept."""

    def routed(self, entry: Entry, note: RouteNote) -> None:
        """See `Ledger.routed`."""
        with self._lock:
            self._routes.append(Routed(self._clock(), entry.run, entry.account, entry.qid, note))

    def routes(self, chosen: RouteFilter = RouteFilter()) -> list[Routed]:
        """See `Ledger.routes`."""
        with self._lock:
            return [each for each in self._routes if chosen.fits(each)]

    async def flush(self) -> None:
        """Memory needs none."""

    def close(self) -> None:
        """Memory needs none."""
