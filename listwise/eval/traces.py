"""Traces and receipts, read back, and what they tell of a query: which passage moved where, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from listwise.errors import InputError
from listwise.eval.records import read_records
from listwise.formats.lines import not_empty
from listwise.spend.prices import is_simulated
from listwise.types import Receipt, WindowTrace

_WINDOW: Final = TypeAdapter(WindowTrace)
_RECEIPT: Final = TypeAdapter(Receipt)

Traces = Mapping[str, Sequence[WindowTrace]]
"""The windows of each query, in the order asked, by qid."""

REPLAYED = ("sliding", "single", "full")
"""Strategies whose windows put passages in order where these stand."""


@dataclass(frozen=True, slots=True)
class Move:
    """What an answer did to one passage of its window; places count from 1."""

    docid: str
    shown: int
    placed: int

    @property
    def up(self) -> int:
        """Places gained; negative if the passage fell."""
        return self.shown - self.placed


@dataclass(frozen=True, slots=True)
class Sums:
    """What the windows of a query come to."""

    windows: int
    steps: int
    passages: int
    """The sum of the window sizes."""
    moves: int
    """Passages that an answer put in another place than they were shown in, summed over windows."""
    unordered: int
    """Windows that kept their order, for want of an answer that could be read."""
    cached: int
    repairs: int
    input_tokens: int
    output_tokens: int
    usd: Decimal
    simulated: bool


def read_traces(path: str | Path) -> Traces:
    """Read what ``listwise rerank --trace`` wrote; queries in the order of the file.

    Raises:
        InputError: the file cannot be read, is empty, or a line is no window; names the line.
    """
    windows: dict[str, list[WindowTrace]] = {}
    for number, window in read_records(path, _WINDOW, "window of a trace"):
        _check(window, path, number)
        windows.setdefault(window.qid, []).append(window)
    not_empty(windows, path, "windows")
    return windows


def read_receipts(path: str | Path) -> dict[str, Receipt]:
    """Read what ``listwise rerank --receipts`` wrote, by qid.

    Raises:
        InputError: the file cannot be read, is empty, a line is no receipt, or a query has two; names the line.
    """
    receipts: dict[str, Receipt] = {}
    for number, receipt in read_records(path, _RECEIPT, "receipt"):
        if receipt.qid in receipts:
            raise InputError("a second receipt of this query", path=path, line=number, qid=receipt.qid)
        receipts[receipt.qid] = receipt
    not_empty(receipts, path, "receipts")
    return receipts


def moves(window: WindowTrace) -> list[Move]:
    """The passages of a window in the order answered, or as shown where there was no order."""
    order = window.permutation if window.permutation is not None else range(len(window.docids))
    return [Move(window.docids[at], at + 1, placed) for placed, at in enumerate(order, 1)]


def sums(windows: Sequence[WindowTrace]) -> Sums:
    """Add up the windows of one query, or of many."""
    return Sums(
        windows=len(windows),
        steps=len({(window.qid, window.step) for window in windows}),
        passages=sum(len(window.docids) for window in windows),
        moves=sum(move.up != 0 for window in windows for move in moves(window)),
        unordered=sum(window.permutation is None for window in windows),
        cached=sum(window.cached for window in windows),
        repairs=sum(sum(window.repairs.values()) for window in windows),
        input_tokens=sum(window.usage.input_tokens for window in windows),
        output_tokens=sum(window.usage.output_tokens for window in windows),
        usd=sum((window.usd for window in windows), Decimal(0)),
        simulated=any(is_simulated(window.model) for window in windows),
    )


def replayed(windows: Sequence[WindowTrace], strategy: str | None = None) -> tuple[list[str], list[str]] | None:
    """The order before and after, of the passages that were read, where the windows alone tell it.

    They do where each window took up the head of what those before had left, and read on upwards: sliding windows
    from the bottom up, or a single one. Other strategies put orders together in ways that a trace does not hold.

    Args:
        windows: of one query, in the order asked.
        strategy: the receipt's; None is unknown.

    Returns:
        Docids before and after, best first; None where the windows do not tell.
    """
    if strategy is not None and strategy not in REPLAYED:
        return None
    before: list[str] = []
    after: list[str] = []
    for window in windows:
        known = set(after)
        fresh = [docid for docid in window.docids if docid not in known]
        again = len(window.docids) - len(fresh)
        apart = bool(after) and not again
        if window.sample or apart or list(window.docids) != [*fresh, *after[:again]]:
            return None
        before = [*fresh, *before]
        after = [*(move.docid for move in moves(window)), *after[again:]]
    return before, after


def _check(window: WindowTrace, path: str | Path, number: int) -> None:
    if len(set(window.docids)) != len(window.docids):
        raise InputError("a window that shows a passage twice", path=path, line=number, qid=window.qid)
    if window.permutation is not None and sorted(window.permutation) != list(range(len(window.docids))):
        message = f"no permutation of the {len(window.docids)} passages shown"
        raise InputError(message, path=path, line=number, qid=window.qid)


def escaped(text: str) -> str:
    """Untrusted text, on one line of a terminal: what is not printable is written out, as ``\\x1b`` or ``\\n``."""
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
