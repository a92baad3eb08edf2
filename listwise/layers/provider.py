"""The innermost layer: one attempt, bounded in time."""

from __future__ import annotations

import asyncio

from listwise.calls import Call
from listwise.errors import Broken, BudgetExceeded, ListwiseError, Timeout
from listwise.layers.base import Answer
from listwise.log import get_logger
from listwise.models.base import Model
from listwise.spend.tab import Tab

_log = get_logger(__name__)

TIMER_SLACK_S = 0.01
"""By how much a timer may be early."""


class Provider:
    """Puts a call to the model, within the request timeout and what is left of the query's time."""

    def __init__(self, model: Model, timeout_s: float) -> None:
        self._model = model
        self._timeout_s = timeout_s

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        left = tab.seconds_left()
        timeout_s = self._timeout_s if left is None else min(left, self._timeout_s)
        try:
            async with asyncio.timeout(timeout_s):
                return Answer(await self._model.complete(call, timeout_s=timeout_s))
        except TimeoutError as error:
            late = Timeout(f"no answer within {timeout_s:.3g} s", model=self._model.identity.name)
            late.by_deadline = timeout_s < self._timeout_s
            raise late from error
        except Timeout as error:
            error.by_deadline = timeout_s < self._timeout_s and _is_up(tab)
            raise
        except ListwiseError:
            raise
        except Exception as error:  # an adapter's mistake must not break a ranking
            _log.exception("a model's adapter failed", model=self._model.identity.name)
            raise Broken(f"its adapter failed: {type(error).__name__}", model=self._model.identity.name) from error


def _is_up(tab: Tab) -> bool:
    """Whether nothing that counts is left of the query's time."""
    try:
        left_s = tab.seconds_left()
    except BudgetExceeded:
        return True
    return left_s is not None and left_s < TIMER_SLACK_S
