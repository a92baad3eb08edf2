"""Strategies and votes through the whole engine: what must hold whatever is chosen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from listwise import Candidate, ConfigError, Query, Ranking, Request, Reranker
from listwise.calls import LABELS, Call, Completion, Identity
from listwise.spend.tokens import counter_for
from listwise.strategies import StrategyName, most_windows
from listwise.types import Usage
from tests.layers.models import MemoryModel, completion

CHOSEN: dict[str, Any] = {"local": "none", "escalate": "always", "cache": "off", "ledger": "off"}
ADAPTING = ("adaptive", "widening", "topdown", "blitz", "setwise", "pairwise")


def request_of(n: int, words: int = 3, qid: str = "q") -> Request:
    texts = [f"passage {at} " + "word " * words for at in range(n)]
    return Request(
        Query(qid, "which"), tuple(Candidate(f"d{at}", text, float(n - at)) for at, text in enumerate(texts))
    )


def erratic(seed: int) -> Callable[[Call], Completion]:
    """Any order, or any label; the same for the same passages."""

    def answer(call: Call) -> Completion:
        draw = random.Random(f"{seed} {call.docids} {call.sample}")
        if call.form == "choice":
            return completion(draw.choice(LABELS[: call.passages]))
        return completion(" > ".join(f"[{at + 1}]" for at in draw.sample(range(call.passages), call.passages)))

    return answer


class Dearest(MemoryModel):
    """Bills the most that a call can be bounded by."""

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        said = await super().complete(call, timeout_s=timeout_s)
        most = counter_for(self.identity.name).count(call).bound
        return replace(said, usage=Usage(most, output_tokens=call.sampling.max_output_tokens))


class Unpunctual(MemoryModel):
    """Takes another time for every window, and bills what it was sent."""

    def __init__(self, seed: int, answer: Callable[[Call], Completion]) -> None:
        super().__init__(answer)
        self._seed = seed

    async def complete(self, call: Call, *, timeout_s: float) -> Completion:
        await asyncio.sleep(random.Random(f"{self._seed} {call.docids} {call.sample}").random() * 0.005)
        said = await super().complete(call, timeout_s=timeout_s)
        sent = sum(len(message.content) for message in call.messages)
        return replace(said, usage=Usage(sent // 4, output_tokens=len(said.text) // 2))


@pytest.mark.parametrize("votes", [1, 2, "auto"])
@pytest.mark.parametrize("strategy", ADAPTING)
def test_no_bill_is_above_the_high_figure_of_its_plan(strategy: StrategyName, votes: object) -> None:
    if strategy == "pairwise" and votes != 1:
        pytest.skip("nothing to shuffle")
    settings = {**CHOSEN, "strategy": strategy, "votes": votes, "window": 8, "stride": 4, "top": 3}
    asked = request_of(25, words=30)
    for seed in range(4):
        model = Dearest(erratic(seed))
        price = (f"{model.identity.name}=1,4",)
        with Reranker(model=model, **settings, price=price, guard="off") as reranker:
            (planned,) = reranker.plan([asked]).strategies
            receipt = reranker.rerank(asked).receipt
        assert float(receipt.usd) <= planned.usd.high
        assert receipt.input_tokens <= planned.input_tokens.high
        assert receipt.output_tokens <= planned.output_tokens.high


@pytest.mark.parametrize("strategy", ["topdown", "tournament", "adaptive", "widening"])
def test_under_a_cap_it_is_not_chance_which_windows_are_read(strategy: StrategyName) -> None:
    """The windows of one step all want what is left, and come back in any order."""

    texts = [f"text number {at} " + "word " * (at % 7 * 9) for at in range(30)]
    uneven = Request(Query("q", "which"), tuple(Candidate(f"d{at}", text) for at, text in enumerate(texts)))

    def ranked(concurrency: int, seed: int) -> Ranking:
        model = Unpunctual(seed, erratic(1))
        with Reranker(
            model=model, **CHOSEN, strategy=strategy, votes=3, window=5, stride=2, budget_usd="0.006",
            price=(f"{model.identity.name}=1,4",), concurrency=concurrency,
        ) as reranker:  # fmt: skip
            return reranker.rerank(uneven)

    rankings = [ranked(concurrency, seed) for concurrency in (1, 16) for seed in range(3)]
    assert any("budget" in what for what in rankings[0].receipt.degraded)
    assert len({(each.docids, each.receipt.calls, each.receipt.usd) for each in rankings}) == 1


def test_a_simulated_model_takes_no_query_for_another_with_the_same_texts(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("one 0 d1 3\ntwo 0 d2 3\n")
    candidates = tuple(Candidate(f"d{at}", "the same text") for at in range(3))
    requests = [Request(Query(qid, "which"), candidates) for qid in ("one", "two")]
    settings = {**CHOSEN, "llm": f"sim/perfect,latency=0.01,qrels={tmp_path / 'qrels'}"}
    for cache in ("off", str(tmp_path / "cache")):
        with Reranker(**{**settings, "cache": cache}) as reranker:
            assert [ranking.docids[0] for ranking in reranker.rerank_many(requests)] == ["d1", "d2"]


@pytest.mark.parametrize("strategy", ["pointwise", "pairwise", "pairwise-all"])
def test_votes_that_could_not_differ_are_refused(strategy: StrategyName) -> None:
    with pytest.raises(ConfigError, match="nothing to shuffle"):
        Reranker(model=MemoryModel(completion("A")), **CHOSEN, strategy=strategy, votes=3)
    with Reranker(model=MemoryModel(completion("A")), **CHOSEN, strategy=strategy, votes=3, shuffle="none") as own:
        assert own.rerank(request_of(3)).receipt.calls % 3 == 0


@pytest.mark.parametrize(
    "scores", [(1.7e308, 0.0, -1.7e308), (float("nan"), 1.0, 0.0), (None, 1.0, 0.0), (1.0,) * 3]
)
def test_adaptive_stands_any_scores(scores: tuple[float | None, ...]) -> None:
    candidates = tuple(Candidate(f"d{at}", f"text {at}", score) for at, score in enumerate(scores))
    with Reranker(model=MemoryModel(completion("[3] > [2] > [1]")), **CHOSEN, strategy="adaptive") as reranker:
        ranking = reranker.rerank(Request(Query("q", "which"), candidates))
    assert sorted(ranking.docids) == ["d0", "d1", "d2"]
    played_as_topdown = len(set(scores)) == 1 or None in scores or scores[0] != scores[0]
    assert bool(ranking.receipt.notes) == played_as_topdown


def test_own_scores_are_trusted_as_a_local_models() -> None:
    class Scorer:
        name = "own"

        def score(self, query: str, passages: Any) -> list[float]:
            return [float(len(passages) - at) for at in range(len(passages))]

    model = MemoryModel(completion("A"))
    with Reranker(model=model, scorer=Scorer(), **{**CHOSEN, "local": "none"}) as reranker:
        assert reranker.policy.measures["trust"] == 0.6
    with Reranker(model=model, **CHOSEN) as reranker:
        assert reranker.policy.measures["trust"] == 0.25


@pytest.mark.parametrize("name", get_args(StrategyName))
def test_a_thousand_candidates_and_the_smallest_window_are_bounded(name: StrategyName) -> None:
    assert most_windows(name, 2000, window=2, stride=1, depth=2000) > 0


def test_a_chain_is_simulated_or_it_is_not(tmp_path: Path) -> None:
    real, simulated = MemoryModel(completion("[1]")), MemoryModel(completion("[1]"))
    simulated.identity = Identity("sim", "strong", "qrels:0")
    with pytest.raises(ConfigError, match="cannot stand in"):
        Reranker(model=[real, simulated], **CHOSEN)
