"""The layers around a model, put together in the order that is the design."""

from __future__ import annotations

from listwise.cache import AnswerStore
from listwise.layers.barred import Barred
from listwise.layers.base import Answer, Layer
from listwise.layers.budgeted import Budgeted
from listwise.layers.cached import Cached
from listwise.layers.counted import TokenCounts
from listwise.layers.limited import Limited
from listwise.layers.provider import Provider
from listwise.layers.retried import Retried
from listwise.models.base import Model
from listwise.spend.prices import Price
from listwise.spend.tokens import TokenCounter

__all__ = ["Answer", "Layer", "TokenCounts", "stack"]


def stack(
    model: Model,
    *,
    store: AnswerStore | None,
    counter: TokenCounter,
    price: Price | None,
    concurrency: int,
    timeout_s: float,
    attempts: int,
) -> Layer:
    """Cache > retry > rate limit > budget > provider."""
    attempt = Limited(Budgeted(Provider(model, timeout_s), model.identity.name, counter, price), concurrency)
    return Cached(Barred(Retried(attempt, attempts)), store, model.identity, in_books=True)
