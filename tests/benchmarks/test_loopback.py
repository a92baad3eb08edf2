from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from eval.benchmarks.loopback import Descending, Loopback, Said
from eval.benchmarks.throughput import ideal
from listwise.types import Candidate, Query, Request

LATENCY_S = 0.05


def says_too_much(body: bytes) -> Said:
    return Said("too much", 400)


def test_answers_both_interfaces_through_the_real_sdk() -> None:
    with Loopback(Descending(3)) as server, openai.OpenAI(api_key="k", base_url=server.url) as client:
        chat = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "é" * 100_000}])
        response = client.responses.create(model="m", input="rank")
        seen = server.take()
    assert chat.choices[0].message.content == response.output_text == "[3] > [2] > [1]"
    assert chat.usage is not None
    assert (seen.requests, seen.rejected, seen.max_in_flight) == (2, 0, 1)


def test_delays_each_answer_and_counts_those_in_flight() -> None:
    with Loopback(Descending(3), latency_s=LATENCY_S) as server:
        with openai.OpenAI(api_key="k", base_url=server.url) as client, ThreadPoolExecutor(4) as threads:
            started = time.perf_counter()
            list(threads.map(lambda at: client.responses.create(model="m", input=str(at)), range(8)))
            wall_s = time.perf_counter() - started
        seen = server.take()
        assert server.take().requests == 0
    assert seen.requests == 8
    assert 2 <= seen.max_in_flight <= 4
    assert 2 * LATENCY_S <= seen.span_s <= wall_s


def test_says_errors_and_unknown_paths() -> None:
    with (
        Loopback(says_too_much) as server,
        openai.OpenAI(api_key="k", base_url=server.url, max_retries=0) as client,
    ):
        with pytest.raises(openai.BadRequestError, match="too much"):
            client.responses.create(model="m", input="rank")
        with pytest.raises(openai.NotFoundError, match="/v1/models"):
            client.models.list()
        seen = server.take()
    assert (seen.requests, seen.rejected) == (1, 1)


def test_ideal_schedules() -> None:
    hundred = tuple(Candidate(str(docid), "") for docid in range(100))
    requests = [Request(Query(str(qid), ""), hundred) for qid in range(43)]
    best = ideal(requests, 0.05, 16)
    assert best.calls == 43 * 9
    assert best.waves_s == pytest.approx(3 * 9 * 0.05)
    assert best.packed_s == pytest.approx(25 * 0.05)
    assert ideal(requests[:1], 0.05, 16).packed_s == pytest.approx(9 * 0.05)
