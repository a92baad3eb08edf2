"""Contract 2: an attempt is made only if the most it can cost fits the budget, and then costs what it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from listwise.calls import Call
from listwise.errors import BudgetExceeded, CallError
from listwise.layers.base import Answer, Layer
from listwise.layers.counted import Counting
from listwise.log import get_logger
from listwise.spend.ledger import Entry
from listwise.spend.prices import Price, bound
from listwise.spend.tab import Hold, Tab
from listwise.spend.tokens import Count
from listwise.types import Usage

MOST_STRETCH = 4.0
"""No honest server bills more than so many times a bound; what is above is a wrong report."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Worst:
    """The most that an attempt can use."""

    count: Count
    tokens: int
    nano_usd: int


class Budgeted:
    """Reserves the worst case before each attempt and settles the real usage after it.

    A known rejection releases; an unknown outcome (timeout, broken connection, cancellation) costs the worst
    case. Without a price, dollars count as zero. Should a prompt turn out larger than its bound, all later bounds
    are stretched as far. A rerank API that states nothing of what its price goes by costs the worst case, too.
    """

    def __init__(self, inner: Layer, model: str, counting: Counting, price: Price | None) -> None:
        self._inner = inner
        self._model = model
        self._counting = counting
        self._price = price
        self._stretch = 1.0

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        worst = self._worst(call, await self._counting.count(call, tab)) if tab.counts else None
        hold = await tab.reserve(
            worst.tokens if worst else 0, worst.nano_usd if worst else 0, self._entry(call, worst)
        )
        try:
            answer = await self._inner.ask(call, tab)
        except BudgetExceeded:
            tab.release(hold, sent=False)
            raise
        except CallError as error:
            if error.billable:
                self._charge(call, tab, hold, worst)
            else:
                tab.release(hold)
            raise
        except BaseException:
            self._charge(call, tab, hold, worst)
            raise
        usage = answer.completion.usage
        nano_usd = self._price.cost(usage) if self._price else 0
        if usage.assumed or (nano_usd == 0 and call.form == "scores"):
            nano_usd = (worst or self._worst(call, self._counting.local(call))).nano_usd
        elif worst is not None:
            self._learn(usage, worst.count)
        tab.settle(hold, usage, nano_usd)
        return replace(answer, nano_usd=nano_usd)

    def _worst(self, call: Call, count: Count) -> _Worst:
        input_tokens, output_tokens = ceil(count.bound * self._stretch), call.sampling.max_output_tokens
        units = ceil(count.search_units * self._stretch)
        nano_usd = bound(self._price, input_tokens, output_tokens, units) if self._price else 0
        return _Worst(count, input_tokens + output_tokens, nano_usd)

    def _entry(self, call: Call, worst: _Worst | None) -> Entry:
        if worst is None:
            return Entry(model=self._model, priced=self._price is not None, passages=call.passages)
        learnt_from = self._counting.local(call).estimate
        return Entry(
            model=self._model,
            priced=self._price is not None,
            passages=call.passages,
            estimated_input=learnt_from,
            counted=worst.count.rung,
        )

    def _charge(self, call: Call, tab: Tab, hold: Hold, worst: _Worst | None) -> None:
        worst = worst or self._worst(call, self._counting.local(call))
        tab.charge(hold, worst.tokens, worst.nano_usd)

    def _learn(self, usage: Usage, count: Count) -> None:
        stretch = max(usage.input_tokens / max(1, count.bound), usage.search_units / max(1, count.search_units))
        if self._stretch < stretch <= MOST_STRETCH:
            _log.warning("a prompt was larger than its bound; bounds are stretched", model=self._model, by=stretch)
            self._stretch = stretch
