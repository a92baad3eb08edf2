"""A simulated ranker as a model: what ``--llm sim/...`` asks. It sends nothing anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from math import exp, log
from random import Random

from listwise.calls import LABELS, Alternatives, Call, Completion, Identity
from listwise.errors import BadRequest
from listwise.models.simulated.ranker import SimulatedRanker, probability
from listwise.strategies.base import Graded
from listwise.types import Usage

CONTEXT_TOKENS = 1_000_000
CHARS_A_TOKEN = 4
"""By which it bills: English has about that many."""
SERVED_BY = "simulated"


class SimulatedModel:
    """Answers windows of judged passages as some model might, well-formed or not."""

    def __init__(self, identity: Identity, ranker: SimulatedRanker, *, latency_s: float = 0.0) -> None:
        """``latency_s``: how long an answer takes."""
        self.identity = identity
        self._ranker = ranker
        self._latency_s = latency_s

    @property
    def context_tokens(self) -> int:
        """Tokens that prompt and answer share."""
        return CONTEXT_TOKENS

    @property
    def reasons(self) -> bool:
        """It does not."""
        return False

    @property
    def gives_logprobs(self) -> bool:
        """It does, for answers of one word."""
        return True

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        """Ask once.

        Raises:
            BadRequest: the call does not say which passages it shows.
        """
        if not call.docids or len(call.docids) != call.passages:
            raise BadRequest("a simulated model knows passages by their docids only", model=self.identity.name)
        await asyncio.sleep(self._latency_s)
        grades = self._ranker.grade(call.qid, call.docids, call.sample)
        text, leading = _said(call, grades)
        chance = self._ranker.draw(call.qid, ("malformed", *call.docids), call.sample)
        if chance.random() < self._ranker.traits.malformed:
            text, leading = _malformed(text, chance), None
        asked = sum(len(message.content) for message in call.messages)
        usage = Usage(-(-asked // CHARS_A_TOKEN) + len(call.messages), output_tokens=-(-len(text) // 2))
        return Completion(text, usage, SERVED_BY, leading=leading)

    async def aclose(self) -> None:
        """Nothing is open."""


def _said(call: Call, grades: Graded) -> tuple[str, tuple[Alternatives, ...] | None]:
    """The answer to a question in its own form."""
    match call.form:
        case "relevance":
            yes = probability(grades.scores[0])
            return ("Yes" if yes >= 0.5 else "No"), ({"Yes": log(max(yes, 1e-9)), "No": log(max(1 - yes, 1e-9))},)
        case "choice" | "first":
            return LABELS[grades[0]], (_likely(grades.scores),)
        case "order":
            return json.dumps({"order": [at + 1 for at in grades]}), None
        case _:
            return " > ".join(f"[{at + 1}]" for at in grades), None


def _likely(scores: Sequence[float]) -> Mapping[str, float]:
    """Labels with log-probabilities that their passages' grades make."""
    most = max(scores)
    total = most + log(sum(exp(score - most) for score in scores))
    return {LABELS[at]: score - total for at, score in enumerate(scores)}


def _malformed(text: str, chance: Random) -> str:
    """One of the ways in which answers go wrong."""
    names = text.split(" > ")
    half = names[: len(names) // 2]
    return chance.choice(
        [
            "",
            "I'm sorry, but I cannot rank these passages.",
            f"{len(names)} passages are provided.",
            " > ".join(half),
            " > ".join([*names, *half]),
            text.replace("[", "", 1),
            f"Here is the ranking you asked for:\n{text}\nI hope this helps.",
            text[: max(1, len(text) * 2 // 3)],
        ]
    )
