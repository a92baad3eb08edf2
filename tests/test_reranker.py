"""The promises of the public face, with a model in memory."""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listwise import Candidate, InputError, Query, Ranking, Request, Reranker
from listwise.calls import Call, Completion
from listwise.errors import (
    AnswerError,
    Auth,
    BadRequest,
    ConfigError,
    ContextOverflow,
    RateLimited,
    ServerError,
    Timeout,
)
from listwise.spend.history import History
from listwise.spend.tokens import Rung
from listwise.types import StepTrace, Usage, WindowTrace
from tests.layers.models import MemoryModel, completion
from tests.loopback import ScriptedServer
from tests.routing.gains import by_margin


def request_of(n: int, qid: str = "q1") -> Request:
    return Request(Query(qid, f"what is {qid}"), tuple(Candidate(f"d{at}", f"text {at}", -at) for at in range(n)))


def reranker(model: MemoryModel, **options: Any) -> Reranker:
    return Reranker(model=model, **{"local": "none", "escalate": "always", "cache": "off", **options})


def by_number(key: Callable[[int], int]) -> Callable[[Call], Completion]:
    """A model that orders passages ``text N`` by a key of N."""

    def answer(call: Call) -> Completion:
        shown = [int(number) for number in re.findall(r"^\[\d+\] text (\d+)$", _prompt(call), re.M)]
        order = sorted(range(len(shown)), key=lambda at: key(shown[at]))
        return completion(" > ".join(f"[{at + 1}]" for at in order))

    return answer


def _prompt(call: Call) -> str:
    return "\n".join(message.content for message in call.messages)


class Backwards:
    """A local model that prefers the last passage."""

    name = "backwards"

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        return [float(at) for at in range(len(passages))]


@pytest.mark.parametrize("n", [0, 1, 2, 7, 20, 21, 95, 100, 1000])
async def test_a_perfect_model_brings_the_best_ten_to_the_top(n: int) -> None:
    ranking = await reranker(MemoryModel(by_number(lambda number: -number)), depth=n or 1).arerank(request_of(n))
    assert sorted(ranking.docids) == sorted(f"d{at}" for at in range(n))
    assert ranking.docids[:10] == tuple(f"d{at}" for at in range(n - 1, max(-1, n - 11), -1))
    assert ranking.receipt.degraded == ()
    assert ranking.receipt.route == ("llm" if n > 1 else "first_stage" if n else "empty")
    assert ranking.receipt.calls == (0 if n < 2 else 1 + max(0, -(-(n - 20) // 10)))


answers = st.one_of(
    st.text(max_size=80),
    st.lists(st.integers(-3, 30), max_size=30).map(lambda ids: " > ".join(f"[{each}]" for each in ids)),
    st.sampled_from(["", "I cannot help with that.", "20 passages are provided.", "[1] > [1] > [1]"]),
)
failures = st.sampled_from(
    [
        ServerError("down", model="m", retry_after_s=0.0),
        Timeout("lost", model="m", retry_after_s=0.0),
        ContextOverflow("too long", model="m", status=400),
        BadRequest("what", model="m", status=400),
        Auth("who", model="m", status=401),
    ]
)


@given(st.lists(answers.map(completion) | failures, min_size=1, max_size=12), st.integers(0, 45), st.booleans())
@settings(max_examples=60)
def test_whatever_the_model_does_every_candidate_comes_back_once(
    behaviours: list[Completion | BaseException], n: int, keep: bool
) -> None:
    request = request_of(n)
    policy = "keep" if keep else "repair"
    ranking = asyncio.run(reranker(MemoryModel(*behaviours), on_bad_answer=policy, attempts=2).arerank(request))
    assert sorted(ranking.docids) == sorted(candidate.docid for candidate in request.candidates)
    assert ranking.receipt.attempts >= ranking.receipt.calls - ranking.receipt.cache_hits


async def test_a_budget_ends_the_play_with_the_best_order_known() -> None:
    model = MemoryModel(by_number(lambda number: -number))
    ranking = await reranker(model, max_calls=1).arerank(request_of(30))
    assert ranking.docids[10:30] == tuple(f"d{at}" for at in range(29, 9, -1))
    assert ranking.receipt.calls == 1
    assert "calls budget of 1 reached" in ranking.receipt.degraded[-1]


async def test_a_dollar_budget_needs_a_price_before_the_first_call() -> None:
    with pytest.raises(ConfigError, match="no price is known for memory/model"):
        reranker(MemoryModel(), budget_usd="0.01")


async def test_a_key_that_is_refused_is_tried_once_in_a_run() -> None:
    model = MemoryModel(Auth("bad key", model="memory/model", status=401))
    reranking = reranker(model, concurrency=1)
    rankings = [ranking async for ranking in reranking.arerank_many(request_of(30, f"q{at}") for at in range(5))]
    assert len(model.asked) == 1
    assert all("bad key" in ranking.receipt.degraded[0] for ranking in rankings)
    receipts = [ranking.receipt for ranking in rankings]
    assert [(each.calls, each.attempts, each.passages_read) for each in receipts] == [(1, 1, 20)] + 4 * [(0, 0, 0)]
    assert all(ranking.docids == tuple(f"d{at}" for at in range(30)) for ranking in rankings)


async def test_a_question_that_was_never_asked_again_is_no_call() -> None:
    never = RateLimited("not asked", model="memory/model")
    never.sent, never.hopeless = False, True
    model = MemoryModel(completion("I do not know."), never)
    receipt = (await reranker(model, on_bad_answer="reask").arerank(request_of(3))).receipt
    assert (receipt.calls, receipt.passages_read) == (1, 3)


async def test_reask_asks_once_more_and_takes_the_better_answer() -> None:
    model = MemoryModel(completion("I do not know."), completion("[2] > [3] > [1]"))
    ranking = await reranker(model, on_bad_answer="reask", trace=True).arerank(request_of(3))
    assert ranking.docids == ("d1", "d2", "d0")
    assert (ranking.receipt.calls, len(model.asked)) == (2, 2)
    assert model.asked[1].messages[-2].content == "I do not know."
    assert "all 3 passages" in model.asked[1].messages[-1].content
    assert ranking.windows[0].usage == completion().usage + completion().usage


async def test_reask_does_not_ask_twice_if_the_first_answer_is_whole_or_the_budget_is_out() -> None:
    whole = MemoryModel(completion("[2] > [1]"))
    await reranker(whole, on_bad_answer="reask").arerank(request_of(2))
    poor = MemoryModel(completion("[2]"))
    ranking = await reranker(poor, on_bad_answer="reask", max_calls=1).arerank(request_of(2))
    assert (len(whole.asked), len(poor.asked)) == (1, 1)
    assert ranking.docids == ("d1", "d0")


async def test_keep_believes_only_whole_answers() -> None:
    ranking = await reranker(MemoryModel(completion("[3] > [2]")), on_bad_answer="keep").arerank(request_of(3))
    assert ranking.docids == ("d0", "d1", "d2")
    assert "does not name every passage" in ranking.receipt.degraded[0]


async def test_raise_raises_and_names_the_query() -> None:
    with pytest.raises(AnswerError, match="q1"):
        await reranker(MemoryModel(completion("no idea")), on_bad_answer="raise").arerank(request_of(3))


async def test_the_receipt_adds_up() -> None:
    model = MemoryModel(by_number(lambda number: -number))
    ranking = await reranker(model, trace=True).arerank(request_of(30))
    receipt = ranking.receipt
    assert (receipt.calls, receipt.attempts, receipt.passages_read) == (2, 2, 40)
    assert (receipt.input_tokens, receipt.output_tokens) == (20, 10)
    assert sum((window.usage for window in ranking.windows), Usage()).input_tokens == receipt.input_tokens
    assert [window.step for window in ranking.windows] == [0, 1]
    assert ranking.windows[0].docids == tuple(f"d{at}" for at in range(10, 30))
    assert ranking.windows[0].permutation == tuple(range(19, -1, -1))
    assert not receipt.priced


async def test_a_watcher_is_told_of_each_step_and_window_as_it_comes() -> None:
    seen: list[StepTrace | WindowTrace] = []

    class Seen(MemoryModel):
        async def complete(self, call: Call, *, timeout_s: float) -> Completion:
            assert isinstance(seen[-1], StepTrace), "a step is told before it is asked"
            return await super().complete(call, timeout_s=timeout_s)

    model = Seen(by_number(lambda number: -number))
    ranking = await reranker(model, trace=True, depth=35, llm_depth=30).arerank(request_of(40), watch=seen.append)
    first, one, second, two = seen
    assert (one, two) == tuple(ranking.windows)
    assert isinstance(first, StepTrace)
    assert isinstance(second, StepTrace)
    names = [f"d{at}" for at in range(40)]
    assert first == StepTrace(0, tuple(names), (tuple(names[10:30]),))
    moved = (*names[:10], *reversed(names[10:30]))
    assert second == StepTrace(1, (*moved, *names[30:]), (moved[:20],))
    assert ranking.docids == (*moved[10:20], *reversed(names[:10]), *moved[20:], *names[30:])


async def test_rankings_come_in_the_order_of_the_requests_whatever_finishes_first() -> None:
    rng = random.Random(7)

    class Uneven(MemoryModel):
        async def complete(self, call: Call, *, timeout_s: float) -> Completion:
            await asyncio.sleep(rng.random() * 0.01)
            return await super().complete(call, timeout_s=timeout_s)

    requests = [request_of(20, f"q{at}") for at in range(40)]
    reranking = reranker(Uneven(by_number(lambda number: -number)), concurrency=8)
    ordered = [ranking.query.qid async for ranking in reranking.arerank_many(requests)]
    finished = [ranking.query.qid async for ranking in reranking.arerank_many(requests, ordered=False)]
    assert ordered == [request.query.qid for request in requests]
    assert sorted(finished) == sorted(ordered)
    assert finished != ordered


async def test_requests_are_taken_only_as_there_is_room() -> None:
    taken = 0

    async def stream() -> AsyncIterator[Request]:
        nonlocal taken
        for at in range(1000):
            taken += 1
            yield request_of(5, f"q{at}")

    rankings = reranker(MemoryModel(), concurrency=4).arerank_many(stream())
    await anext(rankings)
    assert taken <= 8
    await rankings.aclose()


async def test_the_result_does_not_depend_on_concurrency() -> None:
    requests = [request_of(60, f"q{at}") for at in range(10)]

    async def docids(concurrency: int) -> list[tuple[str, ...]]:
        reranking = reranker(MemoryModel(by_number(lambda number: number * 37 % 61)), concurrency=concurrency)
        return [ranking.docids async for ranking in reranking.arerank_many(requests)]

    assert await docids(1) == await docids(16)


async def test_leaving_a_stream_early_cancels_what_is_under_way() -> None:
    model = MemoryModel(delay_s=0.2)
    rankings = reranker(model, concurrency=4).arerank_many([request_of(5, f"q{at}") for at in range(8)])
    task = asyncio.ensure_future(anext(rankings))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await rankings.aclose()
    assert model.at_once == 0


async def test_the_local_order_is_what_the_llm_gets() -> None:
    model = MemoryModel(by_number(lambda number: number))
    reranking = Reranker(
        model=model, scorer=Backwards(), escalate="always", strategy="single", window=3, stride=1, cache="off"
    )
    ranking = await reranking.arerank(request_of(5))
    assert ranking.docids == ("d2", "d3", "d4", "d1", "d0")
    assert ranking.local_scores == (2.0, 3.0, 4.0, 1.0, 0.0)
    assert ranking.receipt.local == "backwards"


class Steep:
    """Sets the first ten apart from the others, by as much as the query says."""

    name = "steep"

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        steps = int(query.removeprefix("what is q"))
        return [steps * (at < 10) + 0.01 * -at for at in range(len(passages))]


async def test_a_share_escalates_the_queries_that_are_expected_to_gain_most(tmp_path: Path) -> None:
    by_margin(20).write(tmp_path / "router.json")
    settings: dict[str, Any] = {"escalate": 0.4, "router": str(tmp_path / "router.json"), "cache": "off"}
    reranking = Reranker(model=MemoryModel(), scorer=Steep(), **settings)
    rankings = [ranking async for ranking in reranking.arerank_many(request_of(30, f"q{at}") for at in range(5))]
    assert [ranking.receipt.route for ranking in rankings] == ["llm", "llm", "local", "local", "local"]
    assert ", among the 2 of 5 queries where a dollar gains most" in rankings[0].receipt.reason
    assert ", not among the 2 of 5" in rankings[-1].receipt.reason


async def test_below_a_margin_queries_are_escalated_without_a_router() -> None:
    requests = [request_of(30, f"q{at}") for at in range(5)]
    async with Reranker(model=MemoryModel(), scorer=Steep(), margin=1.0, cache="off") as reranking:
        rankings = [ranking async for ranking in reranking.arerank_many(requests)]
    assert [ranking.receipt.route for ranking in rankings] == ["llm", "local", "local", "local", "local"]
    assert "is below 1: ambiguous" in rankings[0].receipt.reason


async def test_depth_keeps_what_is_below_in_its_place() -> None:
    reranking = Reranker(scorer=Backwards(), depth=3)
    ranking = await reranking.arerank(request_of(5))
    assert ranking.docids == ("d2", "d1", "d0", "d3", "d4")
    assert ranking.local_scores == (2.0, 1.0, 0.0, None, None)
    assert ranking.receipt.route == "local"


def test_texts_get_their_position_as_docid_and_the_sync_door_works_from_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with Reranker(scorer=Backwards()) as reranking, ThreadPoolExecutor(4) as pool:

        def rank(_: int) -> Ranking:
            return reranking.rerank("why", ["a", "b", "c"])

        for ranking in pool.map(rank, range(8)):
            assert ranking.docids == ("2", "1", "0")
        assert [each.docids for each in reranking.rerank_many([request_of(2), request_of(0)])] == [("d1", "d0"), ()]


async def test_the_sync_door_works_inside_a_running_loop() -> None:
    with Reranker(scorer=Backwards()) as reranking:
        assert reranking.rerank("why", ["a", "b"]).docids == ("1", "0")


def test_one_reranker_serves_one_event_loop_after_another() -> None:
    model = MemoryModel(completion("[2] > [1]"))
    reranking = reranker(model, concurrency=1)
    for _ in range(2):
        assert asyncio.run(reranking.arerank("why", ["a", "b"])).docids == ("1", "0")


def test_duplicate_docids_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"'q1'.*'d1'"):
        Request(Query("q1", "why"), (Candidate("d1", "a"), Candidate("d1", "b")))


async def test_empty_and_huge_passages_are_passages() -> None:
    ranking = await reranker(MemoryModel(completion("[3] > [2] > [1]"))).arerank("why", ["", "x " * 500_000, "b"])
    assert ranking.docids == ("2", "1", "0")
    assert ranking.receipt.truncated >= 1


async def test_what_it_costs_is_on_the_receipt(tmp_path: object) -> None:
    from pathlib import Path

    prices = Path(str(tmp_path)) / "prices.toml"
    prices.write_text('["memory/model"]\ninput = 1\noutput = 2\n')
    ranking = await reranker(MemoryModel(completion("[1] > [2]")), prices=prices, budget_usd="0.01").arerank(
        request_of(2)
    )
    assert ranking.receipt.usd == Decimal("0.00002")
    assert ranking.receipt.priced


class CountingMemoryModel(MemoryModel):
    """Counts five tokens a word, far more than any estimate."""

    context_tokens = 3000
    counted: Rung = "tokenizer"
    times_counted = 0

    async def count_tokens(self, call: Call, *, timeout_s: float) -> int:
        self.times_counted += 1
        return 5 * len(_prompt(call).split())


async def test_prompts_are_fitted_by_the_models_own_count_which_is_kept(tmp_path: Path) -> None:
    long = Request(
        Query("q1", "why"), tuple(Candidate(f"d{at}", f"text {at} " + "and more " * 60) for at in range(20))
    )
    model = CountingMemoryModel(completion("[2] > [1]"))
    ranking = await reranker(model, cache=str(tmp_path / "c"), prompt="rankzephyr").arerank(long)
    (call,) = model.asked
    assert 5 * len(_prompt(call).split()) + call.sampling.max_output_tokens <= model.context_tokens
    assert ranking.receipt.truncated == 20
    assert ranking.receipt.degraded == ()
    counted = model.times_counted
    again = await reranker(model, cache=str(tmp_path / "c"), prompt="rankzephyr").arerank(long)
    assert (model.times_counted, len(model.asked)) == (counted, 1)
    assert again.docids == ranking.docids


async def test_a_prompt_that_fits_by_its_bytes_is_not_counted() -> None:
    model = CountingMemoryModel(completion("[2] > [1]"))
    await reranker(model).arerank(request_of(2))
    assert model.times_counted == 0


async def test_every_query_has_a_budget_of_its_own_whatever_its_name(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('["memory/model"]\ninput = 1\noutput = 2\n')
    reranking = reranker(MemoryModel(completion("[2] > [1]")), prices=prices, budget_usd="0.004")
    for _ in range(150):
        assert (await reranking.arerank("why", ["a", "b"])).docids == ("1", "0")


async def test_rankings_come_out_of_a_stream_that_waits_for_them() -> None:
    answered = asyncio.Event()

    async def stream() -> AsyncIterator[Request]:
        yield request_of(3, "q1")
        await asyncio.wait_for(answered.wait(), 5)
        yield request_of(3, "q2")

    qids = []
    async for ranking in reranker(MemoryModel(), concurrency=8).arerank_many(stream()):
        qids.append(ranking.query.qid)
        answered.set()
    assert qids == ["q1", "q2"]


async def test_a_blocking_iterator_does_not_hold_up_calls_in_flight() -> None:
    def slowly() -> Iterator[Request]:
        for at in range(3):
            time.sleep(0.1)
            yield request_of(3, f"q{at}")

    model = MemoryModel(delay_s=0.02)
    rankings = [ranking async for ranking in reranker(model, timeout_s=0.08).arerank_many(slowly())]
    assert [ranking.receipt.degraded for ranking in rankings] == [(), (), ()]


async def test_a_stream_that_raises_raises() -> None:
    def broken() -> Iterator[Request]:
        yield request_of(3)
        raise InputError("the third line is bad")

    with pytest.raises(InputError, match="third line"):
        async for _ in reranker(MemoryModel()).arerank_many(broken()):
            pass


class Failing:
    """A local model that fails, or says nonsense."""

    name = "failing"

    def __init__(self, scores: list[float] | None) -> None:
        self.scores = scores

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        if self.scores is None:
            raise RuntimeError("out of memory")
        return self.scores


async def test_a_local_model_that_fails_leaves_the_first_stages_order() -> None:
    ranking = await Reranker(scorer=Failing(None)).arerank("why", ["a", "b", "c"])
    assert ranking.docids == ("0", "1", "2")
    assert "RuntimeError" in ranking.receipt.degraded[0]
    ranking = await Reranker(scorer=Failing([float("nan"), 1.0, float("inf")])).arerank("why", ["a", "b", "c"])
    assert sorted(ranking.docids) == ["0", "1", "2"]
    assert ranking.receipt.signal is None


async def test_an_adapter_that_breaks_in_its_own_way_breaks_nothing() -> None:
    ranking = await reranker(MemoryModel(KeyError("choices"))).arerank(request_of(3))
    assert ranking.docids == ("d0", "d1", "d2")
    assert "KeyError" in ranking.receipt.degraded[0]


async def test_lone_surrogates_and_huge_queries_break_nothing() -> None:
    local = await Reranker(local="embedded").arerank("why \ud800", ["a \udfff", "why"])
    assert sorted(local.docids) == ["0", "1"]
    model = MemoryModel(completion("[2] > [1]"))
    huge = Request(Query("q1", "x" * 1_000_001), request_of(2).candidates)
    assert len((await reranker(model).arerank(huge)).docids) == 2


async def test_what_is_cached_can_be_had_although_the_key_is_refused(tmp_path: Path) -> None:
    model = MemoryModel(completion("[2] > [1]"), Auth("bad key", model="memory/model", status=401))
    reranking = reranker(model, cache=str(tmp_path / "c"))
    bought = await reranking.arerank(request_of(2, "q1"))
    refused = await reranking.arerank(request_of(2, "q2"))
    found = await reranking.arerank(request_of(2, "q1"))
    assert "bad key" in refused.receipt.degraded[0]
    assert found.docids == bought.docids == ("d1", "d0")
    assert found.receipt.cache_hits == 1


def test_closing_twice_is_fine_and_using_it_afterwards_is_said(tmp_path: Path) -> None:
    reranking = reranker(MemoryModel(), cache=str(tmp_path / "c"))
    reranking.rerank(request_of(2))
    reranking.close()
    reranking.close()
    with pytest.raises(ConfigError, match="closed"):
        reranking.rerank(request_of(2))


def test_closing_does_not_leave_another_thread_waiting() -> None:
    from concurrent.futures import CancelledError, ThreadPoolExecutor

    model = MemoryModel(delay_s=30)
    reranking = reranker(model)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reranking.rerank, request_of(2))
        while not model.asked:
            time.sleep(0.01)
        reranking.close()
        with pytest.raises(CancelledError):
            waiting.result(timeout=10)


def test_threads_that_come_at_once_share_one_loop_and_one_call() -> None:
    from concurrent.futures import ThreadPoolExecutor

    model = MemoryModel(completion("[2] > [1]"), delay_s=0.1)
    with reranker(model) as reranking, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: reranking.rerank(request_of(2)), range(8)))
    assert len(model.asked) == 1


def test_a_program_may_end_in_the_middle_of_a_stream() -> None:
    script = """
from listwise import Candidate, Query, Request, Reranker
requests = [Request(Query(str(q), "why"), (Candidate("a", "a"), Candidate("b", "b"))) for q in range(9)]
stream = Reranker(local="none").rerank_many(requests)
print(next(stream).docids)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "('a', 'b')\n"


ENDED_LOOP = """
import asyncio, sys
from listwise import Candidate, Query, Request, Reranker

reranking = Reranker(
    llm="openai/x", base_url=sys.argv[1], local="none", escalate="always", cache=sys.argv[2], ledger=sys.argv[3]
)
request = Request(Query("q", "what"), (Candidate("d0", "text 0"), Candidate("d1", "text 1")))
assert asyncio.run(reranking.arerank(request)).docids == ("d1", "d0")
reranking.close()
reranking.close()
try:
    asyncio.run(reranking.purse.ledger.flush())
except Exception as error:
    print(error)
"""


def test_a_reranker_that_was_used_in_an_event_loop_that_ended_can_be_closed(tmp_path: Path) -> None:
    with ScriptedServer("[2] > [1]") as server:
        done = subprocess.run(
            [sys.executable, "-c", ENDED_LOOP, server.base_url, str(tmp_path / "c"), str(tmp_path / "l.db")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stderr == ""
    assert done.stdout.endswith("is closed\n")


async def test_closing_cancels_what_is_under_way_and_settles_it(tmp_path: Path) -> None:
    model = MemoryModel(delay_s=30)
    reranking = reranker(model, ledger=tmp_path / "ledger.db", price=("memory/model=1000,1000",))
    turns = [asyncio.create_task(reranking.arerank(request_of(5, f"q{at}"))) for at in range(3)]
    while len(model.asked) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await reranking.aclose()
    assert all(turn.cancelled() for turn in turns)
    history = History(tmp_path / "ledger.db")
    (line,) = history.report("day")
    assert (line.open, line.unknown) == (0, 3)
    assert line.usd > 0


async def test_an_abandoned_stream_may_be_collected_anywhere() -> None:
    reranking = reranker(MemoryModel())
    stream = reranking.rerank_many(request_of(3, f"q{at}") for at in range(50))
    await asyncio.to_thread(next, stream)
    portal = reranking._door()

    async def abandon() -> None:
        nonlocal stream
        del stream

    await asyncio.to_thread(portal.run, abandon())
    ranking = await asyncio.wait_for(asyncio.to_thread(reranking.rerank, request_of(3)), 20)
    assert len(ranking.docids) == 3
    await asyncio.to_thread(reranking.close)


async def test_a_usage_that_had_to_be_assumed_costs_what_was_reserved(tmp_path: Path) -> None:
    assumed = Completion("[2] > [1]", Usage(10, output_tokens=5, assumed=True), "memory-1")
    path = tmp_path / "ledger.db"
    price = ("memory/model=input:1,output:1,cache_write:1000",)
    for completed in (assumed, completion()):
        ranking = await reranker(MemoryModel(completed), price=price, ledger=path).arerank(request_of(2))
        reserved = sqlite3.connect(path).execute("SELECT max(reserved) FROM attempt").fetchone()[0]
        assert (float(ranking.receipt.usd) == pytest.approx(reserved / 1e9)) == completed.usage.assumed
        assert ranking.docids == ("d1", "d0")


def test_a_process_that_was_forked_is_told_to_make_its_own(tmp_path: Path) -> None:
    script = """
import os, sys
from listwise import ConfigError, Reranker

with Reranker(ledger="off") as reranker:
    reranker.rerank("why", ["one", "two"])
    if os.fork() == 0:
        try:
            reranker.rerank("why", ["one", "two"])
        except ConfigError as error:
            print(error, flush=True)
        reranker.close()
        os._exit(0)
    _, status = os.wait()
    print(status, len(reranker.rerank("why", ["one", "two"]).docids))
"""
    done = subprocess.run([sys.executable, "-c", script], text=True, capture_output=True, timeout=60, check=True)
    assert "made before a fork" in done.stdout
    assert done.stdout.endswith("\n0 2\n")
