"""Clients that ask until they are answered, as those of a service that is restarted have to."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2

AGAIN = frozenset({429, 503})
FIRST_S, LONGEST_S = 0.1, 1.6
"""Of the waits after connections that broke or were refused: each is about twice the one before."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request with a name of its own, which its query begins with."""

    name: str
    body: dict[str, Any]


@dataclass(slots=True)
class Heard:
    """What all clients together heard."""

    answers: Counter[str] = field(default_factory=Counter)
    """How many answers each question got."""
    wrong: list[str] = field(default_factory=list)
    """What was no answer to its question, and what was never answered."""
    retries: Counter[str] = field(default_factory=Counter)
    """By what they were for: a status, or the name of an error."""
    by_llm: int = 0
    over_cap: int = 0
    degraded: Counter[str] = field(default_factory=Counter)
    """Answers that were not ranked as asked, by the first reason."""
    seconds: list[float] = field(default_factory=list)
    """From the first attempt of each question to its answer."""
    moments: list[float] = field(default_factory=list)
    """Of the answers, in their order."""

    def longest_gap_s(self) -> float:
        """The longest time without an answer."""
        return max((then - first for first, then in zip(self.moments, self.moments[1:], strict=False)), default=0.0)

    def quantile_s(self, share: float) -> float:
        """Seconds within which so large a share of the questions was answered."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


async def ask_all(
    questions: Sequence[Question], url: str, key: str, *, clients: int, patience_s: float = 300.0, seed: int = 8
) -> Heard:
    """Put each question, so many at a time; none is given up before its patience is over."""
    waiting, heard, chance = iter(questions), Heard(), Random(seed)
    limits = httpx2.Limits(max_connections=clients)
    bearer = {"authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(base_url=url, headers=bearer, timeout=60, limits=limits) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(clients):
            group.create_task(_client(session, waiting, heard, patience_s, chance))
    return heard


async def _client(
    session: httpx2.AsyncClient, waiting: Iterator[Question], heard: Heard, patience_s: float, chance: Random
) -> None:
    for question in waiting:
        began = time.monotonic()
        broken = 0
        while True:
            if time.monotonic() - began > patience_s:
                heard.wrong.append(f"{question.name}: not answered within {patience_s:g} s")
                break
            try:
                answer = await session.post("/v2/rerank", json=question.body)
            except httpx2.TransportError as error:
                heard.retries[type(error).__name__] += 1
                wait_s = min(LONGEST_S, FIRST_S * 2**broken)
                broken += 1
            else:
                if answer.status_code not in AGAIN:
                    _read(question, answer, heard, began)
                    break
                heard.retries[str(answer.status_code)] += 1
                wait_s = float(answer.headers.get("retry-after", "1"))
            await asyncio.sleep(wait_s * chance.uniform(0.5, 1.0) if broken else wait_s)


def _read(question: Question, answer: httpx2.Response, heard: Heard, began: float) -> None:
    now = time.monotonic()
    heard.seconds.append(now - began)
    heard.moments.append(now)
    if answer.status_code != 200:
        heard.wrong.append(f"{question.name}: {answer.status_code} {answer.text[:200]}")
        return
    said = answer.json()
    documents = question.body["documents"]
    order = [rank["index"] for rank in said["results"]]
    texts = [rank["document"]["text"] for rank in said["results"]]
    if sorted(order) != list(range(len(documents))) or texts != [documents[at] for at in order]:
        heard.wrong.append(f"{question.name}: the answer is not an order of its documents")
        return
    heard.answers[question.name] += 1
    receipt = said["listwise"]["receipt"]
    heard.by_llm += bool(receipt["ordered_by"])
    heard.over_cap += receipt["over_cap"] is not None
    if receipt["degraded"]:
        heard.degraded[receipt["degraded"][0]] += 1
