"""What accounts hold now, against the caps that are kept for them: read from the ledger's running sums, so that it
costs the same however long its history is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from listwise.spend.history import History
from listwise.spend.money import usd_of

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Held:
    """What one scope holds."""

    usd: Decimal = NOTHING
    """Settled."""
    reserved_usd: Decimal = NOTHING
    """Set aside for attempts under way; counts against caps."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What one account holds; days and months are UTC's."""

    account: str
    day: Held
    month: Held
    """Since the first attempt of a version that counts months."""
    total: Held
    """Ever."""


def holdings(history: History, now: datetime, account: str | None = None) -> list[Holdings]:
    """Of an account, or of all that hold or are capped, by name.

    Raises:
        ConfigError: the ledger cannot be used.
    """
    accounts = [account] if account is not None else sorted(_accounts(history))
    keys = {
        name: (f"day {name} {now:%Y-%m-%d}", f"month {name} {now:%Y-%m}", f"account {name}") for name in accounts
    }
    found = _held(history, [key for several in keys.values() for key in several])
    return [Holdings(name, *(found.get(key, Held()) for key in several)) for name, several in keys.items()]


def held_by_run(history: History, run: str) -> Held:
    """What a run holds.

    Raises:
        ConfigError: the ledger cannot be used.
    """
    key = f"run {run}"
    return _held(history, [key]).get(key, Held())


def _accounts(history: History) -> set[str]:
    rows = history.query(
        "SELECT substr(key, 9) FROM scope WHERE key GLOB 'account *' UNION SELECT account FROM cap"
    )
    return {str(name) for (name,) in rows}


def _held(history: History, keys: list[str]) -> dict[str, Held]:
    rows = history.query(
        "SELECT key, settled, reserved FROM scope WHERE key IN (SELECT value FROM json_each(?))", json.dumps(keys)
    )
    return {key: Held(usd_of(settled), usd_of(reserved)) for key, settled, reserved in rows}
