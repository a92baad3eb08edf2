"""A rerank API as a stage: through every layer, over real sockets, and never over a cap."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from listwise.cache import AnswerCache, cache_key
from listwise.calls import Completion
from listwise.errors import LedgerFailed, Unpriced
from listwise.policy import Policy
from listwise.spend.history import History
from listwise.spend.ledger import MemoryLedger
from listwise.spend.money import usd_of
from listwise.spend.purse import Caps, Purse
from listwise.spend.sqlite import SqliteLedger
from listwise.spend.tab import Budget, Tab
from listwise.stages.base import Stage
from listwise.stages.remote import RemoteStage
from listwise.stages.requests import requests_for
from listwise.types import Candidate, Query, Usage
from tests.loopback import Asked, Hang, Http, Reset, Said, ScriptedServer, failure
from tests.loopback.turns import Turn
from tests.models.rerank.apis import APIS, KEY, Api

QUERY = Query("q1", "why is the sky blue")
UNIT = Decimal("0.002")
PRICES = ("cohere/rerank-v3.5=search_unit:0.002", *(f"{api.name}=1,0" for api in APIS[1:]))
COHERE, JINA, VOYAGE, TEI, VLLM = APIS


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for vendor in ("COHERE", "JINA", "VOYAGE", "TEI", "VLLM"):
        monkeypatch.setenv(f"{vendor}_API_KEY", KEY)


def candidates(n: int, text: str = "passage {at} on the sky") -> list[Candidate]:
    return [Candidate(f"d{at}", text.format(at=at)) for at in range(n)]


def by_number(asked: Asked) -> str:
    """A document's score is its number."""
    texts = asked.body.get("documents") or asked.body["texts"]
    return json.dumps([float((re.findall(r"\d+", text) or ["0"])[0]) for text in texts])


def tab(purse: Purse | None = None, **limits: Any) -> Tab:
    return Tab("q1", Budget(**limits), purse)


@asynccontextmanager
async def staged(
    api: Api, server: ScriptedServer, store: AnswerCache | None = None, **settings: Any
) -> AsyncIterator[RemoteStage]:
    policy = Policy.of(None, **{"price": PRICES, "ledger": "off", "attempts": 3, **settings})
    async with aclosing(RemoteStage.of(policy, api.name, base_url=server.root, store=store)) as stage:
        yield stage


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name.partition("/")[0])
async def test_every_api_scores_in_as_many_requests_as_it_takes(api: Api) -> None:
    with ScriptedServer(by_number) as server:
        async with staged(api, server) as stage:
            protocol: Stage = stage
            found = await protocol.score(QUERY, candidates(1100), tab())
    assert found.scores == tuple(map(float, range(1100)))
    per_request = 32 if api is TEI else 1000
    assert found.calls == len(server.asked) == ceil(1100 / per_request)
    assert (found.cache_hits, found.cut, found.chunked, found.degraded) == (0, 0, 0, ())
    assert protocol.name == api.name


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name.partition("/")[0])
async def test_the_bill_is_what_the_server_states_and_never_above_the_bound(api: Api) -> None:
    with ScriptedServer(by_number) as server:
        async with staged(api, server, budget_usd="1") as stage:
            account = tab(usd=Decimal(1))
            await stage.score(QUERY, candidates(150), account)
            bound = stage.bound_nano_usd(QUERY, candidates(150))
    if api is COHERE:
        assert (account.usage, usd_of(account.nano_usd)) == (Usage(search_units=2), 2 * UNIT)
    else:
        tokens = sum(billed for billed, _ in server.billed)
        assert (account.usage, account.nano_usd) == (Usage(tokens), tokens * 1000)
    assert 0 < account.nano_usd <= bound
    assert account.attempts == len(server.asked)


async def test_no_cap_is_passed_by_fifty_requests_at_once() -> None:
    """Each of 50 requests takes a unit, and may take four; the cap is 20 units."""
    long = "passage {at} " + "on the sky " * 140
    with ScriptedServer(by_number, delay_s=0.02) as server:
        async with staged(COHERE, server, concurrency=50, budget_usd="0.04") as stage:
            stage._limits = type(stage._limits)(documents=100)
            account = tab(usd=20 * UNIT)
            work = candidates(5000, long)
            assert stage.bound_nano_usd(QUERY, work) == 50 * 4 * 2_000_000
            found = await stage.score(QUERY, work, account)
    assert 17 <= len(server.asked) <= 20, "until less than four units are left"
    assert usd_of(account.nano_usd) == len(server.asked) * UNIT
    scored = [score for score in found.scores if score is not None]
    assert len(scored) == 100 * len(server.asked) > 0
    (why,) = found.degraded
    assert "budget of 0.04" in why or "budget of 0.040" in why
    assert why.startswith(f"{COHERE.name} left {5000 - len(scored)} of 5000 candidates without a score")


async def test_fifty_queries_share_a_runs_cap() -> None:
    with ScriptedServer(by_number, delay_s=0.02) as server:
        async with staged(COHERE, server, concurrency=50) as stage:
            purse = Purse(MemoryLedger(), "run", caps=Caps(run=10 * UNIT))
            founds = await asyncio.gather(
                *(
                    stage.score(Query(f"q{at}", f"query {at}"), candidates(20), Tab(f"q{at}", Budget(), purse))
                    for at in range(50)
                )
            )
    assert len(server.asked) == 10, "all of it is spent, and nothing beyond"
    assert sum(None not in found.scores for found in founds) == 10
    assert all(len(found.scores) == 20 for found in founds)


async def test_what_was_paid_for_is_not_bought_again(tmp_path: Path) -> None:
    with ScriptedServer(by_number) as server:
        for _ in range(2):
            store = AnswerCache(tmp_path / "cache")
            async with staged(VOYAGE, server, store) as stage:
                twice = await asyncio.gather(*(stage.score(QUERY, candidates(30), tab()) for _ in range(2)))
                forecast = await stage.forecast(QUERY, candidates(30))
                fresh = await stage.forecast(Query("q1", "another"), candidates(30))
            store.close()
    assert len(server.asked) == 1
    assert [found.cache_hits for found in twice] == [1, 1]
    assert twice[0].scores == twice[1].scores == tuple(map(float, range(30)))
    assert (forecast.requests, forecast.cached, forecast.nano_usd, forecast.most_nano_usd) == (1, 1, 0, 0)
    assert (fresh.cached, fresh.requests) == (0, 1)
    assert 0 < fresh.nano_usd <= fresh.most_nano_usd
    assert KEY.encode() not in b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


async def test_a_forecast_expects_search_units() -> None:
    with ScriptedServer(by_number) as server:
        async with staged(COHERE, server) as stage:
            forecast = await stage.forecast(QUERY, candidates(250))
    assert (forecast.search_units, forecast.nano_usd) == (3, 3 * 2_000_000)
    assert server.asked == []


@pytest.mark.parametrize(
    ("turn", "attempts", "why"),
    [
        (failure(401, "wrong key"), 1, "is the key right"),
        (failure(400, "no such model"), 1, "no such model"),
        (failure(500), 3, "gave up after 3 attempts"),
        (failure(429, retry_after="0"), 3, "gave up after 3 attempts"),
        (failure(429, retry_after="120"), 1, "it asks us to wait 120 s"),
        (Reset(), 3, "broke before the answer"),
        (Http(200, b"<html>"), 2, "no answer of this interface"),
        ("[1]", 2, "have no score"),
        (Said("[1, 2, 3, 4]"), 2, "it scores document 3 of 3"),
    ],
)
async def test_failures_are_scores_of_none_with_the_reason(turn: Turn, attempts: int, why: str) -> None:
    with ScriptedServer(turn) as server:
        async with staged(JINA, server) as stage:
            found = await stage.score(QUERY, candidates(3), tab())
    assert found.scores == (None, None, None)
    assert found.calls == 0
    assert len(server.asked) == attempts
    (said,) = found.degraded
    assert why in said
    assert said.startswith(f"{JINA.name} left 3 of 3 candidates without a score: ")
    assert KEY not in said


async def test_what_fails_for_some_leaves_the_others_their_scores() -> None:
    def some(asked: Asked) -> Turn:
        return failure(400, "unlucky") if "passage 40 " in asked.prompt else by_number(asked)

    with ScriptedServer(some) as server:
        async with staged(TEI, server) as stage:
            found = await stage.score(QUERY, [*candidates(70), Candidate("blank", "  ")], tab())
    assert [score is None for score in found.scores] == [*(32 <= at < 64 for at in range(70)), True]
    assert found.calls == 2
    failed, blank = found.degraded
    assert "left 32 of 71 candidates without a score: HTTP 400: unlucky" in failed
    assert "left 1 of 71 candidates without a score: there is nothing in them" in blank


async def test_a_blank_query_and_no_candidates_ask_nothing() -> None:
    with ScriptedServer(by_number) as server:
        async with staged(VOYAGE, server) as stage:
            blank = await stage.score(Query("q", " "), candidates(2), tab())
            nothing = await stage.score(QUERY, [], tab())
    assert blank.scores == (None, None)
    assert blank.degraded == (f"{VOYAGE.name} left 2 of 2 candidates without a score: the query is blank",)
    assert (nothing.scores, nothing.degraded) == ((), ())
    assert server.requests == []


async def test_deadlines_and_ledgers_that_fail_are_reasons() -> None:
    with ScriptedServer(Hang()) as server:
        async with staged(VLLM, server) as stage:
            late = await stage.score(QUERY, candidates(2), tab(seconds=0.2))
            account = tab()

            async def broken(*_: Any, **__: Any) -> Any:
                raise LedgerFailed("the disk is full")

            account.purse.ledger.reserve = broken  # type: ignore[method-assign]
            unwritten = await stage.score(QUERY, candidates(2), account)
    assert late.scores == unwritten.scores == (None, None)
    assert "the query's time" in late.degraded[0] or "seconds" in late.degraded[0]
    assert "the disk is full" in unwritten.degraded[0]


@pytest.mark.parametrize("turn", [Hang(), Reset()], ids=["timeout", "reset"])
async def test_an_unknown_outcome_costs_the_bound(turn: Turn) -> None:
    with ScriptedServer(turn) as server:
        async with staged(COHERE, server, attempts=1, timeout_s=0.3, budget_usd="1") as stage:
            account = tab(usd=Decimal(1))
            await stage.score(QUERY, candidates(150), account)
            assert account.nano_usd == stage.bound_nano_usd(QUERY, candidates(150)) == 2 * 2_000_000


async def test_a_cancelled_request_costs_the_bound_and_raises() -> None:
    with ScriptedServer(Hang()) as server:
        async with staged(VOYAGE, server, budget_usd="1") as stage:
            account = tab(usd=Decimal(1))
            task = asyncio.create_task(stage.score(QUERY, candidates(3), account))
            while not server.asked:  # noqa: ASYNC110 -- the server lives in another thread
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert account.nano_usd == stage.bound_nano_usd(QUERY, candidates(3)) > 0


async def test_a_killed_process_leaves_the_bound_reserved(tmp_path: Path) -> None:
    """What is on the disk while a request is under way is what counts after ``kill -9``."""
    ledger = SqliteLedger(tmp_path / "l.db")
    with ScriptedServer(Hang()) as server:
        async with staged(COHERE, server) as stage:
            account = tab(Purse(ledger, "run"))
            task = asyncio.create_task(stage.score(QUERY, candidates(150), account))
            while not server.asked:  # noqa: ASYNC110 -- the server lives in another thread
                await asyncio.sleep(0.01)
            with closing(sqlite3.connect(tmp_path / "l.db")) as db:
                rows = db.execute("SELECT outcome, reserved, model FROM attempt").fetchall()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    ledger.close()
    assert rows == [("open", 4_000_000, COHERE.name)]


async def test_attempts_are_in_the_books_with_their_search_units(tmp_path: Path) -> None:
    ledger, store = SqliteLedger(tmp_path / "l.db"), AnswerCache(tmp_path / "cache")
    with ScriptedServer(by_number) as server:
        async with staged(COHERE, server, store) as stage:
            for _ in range(2):
                await stage.score(QUERY, candidates(150), tab(Purse(ledger, "run")))
    ledger.close()
    store.close()
    (line,) = History(tmp_path / "l.db").report("model")
    assert (line.name, line.answered, line.cached, line.search_units) == (COHERE.name, 1, 1, 2)
    assert (line.input_tokens, line.output_tokens, line.usd) == (0, 0, 2 * UNIT)
    (sample,) = History(tmp_path / "l.db").samples(COHERE.name)
    assert sample.usage == Usage(search_units=2)


async def test_an_api_that_states_nothing_it_is_priced_by_costs_the_bound() -> None:
    """A model billed by tokens whose answer states search units alone must not look free."""
    with ScriptedServer(by_number) as server:
        async with staged(COHERE, server, price=("cohere/rerank-v3.5=0.05,0",)) as stage:
            account = tab()
            await stage.score(QUERY, candidates(10), account)
            assert account.nano_usd == stage.bound_nano_usd(QUERY, candidates(10)) > 0


async def test_more_units_than_bounded_stretch_later_bounds() -> None:
    with ScriptedServer(lambda asked: Said(by_number(asked), search_units=3)) as server:
        async with staged(COHERE, server, budget_usd="1") as stage:
            first = tab(usd=Decimal(1))
            await stage.score(QUERY, candidates(10), first)
            second = tab(usd=2 * UNIT)
            found = await stage.score(Query("q2", "another"), candidates(10), second)
    assert usd_of(first.nano_usd) == 3 * UNIT, "what it states is believed"
    assert found.scores == (None,) * 10, "three units may be asked for again, and two are left"
    assert len(server.asked) == 1


async def test_an_unknown_price_is_an_error_under_a_cap_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unpriced, match=r'--price "cohere/rerank-v9=search_unit:USD"'):
        RemoteStage.of(Policy.of(None, budget_usd="1"), "cohere/rerank-v9", store=None)
    with pytest.raises(Unpriced, match="tei/x"):
        RemoteStage.of(Policy.of(None), "tei/x", base_url="http://127.0.0.1:1", store=None, capped=True)
    stage = RemoteStage.of(Policy.of(None), "cohere/rerank-v9", store=None)
    assert not stage.priced
    assert stage.bound_nano_usd(QUERY, candidates(3)) == 0
    known = RemoteStage.of(Policy.of(None, budget_usd="1"), "cohere/rerank-v3.5", store=None)
    assert known.priced
    assert known.bound_nano_usd(QUERY, candidates(3)) == 2_000_000
    for each in (stage, known, known.again()):
        await each.aclose()


async def test_what_is_kept_but_holds_no_scores_is_a_reason(tmp_path: Path) -> None:
    store = AnswerCache(tmp_path / "cache")
    with ScriptedServer(by_number) as server:
        async with staged(VOYAGE, server, store) as stage:
            (request,) = requests_for(QUERY, candidates(2), stage._limits, stage._counter).each
            await store.put(cache_key(stage.identity, request.call), Completion("[1]", Usage(), "x"), stage.name)
            found = await stage.score(QUERY, candidates(2), tab())
    store.close()
    assert found.scores == (None, None)
    assert "holds no scores" in found.degraded[0]


async def test_long_texts_are_cut_where_the_vendor_would() -> None:
    with ScriptedServer(by_number) as server:
        async with staged(COHERE, server) as stage:
            found = await stage.score(QUERY, [Candidate("d", "word " * 200_000), *candidates(2)], tab())
    assert found.cut == 1
    assert len(server.asked[0].body["documents"][0]) < 25_000
    assert server.asked[0].body["max_tokens_per_doc"] == 4096
