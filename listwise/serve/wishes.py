"""What a client may choose, from headers and the body's ``listwise`` object: pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from listwise.policy import Policy
from listwise.serve.bodies import Ask, Wish
from listwise.serve.refusals import Refusal
from listwise.serve.settings import Limits

HEADERS = {"x-listwise-policy": "policy", "x-listwise-budget": "budget_usd", "x-listwise-deadline": "deadline_s"}


def wish_of(ask: Ask, headers: Mapping[str, str]) -> Wish:
    """What the body says, and what the headers say beyond it.

    Raises:
        Refusal: a header cannot be read.
    """
    given: dict[str, Any] = {name: headers[header] for header, name in HEADERS.items() if header in headers}
    try:
        by_header = Wish.model_validate(given, strict=False)
    except ValidationError as error:
        spelt = {name: header for header, name in HEADERS.items()}
        problem = error.errors(include_input=False, include_url=False)[0]
        raise Refusal(422, "invalid", f"{spelt[str(problem['loc'][0])]}: {problem['msg']}") from None
    said = {} if ask.wish is None else ask.wish.model_dump(exclude_none=True)
    return by_header.model_copy(update=said)


def policy_named(wish: Wish, ask: Ask, policies: Mapping[str, Policy]) -> str:
    """The policy that is to rank: the one wished for, else one that the model's name says, else the first.

    Raises:
        Refusal: none goes by the name wished for.
    """
    if wish.policy is not None:
        if wish.policy not in policies:
            raise Refusal(422, "invalid", f"no such policy is offered; there are: {', '.join(policies)}")
        return wish.policy
    return ask.model if ask.model is not None and ask.model in policies else next(iter(policies))


def deadline_s(wish: Wish, policy: Policy, limits: Limits) -> float:
    """Seconds for the whole request: the least of what client, policy and service say."""
    said = [each for each in (wish.deadline_s, policy.max_seconds) if each is not None]
    return min([*said, limits.deadline_s])


def check_size(ask: Ask, limits: Limits) -> None:
    """Whether there are not too many documents, and none too long.

    Raises:
        Refusal: there are.
    """
    if len(ask.texts) > limits.documents:
        raise Refusal(422, "invalid", f"{len(ask.texts)} documents: at most {limits.documents} are ranked at once")
    if len(ask.query) > limits.query_chars:
        raise Refusal(422, "invalid", f"the query has {len(ask.query)} characters: at most {limits.query_chars}")
    for at, text in enumerate(ask.texts):
        if len(text) > limits.document_chars:
            raise Refusal(
                422,
                "invalid",
                f"document {at} has {len(text)} characters: at most {limits.document_chars} are taken",
            )
