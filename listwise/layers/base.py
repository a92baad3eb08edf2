"""What stands between the engine and a model: small layers, each knowing only the one below.

    cache > retry > slots > pace > circuit breaker > budget > provider

A hit takes no slot and no money, every attempt reserves for itself, a sleeping retry holds no slot, and a call that
waits for its turn holds no money.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from listwise.calls import Call, Completion
from listwise.spend.tab import Tab


@dataclass(frozen=True, slots=True)
class Answer:
    """A raw answer and what it cost now."""

    completion: Completion
    nano_usd: int = 0
    cached: bool = False


class Layer(Protocol):
    """Answers a call on behalf of one query's account."""

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """Answer one call.

        Raises:
            CallError: the model could not be reached, or would not answer.
            BudgetExceeded: asking could exceed a cap of the query; nothing was sent.
        """
        ...
