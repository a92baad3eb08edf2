"""What an application that traces sees of rankings, by the real SDK."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, StatusCode

from listwise import Reranker
from listwise.telemetry.spans import begin
from listwise.types import Candidate, Query, Request
from tests.loopback import Asked, ScriptedServer, Turn, failure
from tests.serve.test_staying_up import until
from tests.telemetry.tracing import Kept, id_of, kept, said, trace_of

QUERY = "why is the sky blue"
PASSAGES = ["Grass is green.", "Air scatters blue light.", "Paint is made of cobalt."]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key-of-ours")
    monkeypatch.setenv("COHERE_API_KEY", "co-a-key-of-ours")


def asking(server: ScriptedServer, **more: Any) -> Reranker:
    """Every query goes to an LLM at the address."""
    usual = {"escalate": "always", "local": "none", "price": ("openai/gpt-4o=2.5,10",), "cache": "off"}
    return Reranker(**{"llm": "openai/gpt-4o", "base_url": server.base_url, **usual, **more})


def test_a_ranking_holds_its_scoring_and_its_calls(spans: Kept) -> None:
    with ScriptedServer("[2] > [1] > [3]") as llm, asking(llm, local="embedded", seed=7) as reranker:
        ranking = reranker.rerank(Query("q1", QUERY), PASSAGES)
    outer = spans.one("rerank")
    assert spans.within(outer) == ["score", "chat gpt-4o"]
    assert outer.kind == SpanKind.INTERNAL
    assert said(outer) == {
        "listwise.qid": "q1",
        "listwise.route": "llm",
        "listwise.tier": "llm",
        "listwise.candidates": 3,
        "listwise.calls": 1,
        "listwise.cache_hits": 0,
        "listwise.retries": 0,
        "listwise.usd": float(ranking.receipt.usd),
        "listwise.degraded": 0,
    }
    chat = spans.one("chat gpt-4o")
    assert spans.within(chat) == ["attempt"]
    assert chat.kind == SpanKind.CLIENT
    assert chat.status.status_code == StatusCode.UNSET
    tokens = llm.billed[0]
    assert said(chat) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "server.address": "127.0.0.1",
        "server.port": int(llm.root.rpartition(":")[2]),
        "listwise.passages": 3,
        "gen_ai.request.max_tokens": llm.asked[0].max_output_tokens,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.seed": 7,
        "listwise.cached": False,
        "gen_ai.response.model": "gpt-4o",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        "listwise.usd": float(ranking.receipt.usd),
    }
    score = said(spans.one("score"))
    assert score.pop("listwise.wait_s") >= 0
    assert score == {"listwise.scorer": str(ranking.receipt.local), "listwise.candidates": 3}


def test_every_attempt_is_a_span_of_its_call(spans: Kept) -> None:
    turns: list[Turn] = [failure(500), failure(429, retry_after="0"), "[2] > [1] > [3]"]
    with ScriptedServer(turns) as llm, asking(llm) as reranker:
        reranker.rerank(QUERY, PASSAGES)
    chat = spans.one("chat gpt-4o")
    assert spans.within(chat) == ["attempt"] * 3
    assert chat.status.status_code == StatusCode.UNSET
    assert [said(span) for span in spans.named("attempt")] == [
        {"http.response.status_code": 500, "error.type": "ServerError"},
        {"http.response.status_code": 429, "error.type": "RateLimited"},
        {},
    ]
    assert said(spans.one("rerank"))["listwise.retries"] == 2


def test_an_answer_at_hand_was_not_bought(spans: Kept) -> None:
    with ScriptedServer("[2] > [1] > [3]") as llm, asking(llm, cache=None) as reranker:
        for _ in range(2):
            reranker.rerank(QUERY, PASSAGES)
    first, second = spans.named("chat gpt-4o")
    assert (spans.within(first), spans.within(second)) == (["attempt"], [])
    assert said(second)["listwise.cached"] is True
    assert not [name for name in said(second) if name.startswith("gen_ai.usage") or name == "listwise.usd"]
    assert said(spans.named("rerank")[1])["listwise.cache_hits"] == 1


def test_a_failure_is_told_by_its_type_alone(spans: Kept) -> None:
    with ScriptedServer(failure(401, "you are not " + QUERY)) as llm, asking(llm) as reranker:
        reranker.rerank(QUERY, PASSAGES)
    chat = spans.one("chat gpt-4o")
    assert said(chat)["error.type"] == "Auth"
    assert chat.status.status_code == StatusCode.ERROR
    assert chat.status.description is None
    assert not [span for span in spans.all if span.events]
    outer = spans.one("rerank")
    assert outer.status.status_code == StatusCode.UNSET  # a ranking was given
    assert said(outer)["listwise.degraded"] == 1
    assert said(outer)["listwise.tier"] == "first_stage"


def test_a_scorer_that_fails(spans: Kept) -> None:
    class Failing:
        name = "failing"

        def score(self, query: str, passages: Any) -> list[float]:
            raise ValueError(query)

    with Reranker(scorer=Failing(), escalate="never") as reranker:
        reranker.rerank(QUERY, PASSAGES)
    score = spans.one("score")
    assert said(score)["error.type"] == "ValueError"
    assert score.status.status_code == StatusCode.ERROR
    assert QUERY not in spans.written()


def test_rerank_apis_are_called_like_models(spans: Kept) -> None:
    with ScriptedServer() as api:
        stage = {"scorer": "cohere/rerank-v3.5", "base_url": api.root}
        with Reranker(local=[stage], escalate="never", cache="off") as reranker:
            reranker.rerank(QUERY, PASSAGES)
    call = spans.one("rerank rerank-v3.5")
    assert call.kind == SpanKind.CLIENT
    assert said(call)["gen_ai.operation.name"] == "rerank"
    assert said(call)["gen_ai.provider.name"] == "cohere"
    assert "gen_ai.request.max_tokens" not in said(call)


def of_its_own_query(asked: Asked) -> str:
    return "[1] > [2]"


async def test_many_rankings_at_once_keep_to_their_own_traces(spans: Kept) -> None:
    async def one(reranker: Reranker, number: int, *, anywhere: bool) -> None:
        with spans.tracer.start_as_current_span(f"asks {number}"):
            rank = reranker.arerank_anywhere if anywhere else reranker.arerank
            await rank(Query(f"q{number}", f"query {number}"), [f"a {number}", f"b {number}", f"c {number}"])

    with ScriptedServer(of_its_own_query, delay_s=0.02) as llm:
        async with asking(llm, window=2, stride=1, concurrency=8) as reranker:
            await asyncio.gather(*(one(reranker, number, anywhere=False) for number in range(20)))
        reranker = asking(llm, window=2, stride=1, concurrency=8)
        await asyncio.gather(*(one(reranker, number, anywhere=True) for number in range(20, 30)))
        await asyncio.to_thread(reranker.close)
    check_traces(spans, 30)


def test_threads_that_ask_keep_to_their_own_traces(spans: Kept) -> None:
    with (
        ScriptedServer(of_its_own_query, delay_s=0.01) as llm,
        asking(llm, window=2, stride=1) as reranker,
        ThreadPoolExecutor(6) as threads,
    ):

        def one(number: int) -> None:
            with spans.tracer.start_as_current_span(f"asks {number}"):
                reranker.rerank(Query(f"q{number}", f"query {number}"), [f"a {number}", f"b {number}", "c"])

        list(threads.map(one, range(12)))
    check_traces(spans, 12)


def check_traces(spans: Kept, count: int) -> None:
    """Each asker's trace has its own ranking, with two windows, each with one attempt."""
    rankings = {said(span)["listwise.qid"]: span for span in spans.named("rerank")}
    assert len(rankings) == count
    for number in range(count):
        asks, ranking = spans.one(f"asks {number}"), rankings[f"q{number}"]
        assert spans.within(asks) == ["rerank"]
        assert ranking.parent is not None
        assert ranking.parent.span_id == id_of(asks)
        assert spans.within(ranking) == ["chat gpt-4o"] * 2
        together = [span.name for span in spans.all if trace_of(span) == trace_of(asks)]
        assert sorted(together) == ["asks " + str(number), *["attempt"] * 2, *["chat gpt-4o"] * 2, "rerank"]


async def test_a_stream_of_queries_belongs_to_who_reads_it(spans: Kept) -> None:
    requests = [
        Request(Query(f"q{at}", f"query {at}"), (Candidate("1", "one"), Candidate("2", "two"))) for at in range(5)
    ]
    with ScriptedServer("[2] > [1]") as llm:
        async with asking(llm) as reranker:
            with spans.tracer.start_as_current_span("the whole run"):
                assert len([each async for each in reranker.arerank_many(requests)]) == 5
    assert spans.within(spans.one("the whole run")) == ["rerank"] * 5


async def test_one_call_for_two_rankings_belongs_to_the_first(spans: Kept) -> None:
    with ScriptedServer("[2] > [1] > [3]", delay_s=0.1) as llm:
        async with asking(llm) as reranker:
            await asyncio.gather(*(reranker.arerank(QUERY, PASSAGES) for _ in range(2)))
    assert len(llm.asked) == 1
    assert len(spans.named("attempt")) == 1
    assert sorted(said(span)["listwise.cached"] for span in spans.named("chat gpt-4o")) == [False, True]


async def test_a_ranking_that_is_cancelled_is_told_of(spans: Kept) -> None:
    with ScriptedServer("[1]", delay_s=5) as llm:
        async with asking(llm) as reranker:
            task = asyncio.create_task(reranker.arerank(QUERY, PASSAGES))
            await asyncio.to_thread(until, lambda: bool(llm.asked))
            task.cancel()
            await asyncio.wait([task])
    assert {span.name: said(span)["error.type"] for span in spans.all} == dict.fromkeys(
        ("attempt", "chat gpt-4o", "rerank"), "CancelledError"
    )


def test_nothing_of_what_was_sent_is_told(spans: Kept) -> None:
    """Not where a provider, or a model, says it again."""
    secrets = {
        "query": "SECRETQUERY",
        "passage": "SECRETPASSAGE",
        "answer": "SECRETANSWER",
        "key": "sk-a-key-of-ours",
    }
    everything = " ".join(secrets.values())
    turns: list[Turn] = [failure(500, everything), failure(400, everything), f"{everything} [2] > [1]"]
    for turn in turns:
        with ScriptedServer(turn) as llm, asking(llm, attempts=2) as reranker:
            reranker.rerank(secrets["query"], [secrets["passage"], "another " + secrets["passage"]])
    written = spans.written()
    assert len(spans.named("chat gpt-4o")) == 3
    assert [name for name, text in secrets.items() if text in written] == []


def test_where_nobody_traces_nothing_is_imported() -> None:
    script = (
        "import sys, listwise\n"
        "with listwise.Reranker('offline') as reranker:\n"
        "    reranker.rerank('why', ['a', 'b'])\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_provider_that_is_no_longer_set_hears_nothing(spans: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry import trace

    with Reranker("offline") as reranker:
        reranker.rerank(QUERY, PASSAGES)
        before = len(spans.all)
        assert before == 2
        monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
        reranker.rerank(QUERY, PASSAGES)
    assert len(spans.all) == before


header_values = st.binary(max_size=60) | st.sampled_from(
    [b"00-" + b"f" * 32 + b"-" + b"f" * 16 + b"-01", b"a=b,", b"%"]
)


@given(st.lists(st.tuples(st.sampled_from([b"traceparent", b"tracestate", b"baggage"]), header_values), max_size=4))
def test_no_header_of_a_client_breaks_its_span(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.MonkeyPatch.context() as patch, kept(patch) as spans:
        with begin("GET", kind="SERVER", headers=headers):
            pass
        assert len(spans.all) == 1
