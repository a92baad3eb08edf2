"""How answers are read: checked where they come in, and never believed further than that.

A body that is no answer is an error. A usage that cannot be right (missing, negative, text, more cached tokens than
there are, far fewer than the texts have, far more than prompt and model can have) does not spoil the answer, which
was paid for: the call then costs the worst case, as far as it can be told here.

More than the worst case is believed as far as it can be true. Some servers do not keep to the limit that an answer
is given, some leave reasoning out of it, and bill what they did; books that said less would let a cap be passed. So
a server that miscounts makes no call free, and none dearer than `MOST_STRETCH` prompts and `MOST_ANSWERED` tokens.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from listwise.calls import Call
from listwise.models.failures import Failures
from listwise.spend.tokens import counter_for
from listwise.types import Usage

MOST_TOKENS = 10_000_000
"""No model reads or writes more in one call."""
MOST_STRETCH, UNSEEN_PROMPT = 4, 8_192
"""No server counts more than so many times a prompt's bound, and the tokens of one that it puts before ours."""
MOST_ANSWERED = 131_072
"""The longest answers that models give, reasoning included, whatever limit was asked for."""


class Body(BaseModel):
    """A part of an answer. Unknown fields are let pass; errors never quote the input."""

    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)


def _none_if_unbelievable(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        return None


T = TypeVar("T")
B = TypeVar("B", bound=BaseModel)

Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
OptionalTokens = Annotated[int | None, Field(ge=0, le=MOST_TOKENS)]
TierWord = Annotated[str, Field(pattern=r"^[a-z_]{1,20}$")]
"""A service tier, as a provider names it."""
Believable = Annotated[T | None, WrapValidator(_none_if_unbelievable)]
"""None where the value is not what it should be."""


def read_body(body: type[B], content: bytes, failures: Failures) -> B:
    """An answer's content.

    Raises:
        Garbled: it is no such answer; billable.
    """
    try:
        return body.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise failures.of_answer(f"the body is no answer of this interface ({what})") from error


def believed(usage: Usage | None, call: Call, model: str, text: str) -> Usage:
    """The usage that a call answered with ``text`` is settled with: as stated, or the worst case where that cannot
    be right.

    ``model`` is ``provider/name``.
    """
    counter = counter_for(model)
    count, asked_for = counter.count(call), call.sampling.max_output_tokens
    if usage is not None and (
        usage.cached_input_tokens + usage.cache_write_tokens <= usage.input_tokens
        and usage.reasoning_tokens <= usage.output_tokens
        and count.floor <= usage.input_tokens <= MOST_STRETCH * count.bound + UNSEEN_PROMPT
        and counter.floor(text) <= usage.output_tokens <= max(asked_for, MOST_ANSWERED)
    ):
        return usage
    return Usage(count.bound, output_tokens=asked_for, assumed=True)


def left_out(total_tokens: int | None, counted: int) -> int:
    """Tokens that only a usage's total counts: reasoning, which xAI and gateways to Gemini state apart."""
    return 0 if total_tokens is None else max(0, total_tokens - counted)


def order_schema(passages: int, *, counted: bool = True) -> dict[str, object]:
    """JSON schema of ``{"order": [2, 1, 3]}``, identifiers from 1, the most relevant first.

    ``counted`` bounds the length of the list, for servers that know ``minItems``. None of them can demand that the
    identifiers differ.
    """
    order: dict[str, object] = {"type": "array", "items": {"type": "integer", "enum": list(range(1, passages + 1))}}
    if counted:
        order |= {"minItems": passages, "maxItems": passages}
    return {
        "type": "object",
        "properties": {"order": order},
        "required": ["order"],
        "additionalProperties": False,
    }
