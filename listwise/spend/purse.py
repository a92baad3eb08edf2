"""What a run may spend: scopes that nest, each with its cap."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from listwise.spend.ledger import Entry, Ledger, Scope
from listwise.spend.money import nano_usd_down
from listwise.spend.routes import RouteNote
from listwise.types import Receipt


def new_run_id() -> str:
    """A name that no other run has, and that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


@dataclass(frozen=True, slots=True)
class Caps:
    """Dollars that may be spent; None is no cap. A day begins at midnight UTC, as providers bill."""

    run: Decimal | None = None
    day: Decimal | None = None
    account: Decimal | None = None

    @property
    def last(self) -> bool:
        """Whether a cap holds beyond the run, so that memory cannot keep it."""
        return self.day is not None or self.account is not None

    @property
    def any(self) -> bool:
        """Whether there is a cap at all."""
        return self.last or self.run is not None


@dataclass(frozen=True, slots=True)
class Purse:
    """The money of one run, which is counted in the run, in its account's day and month, and in its account."""

    ledger: Ledger
    run: str
    account: str = "default"
    caps: Caps = Caps()
    now: Callable[[], float] = time.time

    def scopes(self, qid: str, cap: Decimal | None) -> tuple[Scope, ...]:
        """The scopes of one ranking, innermost first; its own only if it has a cap.

        The same query may be ranked at the same time by another process of the run, or a fork of this one; each of
        these rankings has the cap to itself.
        """
        own = (Scope("query", f"{qid} #{uuid.uuid4().hex}", _nano(cap)),) if cap is not None else ()
        return (*own, Scope("run", self.run, _nano(self.caps.run)))

    def outer(self) -> tuple[Scope, ...]:
        """The scopes beyond the run, as of now: day, month, account. Only the ledger keeps caps for a month."""
        now = datetime.fromtimestamp(self.now(), UTC)
        return (
            Scope("day", f"{self.account} {now:%Y-%m-%d}", _nano(self.caps.day)),
            Scope("month", f"{self.account} {now:%Y-%m}"),
            Scope("account", self.account, _nano(self.caps.account)),
        )

    def entry(self, qid: str) -> Entry:
        """What the books say of a query's attempts."""
        return Entry(run=self.run, account=self.account, qid=qid)

    def note(self, receipt: Receipt) -> None:
        """Put a finished ranking into the books."""
        self.ledger.ranked(self.entry(receipt.qid), receipt)

    def note_route(self, qid: str, note: RouteNote) -> None:
        """Put what the router did with a query, and what came of it, into the log of routes."""
        self.ledger.routed(self.entry(qid), note)


def _nano(usd: Decimal | None) -> int | None:
    return None if usd is None else nano_usd_down(usd)
