"""Contract 2: an attempt is made only if the most it can cost fits the budget, and then costs what it cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from listwise.calls import Call
from listwise.errors import BudgetExceeded, CallError
from listwise.layers.base import Answer, Layer
from listwise.spend.ledger import Entry
from listwise.spend.prices import Price, bound
from listwise.spend.tab import Tab
from listwise.spend.tokens import TokenCounter


@dataclass(frozen=True, slots=True)
class _Worst:
    """The most that an attempt can use, and what the books say of it."""

    tokens: int
    nano_usd: int
    entry: Entry


class Budgeted:
    """Reserves the worst case before each attempt and settles the real usage after it.

    A known rejection releases; an unknown outcome (timeout, broken connection, cancellation) costs the worst
    case. Without a price, dollars count as zero.
    """

    def __init__(self, inner: Layer, model: str, counter: TokenCounter, price: Price | None) -> None:
        self._inner = inner
        self._model = model
        self._counter = counter
        self._price = price

    async def ask(self, call: Call, tab: Tab) -> Answer:
        """See `Layer.ask`."""
        worst = self._worst(call) if tab.counts else None
        reserved = worst or _Worst(0, 0, Entry(model=self._model, passages=call.passages))
        hold = await tab.reserve(reserved.tokens, reserved.nano_usd, reserved.entry)
        try:
            answer = await self._inner.ask(call, tab)
        except BudgetExceeded:
            tab.release(hold, sent=False)
            raise
        except CallError as error:
            if error.billable:
                worst = worst or self._worst(call)
                tab.charge(hold, worst.tokens, worst.nano_usd)
            else:
                tab.release(hold)
            raise
        except BaseException:
            worst = worst or self._worst(call)
            tab.charge(hold, worst.tokens, worst.nano_usd)
            raise
        usage = answer.completion.usage
        nano_usd = self._price.cost(usage) if self._price else 0
        tab.settle(hold, usage, nano_usd)
        return replace(answer, nano_usd=nano_usd)

    def _worst(self, call: Call) -> _Worst:
        input_tokens, output_tokens = self._counter.call_bound(call), call.sampling.max_output_tokens
        nano_usd = bound(self._price, input_tokens, output_tokens) if self._price else 0
        entry = Entry(
            model=self._model, passages=call.passages, estimated_input=input_tokens, counted=self._counter.rung
        )
        return _Worst(input_tokens + output_tokens, nano_usd, entry)
