"""Amounts of money. Inside they are integers of nano-dollars, which add up exactly; outside, Decimal dollars."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

NANO = 10**9


def nano_usd_up(usd: Decimal) -> int:
    """Nano-dollars, rounded up: for what something costs."""
    return int((usd * NANO).to_integral_value(ROUND_CEILING))


def nano_usd_down(usd: Decimal) -> int:
    """Nano-dollars, rounded down: for what may be spent."""
    return int((usd * NANO).to_integral_value(ROUND_FLOOR))


def usd_of(nano_usd: int) -> Decimal:
    """Dollars, exact, without trailing zeros or exponent."""
    amount = (Decimal(nano_usd) / NANO).normalize()
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount
