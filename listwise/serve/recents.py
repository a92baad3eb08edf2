"""The latest rankings of this worker with their receipts, in memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from listwise.serve.answers import receipt_of
from listwise.serve.bodies import Ask
from listwise.serve.service import Ranked
from listwise.serve.words import words
from listwise.types import Receipt

MOST = 50
"""Rankings that are remembered."""
QUERY_CHARS = 500
TOP, TEXT_CHARS = 3, 300
"""Passages, and as much of each, where queries may be seen."""


@dataclass(frozen=True, slots=True)
class Recent:
    """One ranking, without the passages."""

    id: str
    at: datetime
    account: str | None
    policy: str
    receipt: Receipt
    query: str | None
    """None where queries are not logged."""
    top: tuple[tuple[int, str], ...]
    """Places in the request and texts of the best passages; empty where queries are not logged."""

    def as_record(self) -> dict[str, Any]:
        """As it is shown to whom it belongs."""
        seen = {
            "query": self.query,
            "top": [{"index": index, "text": text} for index, text in self.top],
        }
        return {
            "id": self.id,
            "at": self.at.isoformat(timespec="seconds"),
            "policy": self.policy,
            "documents": self.receipt.candidates,
            "receipt": receipt_of(self.receipt),
            "words": [sentence._asdict() for sentence in words(self.receipt)],
            **({} if self.query is None else seen),
        }


class Recents:
    """Remembers so many; safe within one event loop."""

    def __init__(self, *, log_queries: bool) -> None:
        self._log_queries = log_queries
        self._latest: deque[Recent] = deque(maxlen=MOST)

    def note(self, ranked: Ranked, ask: Ask, account: str | None) -> None:
        """A ranking was made."""
        seen = self._log_queries
        best = ranked.places[:TOP] if seen else ()
        self._latest.append(
            Recent(
                ranked.request_id,
                datetime.now(UTC),
                account,
                ranked.policy,
                ranked.ranking.receipt,
                ask.query[:QUERY_CHARS] if seen else None,
                tuple((at, ask.texts[at][:TEXT_CHARS]) for at in best),
            )
        )

    def of(self, account: str | None) -> list[Recent]:
        """Those of an account, latest first; None is where there are no keys, and so no accounts."""
        return [each for each in reversed(self._latest) if each.account == account]
