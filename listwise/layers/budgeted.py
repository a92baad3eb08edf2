"""Contract 2: an attempt is made only if the most it can cost fits the budget, and then costs what it cost."""

from __future__ import annotations

from dataclasses import replace

from listwise.calls import Call
from listwise.errors import BudgetExceeded, CallError
from listwise.layers.base import Answer, Layer
from listwise.spend.prices import Price, bound
from listwise.spend.tab import Tab
from listwise.spend.tokens import TokenCounter


class Budgeted:
    """Reserves the worst case before each attempt and settles the real usage after it.

    A known rejection releases; an unknown outcome (timeout, broken connection, cancellation) costs the worst
    case. Without a price, dollars count as zero.
    """

    def __init__(self, inner: Layer, counter: TokenCounter, price: Price | None) -> None:
        self._inner = inner
        self._counter = counter
        self._price = price

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        hold = tab.reserve(*(self._worst_case(call) if tab.budget.counts_tokens else (0, 0)))
        try:
            answer = await self._inner.ask(call, tab)
        except BudgetExceeded:
            tab.release(hold, sent=False)
            raise
        except CallError as error:
            if error.billable:
                tab.charge(hold, *self._worst_case(call))
            else:
                tab.release(hold)
            raise
        except BaseException:
            tab.charge(hold, *self._worst_case(call))
            raise
        usage = answer.completion.usage
        nano_usd = self._price.cost(usage) if self._price else 0
        tab.settle(hold, usage, nano_usd)
        return replace(answer, nano_usd=nano_usd)

    def _worst_case(self, call: Call) -> tuple[int, int]:
        """The most tokens and nano-dollars that an attempt can use."""
        input_tokens, output_tokens = self._counter.call_bound(call), call.sampling.max_output_tokens
        nano_usd = bound(self._price, input_tokens, output_tokens) if self._price else 0
        return input_tokens + output_tokens, nano_usd
