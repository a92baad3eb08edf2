"""Routes by gain through the public face, with models in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from listwise import Candidate, Query, Ranking, Request, Reranker
from listwise import reranker as reranker_module
from listwise.calls import Call, Completion
from listwise.errors import AnswerError, ConfigError, ServerError
from listwise.routing.demand import DAY_S
from listwise.routing.exploration import explores
from listwise.routing.gain import GainModel, Signal
from listwise.routing.offers import Offer
from listwise.routing.router import Router
from listwise.spend.ledger import MemoryLedger
from listwise.spend.purse import Purse
from listwise.spend.routes import RouteNote
from listwise.spend.sqlite import SqliteLedger
from listwise.stages.scored import Scored
from listwise.types import Usage
from tests.layers.models import MemoryModel, completion
from tests.routing.gains import UNIT, gain_model, line

PRICE = ("memory/model=1,2", "memory/cheap=0.1,0.2")
STEPS = 8


class Steep:
    """Prefers the first passages, of each query as much."""

    name = "steep"

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        return [-0.01 * at for at in range(len(passages))]


class Blind:
    """Scores nothing of queries with odd numbers."""

    name = "blind"

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        odd = query.count(" ") % 2
        return [float("nan")] * len(passages) if odd else Steep().score(query, passages)


def request_of(number: int, n: int = 30, qid: str = "") -> Request:
    """Of so many words beside the first."""
    return Request(
        Query(qid or f"q{number}", "what" + " is" * number),
        tuple(Candidate(f"d{at}", f"text {at}") for at in range(n)),
    )


def requests(count: int = 5, n: int = 30) -> list[Request]:
    return [request_of(number, n) for number in range(count)]


@pytest.fixture
def router(tmp_path: Path) -> Callable[[GainModel], str]:
    def write(model: GainModel) -> str:
        model.write(tmp_path / f"{model.name}.json")
        return str(tmp_path / f"{model.name}.json")

    return write


@pytest.fixture
def shallow(router: Callable[[GainModel], str]) -> str:
    """The same of those that read 20."""
    return router(by_words((20, 0.1, -0.1)))


@pytest.fixture
def gains(router: Callable[[GainModel], str]) -> str:
    """A tenth for queries of one word, and a hundredth less for each more."""
    return router(by_words((20, 0.1, -0.1), (50, 0.11, -0.1)))


TENS = {"words": Signal(mean=1, spread=10, reference=UNIT.reference)}


def by_words(*lines: tuple[int, float, float], **more: Any) -> GainModel:
    """Of depths, gains of a query of one word, and what ten words more add to it; held out of queries of one word
    and more, which gained as predicted."""
    held = {depth: [(gain + weight * at / 10,) * 2 for at in range(20)] for depth, gain, weight in lines}
    made = [line(depth, gain, weight, held_out=held[depth]) for depth, gain, weight in lines]
    return gain_model(*made, signals=TENS, **more)


def answering(call: Call) -> Completion:
    """Turns the window round, at a dollar for a million tokens of 1000 in all."""
    shown = [int(label) for label in re.findall(r"^\[(\d+)\] text", _prompt(call), re.MULTILINE)]
    text = " > ".join(f"[{label}]" for label in reversed(shown))
    return Completion(text, Usage(1000, output_tokens=0), "memory-1")


def _prompt(call: Call) -> str:
    return "\n".join(message.content for message in call.messages)


def steered(model: MemoryModel | Sequence[MemoryModel] | None = None, **settings: Any) -> Reranker:
    chosen = {"scorer": Steep(), "cache": "off", "strategy": "full", "price": PRICE, "ledger": MemoryLedger()}
    return Reranker(model=model or MemoryModel(answering), **{**chosen, **settings})


def routes(rankings: Sequence[Ranking]) -> str:
    return "".join("L" if ranking.receipt.route == "llm" else "." for ranking in rankings)


def notes(reranker: Reranker) -> dict[str, RouteNote]:
    return {each.qid: each.note for each in reranker.purse.ledger.routes()}


async def ranked(reranker: Reranker, *queries: Request) -> list[Ranking]:
    return [ranking async for ranking in reranker.arerank_many(iter(queries))]


async def test_auto_escalates_where_the_router_expects_most_of_it(gains: str) -> None:
    reranker = steered(router=gains)
    rankings = [await reranker.arerank(each) for each in requests(8)]
    assert routes(rankings) == "LLLLLLL."
    assert rankings[0].receipt.reason.startswith("reading 20 is expected to gain 10.0 points for $")
    assert rankings[0].docids == tuple(f"d{at}" for at in (*reversed(range(20)), *range(20, 30)))
    assert rankings[-1].docids[:3] == ("d0", "d1", "d2")


async def test_a_price_takes_what_is_worth_it(shallow: str) -> None:
    dear = cost_of_one(shallow) / 8.5
    assert routes(await ranked(steered(router=shallow, point_usd=f"{dear:.9f}"), *requests())) == "LL..."
    assert routes(await ranked(steered(router=shallow, point_usd="0"), *requests())) == "....."
    with pytest.raises(ConfigError, match="memory/model has no known price"):
        steered(router=shallow, point_usd="0.001", price=())


async def test_the_depth_of_an_option_is_what_the_llm_reads(router: Callable[[GainModel], str]) -> None:
    model = MemoryModel(answering)
    seven = router(gain_model(line(7, 0.1, -0.001), line(25, 0.05, -0.001)))
    reranker = steered(model, router=seven, point_usd="1")
    ranking = await reranker.arerank(request_of(0))
    assert [call.passages for call in model.asked] == [7]
    assert ranking.docids[:8] == ("d6", "d5", "d4", "d3", "d2", "d1", "d0", "d7")
    note = notes(reranker)["q0"]
    assert (note.tier, note.depth, note.votes, note.why, note.propensity) == ("llm", 7, 1, "gain", 1)
    assert note.predicted_gain == pytest.approx(0.1, abs=0.01)
    assert note.nano_usd == 1_000_000
    assert note.model == "memory/model"


async def test_the_votes_of_an_option_are_held(router: Callable[[GainModel], str]) -> None:
    model = MemoryModel(answering)
    voting = router(gain_model(line(7, 0.1, -0.001, votes=3)))
    reranker = steered(model, router=voting, point_usd="1")
    await reranker.arerank(request_of(0))
    assert [(call.passages, call.sample) for call in model.asked] == [(7, 0), (7, 1), (7, 2)]
    assert notes(reranker)["q0"].votes == 3
    await steered(model, escalate="always").arerank(request_of(0))
    assert len(model.asked) == 4


async def test_a_tier_may_be_a_fallback(router: Callable[[GainModel], str]) -> None:
    dear, cheap = MemoryModel(answering), MemoryModel(answering, name="cheap")
    lines = line(20, 0.1, -0.1), line(20, 0.09, -0.01, tier="memory/cheap")
    cheaper = router(gain_model(*lines, signals=TENS))
    reranker = steered([dear, cheap], router=cheaper, point_usd="1")
    first, second = await ranked(reranker, request_of(0), request_of(9))
    assert (first.receipt.model, second.receipt.model) == ("memory/model", "memory/cheap")
    assert (len(dear.asked), len(cheap.asked)) == (1, 1)
    assert dict(second.receipt.ordered_by) == {"memory/cheap": 1}
    assert second.receipt.fallback is None
    assert notes(reranker)["q9"].tier == "memory/cheap"


async def test_a_share_of_queries_of_which_some_are_unknown_escalates_these_first(gains: str) -> None:
    reranker = steered(scorer=Blind(), router=gains, escalate=0.5)
    rankings = await ranked(reranker, *requests(6))
    assert routes(rankings) == ".L.L.L"
    assert rankings[1].receipt.reason.startswith("nothing tells how ambiguous the query is; of others, reading 30")
    assert routes(await ranked(steered(scorer=Blind(), router=gains, escalate=0.0), *requests(6))) == "......"
    assert routes(await ranked(steered(scorer=Blind(), router=gains), *requests(6))) == "LLLLLL"


async def test_a_share_of_queries_without_any_scores_is_a_share(gains: str) -> None:
    reranker = steered(scorer=None, local="none", router=gains, escalate=0.4)
    assert routes(await ranked(reranker, *requests())).count("L") == 2


async def test_a_budget_is_spent_where_it_gains_most_if_all_are_known(shallow: str) -> None:
    usd = 3.5 * cost_of_one(shallow)

    async def played(queries: Any) -> str:
        reranker = steered(router=shallow, budget_total_usd=f"{usd:.9f}")
        return routes([ranking async for ranking in reranker.arerank_many(queries)])

    numbers = [4, 0, 3, 1, 2, 9, 8, 7]
    known = [request_of(number) for number in numbers]
    assert await played(known) == ".L.LL..."
    streamed = await played(iter(known))
    assert streamed.count("L") <= 3


def cost_of_one(gains: str) -> float:
    """Dollars, as expected."""
    reranker = steered(router=gains, point_usd="1")
    offering = reranker._course.steering._offering
    assert offering is not None
    offers: Sequence[Offer] = offering.of(Scored.as_given(request_of(0), 100), {})
    return max(offer.nano_usd for offer in offers) / 1e9


async def test_a_stream_spends_no_more_than_the_budget_and_not_all_at_once(gains: str) -> None:
    async def stream() -> AsyncIterator[Request]:
        for at in range(300):
            yield request_of(at % 5, qid=f"q{at}")

    reranker = steered(router=gains, budget_total_usd="0.03", concurrency=2)
    rankings = [ranking async for ranking in reranker.arerank_many(stream())]
    sent = routes(rankings)
    assert float(sum(ranking.receipt.usd for ranking in rankings)) <= 0.03
    assert 5 <= sent.count("L") <= 30
    assert "L" in sent[150:]
    assert sum(not ranking.receipt.degraded for ranking in rankings) > 290


async def test_a_largest_loss_that_cannot_be_promised_escalates_all_and_says_so(gains: str) -> None:
    rankings = await ranked(steered(router=gains, max_loss=0.01), *requests())
    assert routes(rankings) == "LLLLL"
    assert all("; all are escalated, as not feasible on this data" in each.receipt.reason for each in rankings)


async def test_a_days_budget_is_paced_over_two_rerankers_of_one_ledger(
    gains: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 20_000.0 * DAY_S
    monkeypatch.setattr(reranker_module, "Purse", partial(Purse, now=lambda: now))
    settings: dict[str, Any] = {"router": gains, "pace": True, "budget_day_usd": "0.05"}
    ledger = SqliteLedger(tmp_path / "ledger.db")
    one, two = (steered(ledger=ledger, **settings) for _ in range(2))
    spent: list[float] = []
    short = 0
    for at in range(120):
        now += DAY_S / 121
        ranking = await (one, two)[at % 2].arerank(request_of(0, qid=f"q{at}"))
        spent.append(float(ranking.receipt.usd))
        short += bool(ranking.receipt.degraded)
    assert short < 12  # a call is not made that might cost what is left, though it is not expected to
    assert 0.04 < sum(spent) <= 0.05
    assert 0.015 < sum(spent[:60]) < 0.035
    assert "points a dollar" in ranking.receipt.reason
    await ledger.flush()
    plan = await two.aplan(requests(100))
    assert plan.routes["local"] > 85
    ledger.close()


async def test_exploration_is_in_the_log_with_its_probability(gains: str) -> None:
    reranker = steered(router=gains, point_usd="0", explore=0.3, seed=5)
    rankings = await ranked(reranker, *requests(40))
    explored = [explores(5, f"q{at}\0what" + " is" * at, 0.3) for at in range(40)]
    assert [ranking.receipt.route == "llm" for ranking in rankings] == explored
    log = notes(reranker)
    for at, taken in enumerate(explored):
        note = log[f"q{at}"]
        assert (note.why, note.tier) == (("explored", "llm") if taken else ("gain", None))
        assert note.propensity == 0.3
        assert note.predicted_gain is not None
        assert (note.disagreement is not None) == taken
        assert (note.nano_usd > 0) == taken
    assert 3 < sum(explored) < 25


async def test_the_log_says_what_a_rule_had_read(gains: str) -> None:
    reranker = steered(router=gains, escalate="always", llm_depth=12)
    await ranked(reranker, request_of(0), request_of(1, 5), request_of(2, 1), request_of(3, 0))
    log = notes(reranker)
    read = {qid: (note.why, note.tier, note.depth, note.votes, note.propensity) for qid, note in log.items()}
    assert read == {
        "q0": ("rule", "llm", 12, 1, 1.0),
        "q1": ("rule", "llm", 5, 1, 1.0),
        "q2": ("rule", None, 0, 0, 0.0),
    }
    assert log["q0"].router == GainModel.read(gains).name
    assert "margin" in log["q0"].signals


@pytest.mark.parametrize("n", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "settings", [{}, {"escalate": 0.5}, {"point_usd": "1"}, {"budget_total_usd": "1"}, {"max_loss": 0.1}]
)
async def test_few_candidates_are_ranked_in_the_plan_as_in_the_run(
    gains: str, n: int, settings: dict[str, Any]
) -> None:
    reranker = steered(router=gains, **settings)
    queries = [request_of(number, n) for number in range(4)]
    plan = await reranker.aplan(queries)
    rankings = [ranking async for ranking in reranker.arerank_many(queries)]
    assert all(len(ranking.docids) == n for ranking in rankings)
    routed = [ranking.receipt.route for ranking in rankings]
    assert plan.routes == {route: routed.count(route) for route in set(routed)}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"escalate": 0.4},
        {"point_usd": "0.0001"},
        {"budget_total_usd": "0.005"},
        {"max_loss": 0.1},
        {"explore": 0.5},
        {"margin": 1.5},
        {"llm_depth": 7},
        {"votes": 2},
    ],
)
async def test_a_plan_foresees_routes_depths_and_votes(
    router: Callable[[GainModel], str], settings: dict[str, Any]
) -> None:
    pairs = [(0.2 - at / 50, 0.2 - at / 50) for at in range(20)]
    mixed = router(
        gain_model(
            line(5, 0.2, -0.1, held_out=pairs),
            line(10, 0.15, -0.05, votes=3, held_out=pairs),
            line(25, 0.0, 0.05, held_out=pairs),
        )
    )
    reranker = steered(router=mixed, scorer=Blind(), **settings)
    queries = requests(STEPS)
    plan = await reranker.aplan(queries)
    rankings = [ranking async for ranking in reranker.arerank_many(queries)]
    assert plan.routes.get("llm", 0) == routes(rankings).count("L") > 0
    if "budget_total_usd" in settings:  # which calls were not expected to reach
        return
    [planned] = plan.strategies
    assert planned.calls == sum(ranking.receipt.calls for ranking in rankings)
    assert planned.passages_read == sum(ranking.receipt.passages_read for ranking in rankings)


async def test_a_sample_stands_for_all_queries_that_share_the_budget(shallow: str) -> None:
    usd = 4.5 * cost_of_one(shallow)
    reranker = steered(router=shallow, budget_total_usd=f"{usd:.9f}")
    same = [request_of(0, qid=f"q{at}") for at in range(16)]
    plan, sampled = await reranker.aplan(same), await reranker.aplan(same, sample=8)
    assert plan.routes == {"llm": 4, "local": 12}
    assert sampled.routes == {"llm": 4, "local": 12}


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What the router is told at the end of a query."""
    told: list[tuple[str, int]] = []
    whole = Router.settled

    def watched(self: Router, decision: Any, nano_usd: int, besides: int = 0) -> None:
        told.append((decision.route, nano_usd))
        whole(self, decision, nano_usd, besides)

    monkeypatch.setattr(Router, "settled", watched)
    return told


@pytest.mark.parametrize(
    ("behaviour", "settings", "raises"),
    [
        (answering, {}, None),
        (ServerError("down", model="memory/model", retry_after_s=0.0), {"attempts": 1}, None),
        (completion("I do not know."), {"on_bad_answer": "raise"}, AnswerError),
        (completion("I do not know."), {}, None),
    ],
)
async def test_what_became_of_a_decision_is_told_once(
    gains: str, settled: list[tuple[str, int]], behaviour: Any, settings: dict[str, Any], raises: Any
) -> None:
    day = {"pace": True, "budget_day_usd": "1", "router": gains}
    reranker = steered(MemoryModel(behaviour), **day, **settings)
    if raises:
        with pytest.raises(raises):
            await reranker.arerank(request_of(0))
    else:
        await reranker.arerank(request_of(0))
        await reranker.arerank(request_of(1, 1))
    assert [route for route, _ in settled] == ["llm"] + ["local"] * (raises is None)
    await reranker.aclose()


async def test_a_query_that_is_cancelled_while_the_llm_reads_is_settled_once(
    gains: str, settled: list[tuple[str, int]]
) -> None:
    reranker = steered(MemoryModel(answering, delay_s=30), router=gains, pace=True, budget_day_usd="1")
    task = asyncio.ensure_future(reranker.arerank(request_of(0)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [route for route, _ in settled] == ["llm"]
    await reranker.aclose()
    assert len(settled) == 1


def test_one_reranker_paces_in_one_event_loop_after_another(gains: str) -> None:
    reranker = steered(router=gains, pace=True, budget_day_usd="1")
    for number in range(3):
        assert len(asyncio.run(reranker.arerank(request_of(number))).docids) == 30
    with reranker:
        assert len(reranker.rerank(request_of(0)).docids) == 30


async def test_a_router_that_cannot_be_used_is_refused_before_any_call(
    router: Callable[[GainModel], str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="no router"):
        steered(router=str(tmp_path / "none.json"))
    mute = router(gain_model(line(20, 0.1)))
    with pytest.raises(ConfigError, match="tells no query from another"):
        steered(router=mute)
    assert routes(await ranked(steered(router=mute, escalate=0.4), *requests())).count("L") == 2


async def test_a_share_of_queries_that_come_alone_is_one_though_nothing_tells_them_apart(
    router: Callable[[GainModel], str],
) -> None:
    mute = router(gain_model(line(20, 0.1, held_out=[(0.1, 0.2)] * 20)))
    for share, taken in ((0.0, 0), (0.3, 3), (1.0, 10)):
        reranker = steered(router=mute, escalate=share)
        rankings = [await reranker.arerank(each) for each in requests(10)]
        assert routes(rankings).count("L") == taken
        assert f"as on any query; {share:.0%} are escalated, by turns" in rankings[0].receipt.reason


@pytest.mark.parametrize("settings", [{}, {"escalate": "always"}, {"escalate": 1.0}, {"margin": 9.0}])
@pytest.mark.parametrize("depth", ["depth", "llm_depth"])
async def test_an_llm_that_would_read_one_candidate_is_not_asked(
    gains: str, depth: str, settings: dict[str, Any]
) -> None:
    given: dict[str, Any] = {**settings, depth: 1}
    reranker = steered(router=gains, **given)
    rankings = await ranked(reranker, *requests(2))
    assert [ranking.receipt.route for ranking in rankings] == ["local", "local"]
    assert rankings[0].receipt.reason == "an LLM would read a single candidate"
    assert (await reranker.aplan(requests(2))).routes == {"local": 2}


async def test_what_another_llm_made_of_a_query_says_nothing_of_the_one_asked(gains: str) -> None:
    down = MemoryModel(ServerError("down", model="memory/model", retry_after_s=0.0))
    reranker = steered([down, MemoryModel(answering, name="cheap")], router=gains, attempts=1)
    [ranking] = await ranked(reranker, request_of(0))
    assert (ranking.receipt.route, ranking.receipt.fallback) == ("llm", "llm")
    note = notes(reranker)["q0"]
    assert (note.tier, note.disagreement) == ("llm", None)
    assert note.nano_usd > 0


def test_an_explanation_obeys_nobody_and_says_where_there_is_little_to_say(gains: str) -> None:
    with steered(router=gains, point_usd="1") as reranker:

        def lines(text: str) -> list[str]:
            asked = Request(Query("q\x1b[2J", text), request_of(0).candidates)
            return list(reranker.explain([asked], asked.query.qid).lines())

        assert lines("a\nb\x07")[0] == "query q [2J: a b"
        assert lines("a")[-1] == "That is about the mean gain."
        assert lines("a" + " b" * 9)[-2:] == [
            "Why not the mean gain:",
            "  -9.0 points: how many words the query has",
        ]
