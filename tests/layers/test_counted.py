from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from listwise.cache import AnswerCache
from listwise.calls import Call
from listwise.errors import Auth, ServerError
from listwise.layers.counted import FAILURES_IN_A_ROW, PAUSE_S, Counting, TokenCounts
from listwise.models.base import CountingModel, Model
from listwise.models.registry import load_model
from listwise.spend.tab import Budget, Tab
from listwise.spend.tokens import Count, Rung, TokenCounter
from tests.layers.models import MemoryModel, call
from tests.loopback import ScriptedServer
from tests.loopback.dialects import tokens_of

COUNTER = TokenCounter(None)
TEXT = "rank these passages, please, by how well they answer"
LOCAL = COUNTER.count(call(TEXT))


def tab(**limits: float) -> Tab:
    return Tab("q1", Budget(**limits))  # type: ignore[arg-type]


class Counts(MemoryModel):
    """A model whose server counts as it is told to."""

    def __init__(self, count: int | Exception | Callable[[], int], rung: Rung = "provider") -> None:
        super().__init__()
        self.counted: Rung = rung
        self.count = count
        self.counts = 0

    async def count_tokens(self, call: Call, *, timeout_s: float) -> int:
        self.counts += 1
        await asyncio.sleep(self.delay_s)
        if isinstance(self.count, Exception):
            raise self.count
        return self.count() if callable(self.count) else self.count


def counting(model: Counts, *, timeout_s: float = 5.0, clock: Callable[[], float] = lambda: 0.0) -> Counting:
    return Counting(COUNTER, TokenCounts(model, store=None, timeout_s=timeout_s), clock=clock)


async def test_local_counting_asks_nobody() -> None:
    assert await Counting(COUNTER).count(call(TEXT), tab()) == LOCAL


async def test_a_providers_count_goes_before_the_local_one_with_a_little_room() -> None:
    found = await counting(Counts(1000)).count(call(TEXT), tab())
    assert found == Count(1000 + 20 + 16, 1000, "provider")


async def test_a_tokenizers_count_is_exact() -> None:
    found = await counting(Counts(1000, "tokenizer")).count(call(TEXT), tab())
    assert found == Count(1000, 1000, "tokenizer")


async def test_the_same_prompt_is_counted_once_at_a_time_and_for_good(tmp_path: Path) -> None:
    model, store = Counts(40), AnswerCache(tmp_path / "c")
    model.delay_s = 0.01
    counts = Counting(COUNTER, TokenCounts(model, store=store, timeout_s=5))
    together = await asyncio.gather(*(counts.count(call(TEXT), tab()) for _ in range(5)))
    later = await counts.count(call(TEXT), tab())
    store.close()
    assert {each.estimate for each in (*together, later)} == {40}
    assert model.counts == 1


@pytest.mark.parametrize(
    "failure",
    [ServerError("down", model="m"), Auth("no", model="m", status=401), RuntimeError("an adapter's mistake")],
)
async def test_any_failure_falls_back_to_the_local_count(failure: Exception) -> None:
    account = tab()
    assert await counting(Counts(failure)).count(call(TEXT), account) == LOCAL
    assert (account.attempts, account.retries, account.nano_usd) == (0, 0, 0)


async def test_a_server_that_hangs_is_not_waited_for() -> None:
    model = Counts(40)
    model.delay_s = 60
    async with asyncio.timeout(5):
        assert await counting(model, timeout_s=0.02).count(call(TEXT), tab()) == LOCAL


async def test_nobody_is_there() -> None:
    model = load_model("anthropic/claude-opus-5", base_url="http://127.0.0.1:9", api_key="k", context_tokens=4096)
    assert isinstance(model, CountingModel)
    async with aclosing(model):
        counts = Counting(COUNTER, TokenCounts(model, store=None, timeout_s=2))
        assert await counts.count(call(TEXT), tab()) == LOCAL


@pytest.mark.parametrize("nonsense", [0, 1])
async def test_a_count_far_below_the_local_estimate_is_not_believed(nonsense: int) -> None:
    assert await counting(Counts(nonsense)).count(call(TEXT), tab()) == LOCAL


@pytest.mark.parametrize(("share", "believed"), [(0.4, False), (0.85, False), (1.0, True), (1.5, True)])
async def test_where_the_vocabulary_is_known_a_count_must_come_near(share: float, believed: bool) -> None:
    exact = TokenCounter("o200k_base")
    asked = call(TEXT * 100)
    model = Counts(int(share * exact.count(asked).estimate))
    counts = Counting(exact, TokenCounts(model, store=None, timeout_s=5))
    assert (await counts.count(asked, tab())).rung == ("provider" if believed else "exact")


async def test_a_server_that_keeps_failing_is_left_alone_for_a_while() -> None:
    now = 0.0
    model = Counts(ServerError("down", model="m"))
    counts = counting(model, clock=lambda: now)
    for at in range(10):
        await counts.count(call(f"{TEXT} {at}"), tab())
    assert model.counts == FAILURES_IN_A_ROW
    now, model.count = PAUSE_S, 50
    assert (await counts.count(call(TEXT), tab())).rung == "provider"


async def test_a_success_forgets_the_failures_before_it() -> None:
    turns = [None, None, 50, None, None, 50]

    def count() -> int:
        turn = turns.pop(0)
        if turn is None:
            raise ServerError("down", model="m")
        return turn

    counts = counting(Counts(count))
    rungs = [(await counts.count(call(f"{TEXT} {at}"), tab())).rung for at in range(6)]
    assert rungs == ["bytes", "bytes", "provider", "bytes", "bytes", "provider"]


def providers(server: ScriptedServer) -> list[tuple[Model, str]]:
    return [
        (load_model("openai/gpt-4o", base_url=server.base_url, api_key="k"), "/v1/responses/input_tokens"),
        (
            load_model("openai/gpt-4o", base_url=server.base_url, api_key="k", api="responses"),
            "/v1/responses/input_tokens",
        ),
        (load_model("anthropic/claude-opus-5", base_url=server.root, api_key="k"), "/v1/messages/count_tokens"),
    ]


async def test_openai_and_anthropic_count_what_would_be_sent() -> None:
    asked = Call(call(TEXT).messages, call().sampling, "order", 3)
    with ScriptedServer() as server:
        for model, path in providers(server):
            assert isinstance(model, CountingModel)
            async with aclosing(model):
                assert await model.count_tokens(asked, timeout_s=5) == tokens_of(TEXT)
            last = server.requests[-1]
            assert last.path == path
            assert not {"max_tokens", "max_output_tokens", "temperature", "store"} & set(last.body)
            assert "enum" in str(last.body), "the schema is part of the prompt"
    assert server.asked == []
