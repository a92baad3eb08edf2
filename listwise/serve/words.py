"""A receipt in words, for people who look at the page: pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from listwise.serve.naming import shown_scorer
from listwise.spend.money import dollars
from listwise.types import Receipt

What = Literal["order", "why", "cost", "repaired", "noted", "degraded"]


class Sentence(NamedTuple):
    """Something that a receipt says."""

    what: What
    text: str


def words(receipt: Receipt) -> list[Sentence]:
    """Who put the passages in order and why, what it cost, and what was not as usual."""
    return list(_words(receipt))


def _words(receipt: Receipt) -> Iterator[Sentence]:
    yield Sentence("order", _order(receipt))
    yield Sentence("why", receipt.reason)
    yield Sentence("cost", _cost(receipt))
    if receipt.repairs:
        kinds = ", ".join(f"{kind.replace('_', ' ')} {count}" for kind, count in receipt.repairs.items())
        yield Sentence("repaired", f"answers were repaired: {kinds}")
    if receipt.truncated:
        yield Sentence("noted", f"{receipt.truncated} passages were shortened to fit")
    yield from (Sentence("noted", each) for each in receipt.notes)
    yield from (Sentence("degraded", each) for each in receipt.degraded)


def _order(receipt: Receipt) -> str:
    passages = counted(receipt.candidates, "passage")
    if receipt.ordered_by:
        by = " and ".join(f"{model} ({counted(n, 'window')})" for model, n in receipt.ordered_by.items())
        made_up = ", simulated" if receipt.simulated else ""
        return f"{passages}, put in order by {by}, {receipt.strategy}{made_up}"
    match receipt.fallback or receipt.route:
        case "local":
            return f"{passages}, in the order of the local model {shown_scorer(receipt.local or '')}".rstrip()
        case "empty":
            return "there was nothing to rank"
    return f"{passages}, in the order in which they came"


def _cost(receipt: Receipt) -> str:
    spent = (dollars(receipt.usd) if receipt.usd else "$0") if receipt.priced else "no price known"
    parts = [f"{receipt.seconds:.3f} s", spent + " (made up)" * receipt.simulated]
    if receipt.calls:
        parts += [
            f"{counted(receipt.calls, 'call')}, {receipt.cache_hits:,} from the cache",
            f"{counted(receipt.passages_read, 'passage')} read",
        ]
    if receipt.input_tokens or receipt.output_tokens:
        parts.append(f"{receipt.input_tokens:,} + {receipt.output_tokens:,} tokens")
    if receipt.retries:
        parts.append(counted(receipt.retries, "retry", "retries"))
    return "; ".join(parts)


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number of things."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
