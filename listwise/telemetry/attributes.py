"""What spans say of calls, answers and rankings: pure. Numbers, names and types of errors; never a text."""

from __future__ import annotations

from urllib.parse import urlsplit

from listwise.calls import Call, Completion, Identity
from listwise.telemetry import names
from listwise.telemetry.spans import Attributes, Value
from listwise.types import Receipt

_PORTS = {"http": 80, "https": 443}
LONGEST_NAME = 128
"""Of a model, as its server gives it."""


def of_model(identity: Identity, operation: str) -> dict[str, Value]:
    """Which model, and where it is: known before a call, and so what samplers may go by."""
    said: dict[str, Value] = {
        names.OPERATION: operation,
        names.PROVIDER: identity.provider,
        names.REQUEST_MODEL: identity.model,
    }
    try:
        address = urlsplit(identity.base_url)
        port = address.port or _PORTS.get(address.scheme)
    except ValueError:  # a model of the user's own may be wherever it says
        return said
    if address.hostname and port:
        said |= {names.SERVER_ADDRESS: address.hostname, names.SERVER_PORT: port}
    return said


def of_call(call: Call) -> Attributes:
    """How an answer is to be drawn."""
    sampling = call.sampling
    said: dict[str, Value | None] = {
        names.PASSAGES: call.passages,
        names.MAX_TOKENS: sampling.max_output_tokens or None,
        names.TEMPERATURE: sampling.temperature,
        names.REASONING_LEVEL: sampling.reasoning_effort,
        names.SEED: sampling.seed,
    }
    return {name: value for name, value in said.items() if value is not None}


def of_answer(completion: Completion, nano_usd: int, *, cached: bool) -> Attributes:
    """What came. Tokens are those that were bought now: an answer at hand has none."""
    said: dict[str, Value] = {
        names.CACHED: cached,
        names.RESPONSE_MODEL: completion.served_by[:LONGEST_NAME],
        names.FINISH_REASONS: [completion.finish],
    }
    if cached:
        return said
    usage = completion.usage
    said |= {names.INPUT_TOKENS: usage.input_tokens, names.OUTPUT_TOKENS: usage.output_tokens}
    said |= {names.USD: nano_usd / 1e9}
    parts = {
        names.CACHE_READ_TOKENS: usage.cached_input_tokens,
        names.CACHE_WRITE_TOKENS: usage.cache_write_tokens,
        names.REASONING_TOKENS: usage.reasoning_tokens,
    }
    return said | {name: tokens for name, tokens in parts.items() if tokens}


def of_receipt(receipt: Receipt) -> Attributes:
    """What a ranking was, and cost."""
    said: dict[str, Value] = {
        names.QID: receipt.qid,
        names.ROUTE: receipt.route,
        names.TIER: tier_of(receipt),
        names.CANDIDATES: receipt.candidates,
        names.CALLS: receipt.calls,
        names.CACHE_HITS: receipt.cache_hits,
        names.RETRIES: receipt.retries,
        names.USD: float(receipt.usd),
        names.DEGRADED: len(receipt.degraded),
    }
    return said if receipt.over_cap is None else said | {names.OVER_CAP: receipt.over_cap}


def tier_of(receipt: Receipt) -> str:
    """The tier that decided an order."""
    return "llm" if receipt.ordered_by else receipt.fallback or receipt.route
