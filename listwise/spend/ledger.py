"""Who may spend what: reserve the most an attempt can cost, settle what it did cost.

Invariant, held under a lock: for every scope with a cap, settled + reserved <= cap. A reservation is settled or
released exactly once.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from listwise.errors import BudgetExceeded
from listwise.spend.money import usd_of


@dataclass(frozen=True, slots=True)
class Scope:
    """Something that money is counted for (a query, a run), with its cap in nano-dollars; None is no cap."""

    name: str
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nano-dollars set aside in all of ``scopes``."""

    id: int
    scopes: tuple[Scope, ...]
    nano_usd: int


class Ledger(Protocol):
    """Atomic over all scopes of a reservation: either all hold it, or none."""

    def reserve(self, scopes: Sequence[Scope], nano_usd: int) -> Reservation:
        """Set an amount aside in every scope.

        Raises:
            BudgetExceeded: it does not fit in one of them; nothing was set aside.
        """
        ...

    def settle(self, reservation: Reservation, nano_usd: int) -> None:
        """Replace a reservation by what was really spent."""
        ...

    def release(self, reservation: Reservation) -> None:
        """Give a reservation back: it is known that nothing was spent."""
        ...

    def forget(self, scope: str) -> None:
        """Drop a scope that will not be used again, so that a long run does not grow."""
        ...


class MemoryLedger:
    """A ledger for one process, safe over threads and tasks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._open: dict[int, Reservation] = {}
        self._next = 0

    def reserve(self, scopes: Sequence[Scope], nano_usd: int) -> Reservation:
        """See `Ledger.reserve`."""
        with self._lock:
            for scope in scopes:
                held = self._held.get(scope.name, 0)
                if scope.cap is not None and held + nano_usd > scope.cap:
                    raise BudgetExceeded(
                        f"{scope.name.partition(' #')[0]}: USD",
                        cap=usd_of(scope.cap),
                        spent=usd_of(held),
                        asked=usd_of(nano_usd),
                    )
            self._next += 1
            reservation = Reservation(self._next, tuple(scopes), nano_usd)
            self._open[reservation.id] = reservation
            self._add(reservation, nano_usd)
            return reservation

    def settle(self, reservation: Reservation, nano_usd: int) -> None:
        """See `Ledger.settle`. A real cost above the reservation is counted in full."""
        with self._lock:
            del self._open[reservation.id]
            self._add(reservation, nano_usd - reservation.nano_usd)

    def release(self, reservation: Reservation) -> None:
        """See `Ledger.release`."""
        self.settle(reservation, 0)

    def held(self, scope: str) -> int:
        """Nano-dollars settled and reserved in a scope."""
        with self._lock:
            return self._held.get(scope, 0)

    def forget(self, scope: str) -> None:
        """See `Ledger.forget`."""
        with self._lock:
            self._held.pop(scope, None)

    def _add(self, reservation: Reservation, nano_usd: int) -> None:
        for scope in reservation.scopes:
            self._held[scope.name] = self._held.get(scope.name, 0) + nano_usd
