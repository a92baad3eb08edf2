"""A cap for a calendar month holds over its days, and not beyond."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from listwise.errors import BudgetExceeded
from listwise.spend.history import History
from listwise.spend.ledger import Entry
from listwise.spend.money import nano_usd_down
from listwise.spend.purse import Purse
from listwise.spend.sqlite import SqliteLedger
from listwise.spend.tab import Budget
from listwise.spend.terms import Terms


async def test_it_holds_until_the_month_is_over(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    History(ledger.path).keep_cap("a", "month", Decimal("0.01"))
    entry, cents = Entry(account="a"), nano_usd_down(Decimal("0.006"))

    def on(month: int, day: int) -> Purse:
        return Purse(ledger, "r", "a", now=lambda: datetime(2026, month, day, tzinfo=UTC).timestamp())

    await ledger.reserve(on(11, 1).outer(), cents, entry)
    with pytest.raises(BudgetExceeded, match="month a 2026-11: USD budget of 0"):
        await ledger.reserve(on(11, 30).outer(), cents, entry)
    await ledger.reserve(on(12, 1).outer(), cents, entry)
    ledger.close()
    assert History(ledger.path).held("month", "a 2026-11") == Decimal("0.006")


def test_terms_only_ever_tighten_and_name_the_account(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "l.db")
    purse = Purse(ledger, "r", "a")
    assert Terms().purse(purse) is purse
    assert Terms("b").purse(purse) == replace(purse, account="b")
    policy = Budget(usd=Decimal("0.5"), seconds=10)
    assert Terms(usd=Decimal(1), seconds=3).budget(policy) == Budget(usd=Decimal("0.5"), seconds=3)
    assert Terms(usd=Decimal("0.1")).budget(Budget()) == Budget(usd=Decimal("0.1"))
    assert Terms().budget(policy) == policy
    ledger.close()
