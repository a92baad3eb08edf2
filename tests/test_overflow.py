"""Prompts that a server finds too long: shortened, asked again, remembered, and recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from listwise.asking import Asker
from listwise.calls import Sampling
from listwise.engine import Engine, Outcome
from listwise.layers import Counting, stack
from listwise.models.registry import load_model
from listwise.prompting import Prompter, load_template
from listwise.reading import MOST_OVERFLOWS, WindowReader
from listwise.spend.tab import Budget, Tab
from listwise.spend.tokens import counter_for
from listwise.strategies import make
from listwise.types import Candidate, Query, Request
from tests.loopback import Asked, ScriptedServer, Turn, failure

NAME = "openai/gpt-4o"
OUTPUT = 200
N = 10
REVERSED = " > ".join(f"[{identifier}]" for identifier in range(N, 0, -1))
REQUEST = Request(
    Query("q1", "how are words counted"),
    tuple(Candidate(f"d{at}", " ".join(["counted"] * 250)) for at in range(N)),
)


class Narrow:
    """A server whose context holds ``limit`` tokens; a token of its own is ``finer`` times shorter than usual."""

    def __init__(self, limit: int, says: str, *, finer: float = 1.0) -> None:
        self._limit, self._says, self._finer = limit, says, finer
        self.prompts: list[int] = []

    def __call__(self, asked: Asked) -> Turn:
        tokens = round(counter_for(NAME).estimate(asked.prompt) * self._finer)
        self.prompts.append(tokens)
        if tokens + (asked.max_output_tokens or 0) <= self._limit:
            return " > ".join(f"[{n}]" for n in range(asked.prompt.count("counted counted"), 0, -1) if n <= N)
        said = self._says.format(limit=self._limit, tokens=tokens, output=asked.max_output_tokens)
        return failure(400, said, code="context_length_exceeded")


STATED = (
    "This model's maximum context length is {limit} tokens. However, you requested {output} output tokens and your "
    "prompt contains at least {tokens} input tokens."
)
UNSTATED = "the request exceeds the available context size"


@asynccontextmanager
async def ranking(script: Narrow, *, context_tokens: int = 8192) -> AsyncIterator[Callable[[], object]]:
    with ScriptedServer(script) as server:
        model = load_model(NAME, base_url=server.base_url, api_key="k", context_tokens=context_tokens)
        counter = counter_for(NAME)
        layer = stack(
            model, store=None, counting=Counting(counter), price=None, concurrency=4, timeout_s=5, attempts=2
        )
        prompter = Prompter(
            load_template("rankgpt"),
            counter=counter,
            context_tokens=context_tokens,
            answer_tokens=lambda _: OUTPUT,
        )
        reader = WindowReader(NAME, Asker(layer), prompter, lambda _: Sampling(OUTPUT))
        engine = Engine([reader], make("single", window=N, stride=5, depth=N))
        try:
            yield lambda: engine.rank(REQUEST, range(N), Tab("q1", Budget()))
        finally:
            await model.aclose()


async def ranked(rank: Callable[[], object]) -> Outcome:
    outcome = await rank()  # type: ignore[misc]
    assert isinstance(outcome, Outcome)
    assert sorted(outcome.order) == list(range(N)), "contract 1"
    return outcome


async def test_a_context_that_the_server_names_is_remembered() -> None:
    server = Narrow(2048, STATED)
    async with ranking(server) as rank:
        first, second = await ranked(rank), await ranked(rank)
    assert len(server.prompts) == 3, "one rejection, and none for the second query"
    assert server.prompts[1] == server.prompts[2] > 1400, "as much as fits, the same for both"
    assert first.order == second.order == tuple(range(N - 1, -1, -1))
    assert first.calls == 1
    assert first.truncated == second.truncated == N
    (said,) = first.degraded
    assert said.startswith("1 prompt(s) did not fit the model's context: passages shortened to ")
    assert said.endswith(" words")
    assert second.degraded == ()


async def test_one_that_it_does_not_name_is_taken_for_a_power_of_two() -> None:
    server = Narrow(1500, UNSTATED)
    async with ranking(server, context_tokens=32_768) as rank:
        await ranked(rank)
        outcome = await ranked(rank)
    sizes = server.prompts
    assert sizes[0] > 2048 > sizes[1] > 1500, "2048 is tried first"
    assert sizes[2] == sizes[3] < 1024, "then 1024, and from then on"
    assert len(sizes) == 4
    assert outcome.order == tuple(range(N - 1, -1, -1))


async def test_where_it_counts_otherwise_the_prompt_is_shortened_by_as_much() -> None:
    server = Narrow(2048, STATED, finer=3.0)
    async with ranking(server, context_tokens=2048) as rank:
        outcome = await ranked(rank)
    assert len(server.prompts) == 2
    assert len(outcome.degraded) == 1
    assert outcome.order == tuple(range(N - 1, -1, -1))


async def test_and_also_where_it_seemed_to_fit_with_ease() -> None:
    server = Narrow(8192, STATED, finer=4.0)
    async with ranking(server, context_tokens=8192) as rank:
        outcome = await ranked(rank)
    assert len(server.prompts) == 2
    assert outcome.order == tuple(range(N - 1, -1, -1))


async def test_a_server_that_is_never_content_is_asked_no_further() -> None:
    server = Narrow(0, UNSTATED)
    async with ranking(server) as rank:
        outcome = await ranked(rank)
    assert len(server.prompts) <= 1 + MOST_OVERFLOWS
    assert outcome.order == tuple(range(N))
    assert any("kept their order" in said for said in outcome.degraded)


async def test_where_not_even_the_shortest_passages_fit_fewer_are_shown() -> None:
    server = Narrow(560, STATED)
    async with ranking(server) as rank:
        outcome = await ranked(rank)
    (shown,) = (shown for shown, n in outcome.left_out if n == N)
    assert 2 <= shown < N
    assert outcome.order == (*range(shown - 1, -1, -1), *range(shown, N))
    assert f"1 window(s) did not fit the model's context: only {shown} of {N} passages shown" in outcome.degraded
    assert outcome.passages_read == shown
    assert len(server.prompts) == 2


async def test_other_rejections_are_not_shortened() -> None:
    requests: list[Asked] = []

    def script(asked: Asked) -> Turn:
        requests.append(asked)
        return failure(400, "no such parameter")

    async with ranking(script) as rank:  # type: ignore[arg-type]
        outcome = await ranked(rank)
    assert len(requests) == 1
    assert outcome.overflowed == 0


@pytest.mark.parametrize("limit", [700, 1000, 1500, 3000, 5000])
async def test_any_context_is_met_in_one_more_request(limit: int) -> None:
    server = Narrow(limit, STATED)
    async with ranking(server, context_tokens=128_000) as rank:
        await ranked(rank)
    assert len(server.prompts) <= 2
