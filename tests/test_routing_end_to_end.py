"""Routing as a user has it: goals, budgets, options and the log, over a simulated LLM that bills."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from listwise.errors import ConfigError
from listwise.policy import Policy
from listwise.reranker import Reranker
from listwise.routing.gain import GainModel, Line, Signal, Skill
from listwise.routing.reference import Reference
from listwise.spend.history import History
from listwise.types import Candidate, Query, Ranking, Request

QUERIES, DEPTH = 12, 30


class Steep:
    """Sets the first ten apart from the others, the more the later the query."""

    name = "steep"

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        step = int(query.removeprefix("query "))
        return [step * (at < 10) + 0.01 * -at for at in range(len(passages))]


@pytest.fixture
def router(tmp_path: Path) -> Path:
    """Expects a quarter less for each standard deviation of margin, twice as much at depth 20 as at depth 10."""
    path = tmp_path / "router.json"
    falling = [1 - at / 40 for at in range(40)]
    margins = Reference.of([float(at) for at in range(1, 41)])
    GainModel(
        fitted_on="made up",
        llm="sim",
        scorer="steep",
        signals={"margin": Signal(mean=1.0, spread=1.0, reference=margins)},
        options=tuple(
            Line(
                tier="llm",
                depth=depth,
                votes=votes,
                mean=gain,
                weights=(-gain / 4,),
                held_out=tuple((gain * part, gain * part) for part in falling),
            )
            for depth, votes, gain in ((10, 1, 0.05), (20, 1, 0.10), (20, 3, 0.11))
        ),
        skill=Skill(queries=40, correlation=0.5, low=0.3, high=0.7, chance=0.01, error=0.01),
    ).write(path)
    return path


def requests() -> list[Request]:
    return [
        Request(
            Query(f"q{at}", f"query {at}"),
            tuple(Candidate(f"d{place}", "some words " * 20) for place in range(DEPTH)),
        )
        for at in range(QUERIES)
    ]


@pytest.fixture
def settings(tmp_path: Path, router: Path) -> dict[str, Any]:
    qrels = tmp_path / "qrels.txt"
    qrels.write_text("".join(f"q{at} 0 d{place} {place % 3}\n" for at in range(QUERIES) for place in range(DEPTH)))
    return {
        "llm": f"sim/strong,qrels={qrels}",
        "scorer": Steep(),
        "router": str(router),
        "strategy": "single",
        "ledger": str(tmp_path / "ledger.db"),
    }


def ranked(**settings: Any) -> list[Ranking]:
    with Reranker(**settings) as reranker:
        return list(reranker.rerank_many(requests()))


def escalated(rankings: Sequence[Ranking]) -> list[str]:
    return [each.query.qid for each in rankings if each.receipt.route == "llm"]


def test_auto_spends_three_tenths_where_it_gains_most(settings: dict[str, Any]) -> None:
    rankings = ranked(**settings)
    in_full = sum(each.receipt.usd for each in ranked(**settings, point_usd="10"))
    assert 0 < sum(each.receipt.usd for each in rankings) <= in_full / 3
    assert "that so much must bring where 30% of what it costs" in rankings[0].receipt.reason


def test_a_price_a_point_buys_as_long_as_it_is_worth_it(settings: dict[str, Any]) -> None:
    assert escalated(ranked(**settings, point_usd="10")) == [f"q{at}" for at in range(QUERIES)]
    assert escalated(ranked(**settings, point_usd="0.0000001")) == []


def test_receipts_say_what_was_expected(settings: dict[str, Any]) -> None:
    taken, *_, refused = [each.receipt for each in ranked(**settings, escalate=0.5)]
    assert (taken.route, refused.route) == ("llm", "local")
    for receipt in (taken, refused):
        assert receipt.expected_gain is not None
        assert receipt.expected_usd is not None
        assert f"expected to gain {receipt.expected_gain * 100:.1f} points" in receipt.reason
    assert taken.expected_usd == pytest.approx(taken.usd, rel=Decimal("0.3"))
    always = ranked(**settings, escalate="always")[0].receipt
    assert (always.expected_gain, always.expected_usd) == (None, None)


def test_the_depth_and_votes_of_the_option_are_what_the_llm_is_asked(settings: dict[str, Any]) -> None:
    for price, (reads, calls) in {"0.0005": (20, 1), "10": (60, 3)}.items():
        receipt = ranked(**settings, point_usd=price)[0].receipt
        assert (receipt.passages_read, receipt.calls) == (reads, calls), receipt.reason
    receipt = ranked(**settings, point_usd="10", llm_depth=8)[0].receipt
    assert receipt.passages_read == 3 * 8


def test_a_runs_budget_goes_where_a_dollar_gains_most_and_is_not_exceeded(settings: dict[str, Any]) -> None:
    every = ranked(**settings, point_usd="10")
    bill = sum(each.receipt.usd for each in every)
    rankings = ranked(**settings, budget_total_usd=str(bill / 4))
    found = escalated(rankings)
    assert 0 < len(found) < QUERIES
    assert found == [f"q{at}" for at in range(len(found))]
    assert sum(each.receipt.usd for each in rankings) <= bill / 4
    assert any("gain most" in each.receipt.reason for each in rankings)


async def test_a_stream_under_a_budget_is_not_waited_for(settings: dict[str, Any]) -> None:
    seen = 0

    async def stream() -> AsyncIterator[Request]:
        nonlocal seen
        for each in requests():
            seen += 1
            yield each

    async with Reranker(**settings, budget_total_usd="0.002", concurrency=1) as reranker:
        rankings = reranker.arerank_many(stream())
        first = await anext(rankings)
        assert seen <= 2
        rest = [each async for each in rankings]
    assert sum(each.receipt.usd for each in (first, *rest)) <= 0.002


def test_a_loss_that_cannot_be_promised_escalates_all_and_says_so(settings: dict[str, Any]) -> None:
    rankings = ranked(**settings, max_loss=0.001)
    assert len(escalated(rankings)) == QUERIES
    assert "not feasible on this data" in rankings[0].receipt.reason


def test_pacing_holds_the_day_over_two_rerankers_and_remembers(settings: dict[str, Any]) -> None:
    paced = {**settings, "budget_day_usd": "0.02", "pace": True}
    bills = [sum(each.receipt.usd for each in ranked(**paced)) for _ in range(2)]
    assert sum(bills) <= 0.02
    notes = History(Path(settings["ledger"])).routes()
    assert len(notes) == 2 * QUERIES


def test_exploration_is_logged_with_its_probability(settings: dict[str, Any]) -> None:
    rankings = ranked(**settings, point_usd="0.0000001", explore=0.5)
    found = escalated(rankings)
    assert 0 < len(found) < QUERIES
    log = {each.qid: each.note for each in History(Path(settings["ledger"])).routes()}
    assert {qid for qid, note in log.items() if note.explored} == set(found)
    assert {note.propensity for note in log.values()} == {0.5}
    told = log[found[0]]
    assert told.disagreement is not None
    assert told.nano_usd > 0
    assert told.predicted_gain is not None
    assert told.signals["margin"] >= 0
    assert log[next(qid for qid in log if qid not in found)].disagreement is None


def test_a_plan_foresees_the_routes_and_the_depths(settings: dict[str, Any]) -> None:
    with Reranker(**settings, point_usd="0.0005") as reranker:
        plan = reranker.plan(requests())
    rankings = ranked(**settings, point_usd="0.0005")
    assert plan.routes["llm"] == len(escalated(rankings))
    assert plan.strategies[0].passages_read == sum(each.receipt.passages_read for each in rankings)


def test_a_query_is_explained(settings: dict[str, Any]) -> None:
    with Reranker(**settings, point_usd="0.0005") as reranker:
        found = reranker.explain(requests(), "q3")
    text = "\n".join(found.lines())
    assert found.decision.route == "llm"
    assert "<- taken" in text
    assert "margin" in text
    assert "worth it at $0.0005 a point" in text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"pace": True}, "set budget_day_usd"),
        ({"point_usd": "1", "max_loss": 0.1}, "leave all but one out"),
        ({"margin": 0.1, "escalate": 0.3}, "is for escalate = auto"),
        ({"router": "nothing"}, "no router 'nothing'"),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, Any], wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Reranker(**{**settings, **wrong})


def test_gains_cannot_be_weighed_against_an_unknown_price(router: Path) -> None:
    with pytest.raises(ConfigError, match="no known price"):
        Reranker(
            llm="vllm/some/model", base_url="http://127.0.0.1:1/v1", router=str(router), point_usd="1", ledger="off"
        )


def test_a_policy_file_may_name_a_router_beside_it(tmp_path: Path, router: Path) -> None:
    (tmp_path / "mine.toml").write_text('router = "router.json"\n')
    assert Policy.of(tmp_path / "mine.toml").router == str(router)
