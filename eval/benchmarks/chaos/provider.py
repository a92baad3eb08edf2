"""A provider that fails in every way it can, lies about usage, and bills by its own count.

Whatever it worked for is billed, also where the answer is lost, broken, or nobody waits for it any more.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from types import TracebackType
from typing import Any, Literal, Self, get_args

from eval.benchmarks.chaos.work import INPUT_NANO, OUTPUT_NANO
from tests.loopback import Asked, HalfBody, Hang, Http, Reset, Said, ScriptedServer, Turn, failure
from tests.loopback.dialects import body

START_S = 60.0
QUIET_S = 10.0
"""How long requests may be under way after the last client has gone."""
DELAY_S = 0.03
RETRY_AFTER_S = 0.2

Fault = Literal[
    "429 with retry-after",
    "429",
    "500",
    "503",
    "529",
    "reset",
    "hang",
    "half a body",
    "garbage",
    "wrong usage",
]
REJECTIONS: frozenset[Fault] = frozenset({"429 with retry-after", "429", "500", "503", "529"})
"""Nothing is done, and nothing billed."""
FAULTS: tuple[Fault, ...] = get_args(Fault)
Lie = Literal["missing", "zero", "negative", "absurd", "too small", "text"]
LIES: tuple[Lie, ...] = get_args(Lie)


@dataclass(frozen=True, slots=True)
class Bill:
    """What the provider wants for a run."""

    nano_usd: int = 0
    requests: int = 0
    billed: int = 0
    """Requests that cost something."""
    faults: Counter[str] = field(default_factory=Counter)


class Provider:
    """The script of a `ScriptedServer`: a random order for every prompt, or a fault."""

    def __init__(self, seed: int, share: float, faults: Sequence[Fault] = FAULTS) -> None:
        """``share`` of the requests meet one of these ``faults``."""
        self._rng = random.Random(seed)
        self._share = share
        self._possible = faults
        self._nano_usd = self._requests = self._billed = 0
        self._met = Counter[str]()

    def __call__(self, asked: Asked) -> Turn:
        """Decide what becomes of a request, and put it on the bill."""
        fault = self._rng.choice(self._possible) if self._rng.random() < self._share else None
        said = self._answer(asked)
        assert said.input_tokens is not None
        assert said.output_tokens is not None
        if fault not in REJECTIONS:
            self._billed += 1
            self._nano_usd += said.input_tokens * INPUT_NANO + said.output_tokens * OUTPUT_NANO
        if fault is not None:
            self._met[fault] += 1
        self._requests += 1
        return said if fault is None else self._spoilt(fault, asked, said)

    @property
    def bill(self) -> Bill:
        """As of now."""
        return Bill(self._nano_usd, self._requests, self._billed, self._met.copy())

    def _answer(self, asked: Asked) -> Said:
        passages = {int(digits) for digits in re.findall(r"^\[(\d+)\]", asked.prompt, re.M)}
        order = self._rng.sample(sorted(passages), len(passages))
        text = " > ".join(f"[{identifier}]" for identifier in order)
        return Said(text, tokens_of_prompt(asked), tokens_of(text))

    def _spoilt(self, fault: Fault, asked: Asked, said: Said) -> Turn:
        match fault:
            case "429 with retry-after":
                return failure(429, "slow down", retry_after=str(RETRY_AFTER_S))
            case "429":
                return failure(429, "slow down")
            case "500" | "503" | "529":
                return failure(int(fault), "try again")
            case "reset":
                return Reset()
            case "hang":
                return Hang()
            case "half a body":
                return HalfBody(said)
            case "garbage":
                return Http(200, self._rng.choice((b"<html>", b'{"choices": [{"messa', b"null", b"\xff\xfe\x00")))
            case "wrong usage":
                return Http(200, _lying(body(asked, said), self._rng.choice(LIES)))


def _lying(answer: dict[str, Any], lie: Lie) -> dict[str, Any]:
    """The answer with another usage than the true one."""
    stated = answer["usage"]
    match lie:
        case "missing":
            return {name: value for name, value in answer.items() if name != "usage"}
        case "zero":
            told: object = {**stated, "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        case "negative":
            told = {**stated, "prompt_tokens": -1_000_000}
        case "absurd":
            told = {**stated, "completion_tokens": 10**12}
        case "too small":
            told = {**stated, "prompt_tokens": stated["prompt_tokens"] // 10}
        case "text":
            told = {**stated, "prompt_tokens": "many"}
    return {**answer, "usage": told}


def tokens_of_prompt(asked: Asked) -> int:
    """Input tokens as OpenAI counts them for its chat models: three a message, the role, and three at the end."""
    return 3 + sum(4 + tokens_of(message["content"]) for message in asked.body["messages"])


def tokens_of(text: str) -> int:
    """By the vocabulary of the model."""
    return len(_vocabulary().encode_ordinary(text))


@cache
def _vocabulary() -> Any:
    import bpe_openai

    return bpe_openai.get_encoding("o200k_base")


class FaultyServer:
    """The provider, in a process of its own while the context is open.

    Raises:
        RuntimeError: on entering, it did not come up.
    """

    def __init__(self, processes: ForkServerContext, provider: Provider) -> None:
        self._door, door = processes.Pipe()
        self._process = processes.Process(target=_serve, args=(door, provider), daemon=True)
        self.base_url = ""

    def bill(self) -> Bill:
        """The whole bill, once the last request that came has been decided."""
        self._door.send("bill")
        bill = self._door.recv()
        assert isinstance(bill, Bill)
        return bill

    def __enter__(self) -> Self:
        self._process.start()
        if not self._door.poll(START_S):
            self._process.kill()
            raise RuntimeError("the faulty server did not start")
        self.base_url = self._door.recv()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join()


def _serve(door: Connection, provider: Provider) -> None:
    with ScriptedServer(provider, delay_s=DELAY_S) as server:
        door.send(server.base_url)
        while True:
            try:
                door.recv()
            except EOFError:
                return
            deadline = time.monotonic() + QUIET_S
            while provider.bill.requests < len(server.asked) and time.monotonic() < deadline:
                time.sleep(DELAY_S)
            door.send(provider.bill)
