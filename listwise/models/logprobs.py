"""Log-probabilities as OpenAI's interfaces give them, and what of them is kept."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from pydantic import Field

from listwise.calls import ALTERNATIVES, LEADING_TOKENS, Alternatives, Call
from listwise.models.answers import Body

ROUNDING = 1e-3
"""How far above 0 a log-probability is taken for 0."""


class Alternative(Body):
    """A token, and how likely it was."""

    token: str
    logprob: float


class Place(Alternative):
    """One token of an answer, and what might have stood there."""

    top_logprobs: tuple[Alternative, ...] = Field(default=(), strict=False)

    @property
    def alternatives(self) -> Alternatives:
        """The likeliest tokens, the one that was drawn among them; as far as the numbers can be log-probabilities.

        A token that is stated twice (bytes of different characters look alike) has the higher one."""
        likely: dict[str, float] = {}
        each: Alternative
        for each in (*self.top_logprobs[:ALTERNATIVES], self):
            if isfinite(each.logprob) and each.logprob <= ROUNDING:
                logprob = min(0.0, each.logprob)
                likely[each.token] = max(logprob, likely.get(each.token, logprob))
        return likely


def leading(call: Call, places: Sequence[Place] | None) -> tuple[Alternatives, ...] | None:
    """What is kept of an answer's log-probabilities; None where there are none, or the call is not weighed."""
    if not call.weighed or not places:
        return None
    return tuple(place.alternatives for place in places[:LEADING_TOKENS])
