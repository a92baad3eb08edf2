"""What stands around a model, put there as a policy's settings say: its price, and the layers."""

from __future__ import annotations

from datetime import date

from listwise.cache import AnswerStore
from listwise.calls import Identity
from listwise.layers import Counting, Layer, stack
from listwise.log import get_logger
from listwise.models.base import Model
from listwise.policy import Policy
from listwise.spend.prices import Price, PriceBook, is_old, require_price

_log = get_logger(__name__)


def price_of(policy: Policy, identity: Identity, *, capped: bool) -> Price | None:
    """The price of a model; says so if it is old. None where nobody states one, and no dollar cap needs it.

    Args:
        policy: states prices, and caps.
        identity: the model.
        capped: whether a dollar cap holds that is not the policy's own.

    Raises:
        Unpriced: it is needed, and nobody states one.
    """
    book = PriceBook.of(policy.prices, policy.price)
    find = require_price if policy.has_dollar_cap or capped else PriceBook.find
    price = find(book, identity.name, identity.base_url)
    if price is not None and is_old(price, date.today()):
        _log.warning("prices are old; see `listwise prices`", model=identity.name, as_of=str(price.as_of))
    return price


def wrapped(
    policy: Policy,
    model: Model,
    store: AnswerStore | None,
    counting: Counting,
    price: Price | None,
    *,
    rpm: int | None = None,
    tpm: int | None = None,
) -> Layer:
    """The layers around a model, with the policy's concurrency, timeout and attempts; no call is made."""
    return stack(
        model,
        store=store,
        counting=counting,
        price=price,
        concurrency=policy.concurrency,
        timeout_s=policy.timeout_s,
        attempts=policy.attempts,
        rpm=rpm,
        tpm=tpm,
    )
