"""Amounts of money. Inside they are integers of nano-dollars, which add up exactly; outside, Decimal dollars."""

from __future__ import annotations

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal

NANO = 10**9
MOST_USD = Decimal(10**9)
"""No cap and no bill that is stated may be larger: the ledger counts nano-dollars in 64 bits, and adds them up."""

_DIGITS = 9
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""For operations that need as many digits as their operands have: the usual 28 would round."""


def nano_usd_up(usd: Decimal) -> int:
    """Nano-dollars, rounded up: for what something costs."""
    return int(_EXACT.scaleb(usd, _DIGITS).to_integral_value(ROUND_CEILING, _EXACT))


def nano_usd_down(usd: Decimal) -> int:
    """Nano-dollars, rounded down: for what may be spent."""
    return int(_EXACT.scaleb(usd, _DIGITS).to_integral_value(ROUND_FLOOR, _EXACT))


def usd_of(nano_usd: int) -> Decimal:
    """Dollars, exact, without trailing zeros. To show them, see `plain`."""
    amount = _EXACT.normalize(_EXACT.scaleb(Decimal(nano_usd), -_DIGITS))
    return _EXACT.quantize(amount, Decimal(1)) if amount == amount.to_integral_value() else amount


def plain(usd: Decimal) -> str:
    """An amount in full: ``str`` writes small ones with an exponent."""
    return f"{usd:f}"


def dollars(usd: Decimal) -> str:
    """An amount as people write it, with enough digits to see small ones."""
    return f"${usd:.2f}" if usd >= 100 else f"${usd:.4f}" if usd >= Decimal("0.01") or usd == 0 else f"${usd:.6f}"
