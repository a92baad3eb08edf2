"""What runs cost, by the receipts of ``listwise rerank --receipts``, and what they gain for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from listwise.errors import InputError
from listwise.eval.statistics import Interval
from listwise.formats.lines import json_lines, not_empty

COUNTS = ("calls", "cache_hits", "passages_read", "input_tokens", "output_tokens")

Receipts = Mapping[str, Mapping[str, Any]]
"""Receipts by qid, as they stand in a file."""


@dataclass(frozen=True, slots=True)
class Bill:
    """The sum over some queries' receipts."""

    queries: int
    usd: Decimal
    """What was paid; answers from the cache add nothing."""
    priced: bool
    """False where the model of any query has no known price, so that ``usd`` says nothing."""
    simulated: bool
    """Whether the LLM of any query was a simulation: then dollars and tokens are made up."""
    calls: int
    cache_hits: int
    """Calls that the cache answered: paid for by an earlier run."""
    passages_read: int
    input_tokens: int
    output_tokens: int
    seconds: float
    """The sum of the queries' wall times; several may have run at once."""


def read_receipts(path: str | Path) -> Receipts:
    """Read the receipts of a run.

    Raises:
        InputError: a line is malformed or no receipt, or a query occurs twice.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for number, record in json_lines(path):
        qid = record.get("qid")
        if not isinstance(qid, str) or not isinstance(record.get("route"), str):
            raise InputError("no receipt: write them with listwise rerank --receipts", path=path, line=number)
        if qid in found:
            raise InputError("this query occurs twice", path=path, line=number, qid=qid)
        for name in ("usd", "seconds", *COUNTS):
            value = record.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise InputError(f"{name} is not a positive number or 0", path=path, line=number, qid=qid)
        found[qid] = record
    not_empty(found, path, "receipts")
    return found


def bill(receipts: Receipts, qids: Collection[str] | None = None) -> Bill:
    """The sum of the receipts of some queries, or of all; queries without a receipt add nothing."""
    chosen = [receipt for qid, receipt in receipts.items() if qids is None or qid in qids]
    return Bill(
        queries=len(chosen),
        usd=sum((Decimal(repr(receipt.get("usd", 0))) for receipt in chosen), Decimal(0)),
        priced=all(receipt.get("priced", True) for receipt in chosen),
        simulated=any(receipt.get("simulated", False) for receipt in chosen),
        seconds=float(sum(receipt.get("seconds", 0.0) for receipt in chosen)),
        **{name: sum(int(receipt.get(name, 0)) for receipt in chosen) for name in COUNTS},
    )


def gain_per_usd(difference: Interval, queries: int, usd: Decimal) -> Interval | None:
    """What a dollar more buys: the difference to the baseline, summed over the queries, for each dollar that they
    cost more than the baseline. Costs are taken as they are: the interval is that of the difference.

    None where nothing more was paid.
    """
    return difference.times(queries / float(usd)) if usd > 0 else None
