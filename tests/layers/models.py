"""Models in memory for testing what stands around a model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from listwise.calls import Call, Completion, Identity, Message, Sampling
from listwise.types import Usage

Behaviour = Completion | BaseException | Callable[[Call], Completion]


def completion(text: str = "[2] > [1]", *, input_tokens: int = 10, output_tokens: int = 5) -> Completion:
    return Completion(text, Usage(input_tokens, output_tokens=output_tokens), "memory-1")


def call(text: str = "rank", *, n: int = 2, sample: int = 0) -> Call:
    return Call((Message("user", text),), Sampling(100), passages=n, sample=sample)


class MemoryModel:
    """Does what it is told, one behaviour after the other; the last one for good."""

    reasons = False

    def __init__(
        self, *behaviours: Behaviour, delay_s: float = 0.0, name: str = "model", context_tokens: int = 8192
    ) -> None:
        self.identity = Identity("memory", name, "memory:")
        self.context_tokens = context_tokens
        self.behaviours = list(behaviours) or [completion()]
        self.delay_s = delay_s
        self.asked: list[Call] = []
        self.at_once = self.most_at_once = 0

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        self.asked.append(call)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay_s)
        finally:
            self.at_once -= 1
        behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        if isinstance(behaviour, BaseException):
            raise behaviour
        return behaviour(call) if callable(behaviour) else behaviour

    async def aclose(self) -> None:
        return None
