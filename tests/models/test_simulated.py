"""Simulated rankers: the causes of their mistakes, their names, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.calls import Call, Message, Sampling
from listwise.errors import BadRequest, ConfigError, InputError
from listwise.models.registry import load_model
from listwise.models.simulated.naming import PRESETS, load_simulated
from listwise.models.simulated.ranker import Bias, SimulatedRanker, Traits
from listwise.permutation import parse
from listwise.policy import Policy
from listwise.reranker import Reranker
from listwise.strategies import StrategyName
from listwise.types import Candidate, Query, Request

DOCIDS = tuple(f"d{at}" for at in range(20))
GRADES = {"q": {docid: float(at % 4) for at, docid in enumerate(DOCIDS)}}
REQUEST = Request(Query("q", "what"), tuple(Candidate(docid, f"text of {docid}") for docid in DOCIDS))


def ranker(grades: Mapping[str, Mapping[str, float]] = GRADES, **traits: Any) -> SimulatedRanker:
    return SimulatedRanker(replace(Traits(error=0.0, noise=0.0), **traits), grades)


@pytest.fixture
def qrels(tmp_path: Path) -> Path:
    path = tmp_path / "qrels, of a kind.txt"
    path.write_text("".join(f"q 0 {docid} {grade:.0f}\n" for docid, grade in GRADES["q"].items()))
    return path


class TestRanker:
    def test_without_errors_it_goes_by_the_grades(self) -> None:
        grades = [GRADES["q"][DOCIDS[at]] for at in ranker().rank("q", DOCIDS)]
        assert grades == sorted(grades, reverse=True)

    def test_what_is_not_judged_is_not_relevant(self) -> None:
        assert ranker({"q": {"b": 1.0}}).rank("q", ("a", "b", "c"))[0] == 1
        assert ranker().rank("another", ("a", "b")) == (0, 1)

    @given(st.permutations(DOCIDS), st.integers(0, 3), st.integers(0, 3))
    def test_the_same_question_has_the_same_answer(self, docids: list[str], seed: int, sample: int) -> None:
        of: dict[str, Any] = {"error": 0.5, "noise": 0.5, "bias": "tail", "seed": seed}
        assert ranker(**of).rank("q", docids, sample) == ranker(**of).rank("q", docids, sample)
        assert sorted(ranker(**of).rank("q", docids, sample)) == list(range(20))

    def test_an_error_persists_over_calls_and_noise_does_not(self) -> None:
        level = {"q": dict.fromkeys(DOCIDS, 1.0)}
        stubborn, fickle = ranker(level, error=0.5), ranker(level, noise=0.5)
        assert stubborn.rank("q", DOCIDS) == stubborn.rank("q", DOCIDS, sample=1)
        assert fickle.rank("q", DOCIDS) != fickle.rank("q", DOCIDS, sample=1)
        shown = DOCIDS[::-1]
        assert [shown[at] for at in stubborn.rank("q", shown)] == [DOCIDS[at] for at in stubborn.rank("q", DOCIDS)]

    def test_seeds_are_different_rankers(self) -> None:
        assert ranker(error=0.5, seed=1).rank("q", DOCIDS) != ranker(error=0.5, seed=2).rank("q", DOCIDS)

    def test_noise_grows_with_the_window(self) -> None:
        def spread(n: int, length: float) -> float:
            blank = ranker({"q": {}}, noise=1.0, length=length)
            docids = [f"x{at}" for at in range(n)]
            return fmean(pstdev(blank.grade("q", docids, sample).scores) for sample in range(200))

        assert spread(80, 0.5) / spread(20, 0.5) == pytest.approx(2, rel=0.1)
        assert spread(80, 0.0) / spread(20, 0.0) == pytest.approx(1, rel=0.1)

    @pytest.mark.parametrize(
        ("bias", "best", "worst"), [("head", 0, 20), ("tail", 20, 0), ("ends", 0, 10), ("middle", 10, 20)]
    )
    def test_a_bias_favours_places_and_is_fair_over_all(self, bias: Bias, best: int, worst: int) -> None:
        biased = ranker(bias=bias, strength=1.5)
        favours = [biased.favour(at, 21) for at in range(21)]
        assert max(favours) == favours[best]
        assert favours[best] - favours[worst] == pytest.approx(1.5)
        assert fmean(favours) == pytest.approx(0, abs=0.05)

    def test_without_a_bias_no_place_is_favoured(self) -> None:
        assert {ranker(strength=3.0).favour(at, 7) for at in range(7)} == {0.0}
        assert ranker(bias="head").favour(0, 1) == 0

    def test_echoes_come_at_their_rate(self) -> None:
        parrot = ranker({"q": dict.fromkeys(DOCIDS, 1.0)}, noise=1.0, echo=0.3)
        echoed = [parrot.rank("q", DOCIDS, sample) == tuple(range(20)) for sample in range(1000)]
        assert fmean(echoed) == pytest.approx(0.3, abs=0.05)


class TestNames:
    def test_a_preset_with_changes(self, qrels: Path) -> None:
        model = load_model(f"sim/strong,noise=0.7,bias=tail,seed=4,qrels={qrels}")
        assert model.identity.name == "sim/strong,noise=0.7,bias=tail,seed=4"
        assert model.identity.base_url.startswith("qrels:")

    @pytest.mark.parametrize("preset", PRESETS)
    def test_every_preset(self, preset: str, qrels: Path) -> None:
        assert load_simulated(f"{preset},qrels={qrels}").identity.model == preset

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("strong", "needs judgements"),
            (",qrels=Q", "no simulated model ''"),
            ("strong,,qrels=Q", "no ''"),
            ("strnog,qrels=Q", "did you mean 'strong'"),
            ("strong,nois=1,qrels=Q", "did you mean 'noise'"),
            ("strong,noise=loud,qrels=Q", "noise is 'loud'"),
            ("strong,noise=-1,qrels=Q", "from 0"),
            ("strong,echo=2,qrels=Q", "to 1"),
            ("strong,bias=left,qrels=Q", "head, tail"),
            ("strong,seed=one,qrels=Q", "whole number"),
            ("strong,latency=,qrels=Q", "latency"),
        ],
    )
    def test_a_name_that_cannot_be_read_says_why(self, name: str, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            load_model(f"sim/{name}")

    def test_judgements_that_are_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="nowhere"):
            load_model(f"sim/strong,qrels={tmp_path / 'nowhere'}")

    def test_an_address_is_refused(self, qrels: Path) -> None:
        with pytest.raises(ConfigError, match="nowhere"):
            load_model(f"sim/strong,qrels={qrels}", base_url="http://127.0.0.1:1")


class TestModel:
    async def test_malformed_answers_are_malformed_and_still_read(self, qrels: Path) -> None:
        model = load_simulated(f"strong,malformed=1,qrels={qrels}")
        texts = set()
        for sample in range(60):
            call = Call((Message("user", "rank"),), Sampling(99), "text", 20, sample, qid="q", docids=DOCIDS)
            texts.add((await model.complete(call, timeout_s=1)).text)
        whole = [text for text in texts if (parsed := parse(text, 20)).failure is None and not parsed.repairs]
        assert not whole
        assert any(parse(text, 20).failure for text in texts)
        assert any(parse(text, 20).repairs for text in texts)

    async def test_passages_are_known_by_their_docids_only(self, qrels: Path) -> None:
        model = load_simulated(f"strong,qrels={qrels}")
        with pytest.raises(BadRequest, match="docids"):
            await model.complete(Call((Message("user", "rank"),), Sampling(9), passages=2), timeout_s=1)

    @pytest.mark.parametrize("strategy", get_args(StrategyName))
    def test_every_strategy_ranks_with_it(self, strategy: StrategyName, qrels: Path) -> None:
        with Reranker(
            llm=f"sim/perfect,qrels={qrels}", local="none", escalate="always", strategy=strategy,
            window=8, stride=4, top=5,
        ) as reranker:  # fmt: skip
            ranking = reranker.rerank(REQUEST)
        best = {"single": 1, "tournament": 1, "widening": 4}.get(strategy, 5)  # those that read less
        assert [GRADES["q"][docid] for docid in ranking.docids[:best]] == [3.0] * best
        assert ranking.receipt.degraded == ()
        assert ranking.receipt.simulated
        assert ranking.receipt.usd > 0

    def test_nothing_is_kept_unless_a_place_is_named(
        self, qrels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for variable in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
            monkeypatch.setenv(variable, str(tmp_path / "home"))
        monkeypatch.delenv("LISTWISE_LEDGER", raising=False)
        monkeypatch.delenv("LISTWISE_CACHE", raising=False)
        settings: dict[str, Any] = {"llm": f"sim/weak,qrels={qrels}", "local": "none", "escalate": "always"}
        with Reranker(**settings, budget_usd="1", budget_day_usd="1") as reranker:
            reranker.rerank(REQUEST)
        assert not (tmp_path / "home").exists()
        ledger, cache = tmp_path / "ledger.sqlite", tmp_path / "cache"
        with Reranker(**settings, ledger=str(ledger), cache=str(cache)) as reranker:
            reranker.rerank(REQUEST)
        assert ledger.exists()
        assert cache.exists()

    def test_its_dollars_hold_a_budget(self, qrels: Path) -> None:
        settings: dict[str, Any] = {
            "llm": f"sim/weak,qrels={qrels}",
            "local": "none",
            "escalate": "always",
            "window": 4,
            "stride": 2,
        }
        with Reranker(**settings, budget_usd="0.004") as reranker:
            receipt = reranker.rerank(REQUEST).receipt
        assert 0 < receipt.usd <= Decimal("0.004")
        assert any("budget" in what for what in receipt.degraded)

    def test_a_chain_is_simulated_or_it_is_not(self, qrels: Path) -> None:
        assert Policy(llm=f"sim/weak,qrels={qrels}").simulated
        assert not Policy().simulated
        with pytest.raises(ConfigError, match="cannot stand in"):
            Policy.of(llm=f"sim/weak,qrels={qrels}", fallback=("openai/gpt-4o",))
        with pytest.raises(ConfigError, match="cannot stand in"):
            Policy.of(llm="openai/gpt-4o", fallback=(f"sim/weak,qrels={qrels}",))
