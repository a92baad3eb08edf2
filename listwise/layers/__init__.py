"""The layers around a model, put together in the order that is the design."""

from __future__ import annotations

from listwise.cache import AnswerStore
from listwise.layers.barred import Barred
from listwise.layers.base import Answer, Layer
from listwise.layers.breaker import Breaker, Circuit
from listwise.layers.budgeted import Budgeted
from listwise.layers.cached import Cached
from listwise.layers.counted import Counting, TokenCounts
from listwise.layers.limited import Limited
from listwise.layers.observed import Attempted, Observed
from listwise.layers.paced import Paced
from listwise.layers.provider import Provider
from listwise.layers.retried import Retried
from listwise.models.base import Model
from listwise.spend.prices import Price

__all__ = ["Answer", "Counting", "Layer", "TokenCounts", "stack"]


def stack(
    model: Model,
    *,
    store: AnswerStore | None,
    counting: Counting,
    price: Price | None,
    concurrency: int,
    timeout_s: float,
    attempts: int,
    rpm: int | None = None,
    tpm: int | None = None,
) -> Layer:
    """Cache > retry > slots > pace > circuit breaker > budget > provider.

    Waiting for a slot or for the pace comes before money is set aside, and the circuit is looked at after it, as it
    may have opened meanwhile; it is also looked at before, so that nobody queues for a model that is not asked.
    To tell of calls (`listwise.layers.observed`) changes nothing.
    """
    identity, name = model.identity, model.identity.name
    circuit = Circuit(name)
    wire = Attempted(Provider(model, timeout_s), identity)
    attempt = Breaker(Budgeted(wire, name, counting, price), circuit)
    limited = Limited(Paced(attempt, name, rpm=rpm, tpm=tpm), concurrency, circuit.check)
    return Observed(Cached(Barred(Retried(limited, attempts)), store, identity, in_books=True), identity)
