"""What one query is ranked on, where that is not its policy's to say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeVar

from listwise.spend.purse import Purse
from listwise.spend.tab import Budget


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose money a query spends, and limits that go below its policy's; None leaves it to the policy."""

    account: str | None = None
    usd: Decimal | None = None
    """Dollars it may cost."""
    seconds: float | None = None
    """Wall time it may take."""

    def purse(self, purse: Purse) -> Purse:
        """The same run's money, counted for the account."""
        return purse if self.account is None else replace(purse, account=self.account)

    def budget(self, budget: Budget) -> Budget:
        """The lower of both limits."""
        return replace(budget, usd=_lower(self.usd, budget.usd), seconds=_lower(self.seconds, budget.seconds))


_Amount = TypeVar("_Amount", Decimal, float)


def _lower(one: _Amount | None, other: _Amount | None) -> _Amount | None:
    return one if other is None else other if one is None else min(one, other)
