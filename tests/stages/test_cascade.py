"""Scorers one after another: who reads what, what goes wrong, and what the receipt says of it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from listwise import Candidate, ConfigError, Query, Ranking, Request, Reranker
from listwise.models.base import ScoredPassages
from listwise.models.calibration import Calibration
from listwise.policy import Policy
from listwise.spend.history import History
from listwise.spend.tab import Budget, Tab
from listwise.stages.base import Stage
from listwise.stages.cascade import Cascade
from listwise.stages.local import LocalStage
from listwise.stages.scored import Scored
from tests.layers.models import MemoryModel
from tests.loopback import Asked, Hang, ScriptedServer, failure
from tests.loopback.turns import Turn

PRICE = "cohere/rerank-v3.5=search_unit:0.002"


def request_of(n: int, *, scored: bool = True) -> Request:
    return Request(
        Query("q1", "why is the sky blue"),
        tuple(Candidate(f"d{at}", f"text {at}", float(-at) if scored else None) for at in range(n)),
    )


class Numbers:
    """Scores ``text N`` by a multiple of N, and notes what it was given."""

    def __init__(self, name: str, sign: float) -> None:
        self.name, self._sign, self.given = name, sign, list[str]()

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        self.given = list(passages)
        return [self._sign * float(passage.removeprefix("text ")) for passage in passages]


class Broken(Numbers):
    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        raise RuntimeError("no")


class Careful(Numbers):
    """Says what it cut, and is calibrated."""

    calibration = Calibration(slope=1.0, intercept=0.0)

    def read(self, query: str, passages: Sequence[str]) -> ScoredPassages:
        return ScoredPassages(self.score(query, passages), cut=2, chunked=1)


def cascade(*stages: tuple[Any, int], **settings: Any) -> Cascade:
    one = Cascade((), settings.pop("depth", 10), **settings)
    local: list[tuple[Stage, int]] = [(LocalStage(scorer, one.threads), depth) for scorer, depth in stages]
    return Cascade(tuple(local), one.depth, one.fusion, one.weight, None, one.threads)


async def scored(*stages: tuple[Any, int], request: Request | None = None, **settings: Any) -> Scored:
    return await cascade(*stages, **settings).score(request or request_of(12), Tab("q1", Budget()))


async def test_each_stage_reads_the_best_of_the_one_before() -> None:
    up, down, last = Numbers("up", 1), Numbers("down", -1), Numbers("last", 1)
    after = await scored((up, 10), (down, 4), (last, 2))
    assert up.given == [f"text {at}" for at in range(10)]
    assert down.given == ["text 9", "text 8", "text 7", "text 6"]
    assert last.given == ["text 6", "text 7"]
    assert after.order == (7, 6, 8, 9, 5, 4, 3, 2, 1, 0)
    assert after.scores is not None
    assert {at: score for at, score in enumerate(after.scores) if score is not None} == {6: 6.0, 7: 7.0}
    assert [(stage.scorer, stage.candidates) for stage in after.stages] == [("up", 10), ("down", 4), ("last", 2)]
    assert after.prior_scores(2) == [7.0, 6.0]
    assert after.prior_scores(3) is None, "the last scorer says nothing of the third"


async def test_where_a_stage_fails_the_order_before_it_stands() -> None:
    after = await scored((Numbers("up", 1), 10), (Broken("broken", 1), 4))
    assert after.order == tuple(range(9, -1, -1))
    assert after.scores == tuple(map(float, range(10)))
    assert after.degraded == ("the local model broken failed (RuntimeError): the order before it stands",)


async def test_first_stage_scores_are_fused_in() -> None:
    for fusion in ("rrf", "sum"):
        after = await scored((Numbers("up", 1), 10), fusion=fusion, weight=0.9)
        assert after.order == tuple(range(10)), fusion
        assert after.scores == tuple(map(float, range(10))), "raw, whatever it was ordered by"
        assert (await scored((Numbers("up", 1), 10), fusion=fusion, weight=0.1)).order == tuple(range(9, -1, -1))


async def test_missing_first_stage_scores_are_said_once() -> None:
    stages = ((Numbers("up", 1), 10), (Numbers("again", 1), 5))
    after = await scored(*stages, request=request_of(12, scored=False), fusion="sum", weight=0.9)
    assert after.order == tuple(range(9, -1, -1))
    assert after.degraded == ("first-stage scores are missing: they were not fused in",)


async def test_numbers_that_are_none_go_last() -> None:
    class Odd(Numbers):
        def score(self, query: str, passages: Sequence[str]) -> list[float]:
            return [float("nan"), 1.0, float("inf"), 2.0, float("-inf")]

    for fusion in ("none", "sum", "rrf"):
        after = await scored((Odd("odd", 1), 5), depth=5, fusion=fusion, weight=0.1)
        assert after.order == (3, 1, 0, 2, 4)
        assert after.scores == (None, 1.0, None, 2.0, None)
        assert after.degraded == ("the local model odd left 3 of 5 candidates without a finite score",)


@pytest.mark.parametrize("wrong", [None, 10**400, "high"])
async def test_what_is_no_score_breaks_no_ranking(wrong: Any) -> None:
    class Wrong(Numbers):
        def score(self, query: str, passages: Sequence[str]) -> list[float]:
            return [wrong for _ in passages]

    after = await scored((Wrong("wrong", 1), 5))
    assert (after.order, after.scores) == (tuple(range(10)), None)
    assert "the local model wrong failed" in after.degraded[0]


async def test_scores_of_any_size_are_fused_and_tell_how_ambiguous_a_query_is() -> None:
    far = Request(Query("q", "x"), tuple(Candidate(f"d{at}", f"text {at}", 1e308 * (-1) ** at) for at in range(4)))
    assert Scored.as_given(far, 4).signals["margin"] == 2
    after = await scored((Numbers("up", 1e307), 4), request=far, fusion="sum", weight=0.9)
    assert after.order == (2, 0, 3, 1)
    plain = await scored((Numbers("up", 1e307), 4), request=far)
    assert plain.prior_scores(2) == pytest.approx([1, 2 / 3])


async def test_first_stage_scores_that_are_no_numbers_are_not_fused_in() -> None:
    odd = Request(Query("q", "x"), tuple(Candidate(f"d{at}", f"text {at}", float("nan")) for at in range(4)))
    after = await scored((Numbers("up", 1), 4), request=odd, fusion="sum", weight=0.9)
    assert after.order == (3, 2, 1, 0)
    assert after.degraded == ("first-stage scores are missing: they were not fused in",)


async def test_a_scorer_that_miscounts_is_not_believed() -> None:
    class Short(Numbers):
        def score(self, query: str, passages: Sequence[str]) -> list[float]:
            return [1.0]

    after = await scored((Short("short", 1), 5))
    assert after.order == tuple(range(10))
    assert after.scores is None


def test_what_was_cut_and_how_likely_it_is_reaches_the_caller() -> None:
    with Reranker(scorer=Careful("careful", 0.1)) as reranker:
        ranking = reranker.rerank(request_of(3))
    [stage] = ranking.receipt.stages
    assert (stage.cut, stage.chunked, stage.candidates) == (2, 1, 3)
    assert ranking.local_scores == (0.2, 0.1, 0.0)
    assert ranking.probabilities is not None
    assert ranking.probabilities[2] == 0.5
    assert ranking.probabilities == tuple(sorted((each or 0 for each in ranking.probabilities), reverse=True))
    assert ranking.shares is not None
    assert sum(each or 0 for each in ranking.shares) == pytest.approx(1)


def by_number(asked: Asked) -> str:
    return json.dumps([float(text.removeprefix("text ")) for text in asked.body["documents"]])


@pytest.fixture
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "k")


def remote(server: ScriptedServer, tmp_path: Path, **settings: Any) -> Reranker:
    local = [f"cohere/rerank-v3.5@{server.root}@100", *settings.pop("then", ())]
    prices = (PRICE, "memory/model=1,1")
    usual = {"cache": str(tmp_path), "ledger": "off", "price": prices, "depth": 200}
    return Reranker(local=local, **{**usual, **settings})


@pytest.mark.usefixtures("_key")
def test_a_rerank_api_is_paid_once_and_planned(tmp_path: Path) -> None:
    with ScriptedServer(by_number) as server, remote(server, tmp_path) as reranker:
        plan = reranker.plan([request_of(120)])
        assert server.asked == [], "a plan spends nothing"
        ranking, again = reranker.rerank(request_of(120)), reranker.rerank(request_of(120))
        planned_again = reranker.plan([request_of(120)])
    assert ranking.docids == (*(f"d{at}" for at in range(99, -1, -1)), *(f"d{at}" for at in range(100, 120)))
    assert len(server.asked) == 1
    assert ranking.receipt.route == "local"
    assert ranking.receipt.usd == Decimal("0.002") == ranking.receipt.stages[0].usd
    assert again.receipt.usd == 0
    assert again.receipt.stages[0].cache_hits == 1
    assert again.docids == ranking.docids
    [stage] = plan.stages
    assert (stage.scorer, stage.calls, stage.cached, stage.usd.expected) == ("cohere/rerank-v3.5", 1, 0, 0.002)
    assert stage.usd.high >= 0.002
    assert plan.as_record()["expected_usd"] == 0.002
    assert (planned_again.stages[0].cached, planned_again.stages[0].usd.high) == (1, 0.0)


@pytest.mark.usefixtures("_key")
def test_a_cascade_of_an_api_and_a_local_model(tmp_path: Path) -> None:
    with ScriptedServer(by_number) as server, remote(server, tmp_path, then=["embedded@3"]) as reranker:
        ranking = reranker.rerank(request_of(20))
    assert ranking.receipt.local == "cohere/rerank-v3.5 > embedded"
    assert [stage.candidates for stage in ranking.receipt.stages] == [20, 3]
    assert {"d19", "d18", "d17"} == set(ranking.docids[:3])
    assert ranking.docids[3:] == tuple(f"d{at}" for at in range(16, -1, -1))


@pytest.mark.usefixtures("_key")
def test_an_api_that_fails_or_is_too_dear_breaks_no_ranking(tmp_path: Path) -> None:
    def refuses(asked: Asked) -> Turn:
        return failure(401, "bad key")

    with ScriptedServer(refuses) as server, remote(server, tmp_path) as reranker:
        ranking = reranker.rerank(request_of(5))
    assert ranking.docids == ("d0", "d1", "d2", "d3", "d4")
    assert ranking.receipt.fallback == "first_stage"
    assert "cohere/rerank-v3.5 left 5 of 5 candidates without a score" in ranking.receipt.degraded[0]
    with ScriptedServer(by_number) as server, remote(server, tmp_path, budget_usd="0.001") as reranker:
        ranking = reranker.rerank(request_of(5))
    assert server.asked == []
    assert ranking.receipt.usd == 0
    assert ranking.docids == ("d0", "d1", "d2", "d3", "d4")


def distinct(n: int) -> list[Request]:
    return [Request(Query(f"q{at}", f"query {at}"), request_of(5).candidates) for at in range(n)]


@pytest.mark.usefixtures("_key")
def test_queries_of_which_a_share_is_escalated_are_scored_at_once(tmp_path: Path) -> None:
    model = MemoryModel()
    with (
        ScriptedServer(by_number, delay_s=0.1) as server,
        remote(server, tmp_path, model=model, escalate=0.5, concurrency=4) as reranker,
    ):
        rankings = list(reranker.rerank_many(distinct(8)))
    assert server.most_at_once == 4
    assert [ranking.query.qid for ranking in rankings] == [f"q{at}" for at in range(8)]
    assert sum(ranking.receipt.route == "llm" for ranking in rankings) == 4


@pytest.mark.usefixtures("_key")
async def test_work_that_ends_while_queries_are_scored_is_in_the_books_and_leaves_no_account_open(
    tmp_path: Path,
) -> None:
    def answer(asked: Asked) -> Turn:
        return Hang() if asked.body["query"] == "query 1" else by_number(asked)

    async def work(reranker: Reranker) -> list[Ranking]:
        return [ranking async for ranking in reranker.arerank_many(distinct(3))]

    path, books = tmp_path / "ledger.db", {"ledger": str(tmp_path / "ledger.db"), "budget_usd": "1"}
    with ScriptedServer(answer) as server:
        async with remote(server, tmp_path, model=MemoryModel(), escalate=0.5, **books) as reranker:
            working = asyncio.create_task(work(reranker))
            async with asyncio.timeout(20):
                while len(server.billed) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            working.cancel()
            await asyncio.wait([working])
    [line] = History(path).report("route")
    assert (line.answered, line.unknown, line.open, line.usd) == (2, 1, 0, Decimal("0.006"))
    with sqlite3.connect(path) as db:
        scopes = [kind for (kind,) in db.execute("SELECT substr(key, 1, 5) FROM scope")]
    assert "query" not in scopes
    assert len(scopes) == 4  # run, day, month, account


def test_a_cascade_is_written_in_words_or_in_tables(tmp_path: Path) -> None:
    words = Policy.of(local=["cohere/rerank-v3.5@http://127.0.0.1:1/v2@50", "embedded@20", "vllm/x@http://h:8000"])
    assert [(each.scorer, each.base_url, each.depth) for each in words.local] == [
        ("cohere/rerank-v3.5", "http://127.0.0.1:1/v2", 50),
        ("embedded", None, 20),
        ("vllm/x", "http://h:8000", None),
    ]
    file = tmp_path / "p.toml"
    file.write_text('depth = 200\nlocal = [{scorer = "late/dir", depth = 200}, "embedded@50"]\nllm_depth = 20\n')
    assert [each.depth for each in Policy.of(file).local] == [200, 50]
    assert Policy.of(local="none").local == ()
    assert [each.scorer for each in Policy.of().local] == ["embedded"]


@pytest.mark.parametrize(
    ("local", "complaint"),
    [
        (["embedded", "none"], "stands alone"),
        (["embedded@20", "embedded@50"], "only 20 come to it"),
        (["embedded@200"], "only 100 come to it"),
        (["embedded@0"], "greater than or equal to 1"),
        ([""], "at least 1 character"),
        (["embedded@http://me:hunter2@h"], "embedded is read from this machine"),
        (["tei/x@me:hunter2@h:80"], "neither a number nor an address"),
        (["none", "tei/x@http://me:hunter2@h"], "stands alone"),
        ([{"base_url": "http://me:hunter2@h"}], "scorer: Field required"),
        ([{"scorer": "tei/x", "base_url": ["http://me:hunter2@h"]}], "valid string"),
        ([{"scorer": "embedded", "dept": 20}], "did you mean 'depth'"),
    ],
)
def test_a_cascade_that_cannot_be_is_refused_in_words(local: list[Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as refused:
        Policy.of(local=local)
    assert "hunter2" not in str(refused.value)


@pytest.mark.usefixtures("_key")
@pytest.mark.parametrize("wrong", [{"local": ["cohere/x", "no/such-model"]}, {"llm": "no-such/model"}])
def test_what_is_refused_leaves_nothing_open(tmp_path: Path, wrong: dict[str, Any]) -> None:
    before = threading.active_count()
    with pytest.raises(ConfigError):
        Reranker(**{"local": "cohere/x", "ledger": str(tmp_path / "ledger.db"), **wrong})
    assert threading.active_count() == before


def test_made_up_dollars_and_real_ones_are_not_put_into_the_same_books() -> None:
    settings: dict[str, Any] = {"local": "vllm/x@http://h", "llm": "sim/strong,qrels=q", "escalate": "always"}
    with pytest.raises(ConfigError, match="dollars are made up"):
        Policy.of(**settings)
    assert Policy.of(**settings, ledger="off").simulated


def test_an_address_is_told_by_its_beginning_in_any_case() -> None:
    [stage] = Policy.of(local="tei/x@HTTP://me:hunter2@h@20").local
    assert (stage.scorer, stage.base_url, stage.depth) == ("tei/x", "HTTP://me:hunter2@h", 20)
    [other] = Policy.of(llm="vllm/x", fallback=["vllm/y@HTTPS://h"]).fallback
    assert (other.llm, other.base_url) == ("vllm/y", "HTTPS://h")


@pytest.mark.usefixtures("_key")
def test_no_money_is_spent_on_a_single_candidate(tmp_path: Path) -> None:
    with ScriptedServer(by_number) as server, remote(server, tmp_path) as reranker:
        ranking = reranker.rerank(request_of(1))
        [stage] = reranker.plan([request_of(1)]).stages
    assert server.asked == []
    assert ranking.docids == ("d0",)
    assert (ranking.receipt.route, ranking.receipt.fallback, ranking.receipt.attempts) == ("local", None, 0)
    assert stage.calls == 0
