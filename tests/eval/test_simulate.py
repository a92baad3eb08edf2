"""Strategies on a simulated ranker, without prompts."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from listwise.eval.simulate import Played, Prior, SimulatedRanker, Traits, replay, simulate
from listwise.models.simulated.naming import PRESETS
from listwise.strategies import Strategy, make, question_of

N = 100


def queries(count: int, agreement: float) -> tuple[list[Prior], dict[str, dict[str, float]]]:
    """Priors that agree with the grades of their candidates so far."""
    priors, qrels = [], {}
    for number in range(count):
        draw = random.Random(number)
        grades = sorted((draw.choices([3, 2, 1, 0], [4, 8, 15, 73])[0] for _ in range(N)), reverse=True)
        scored = sorted(
            ((agreement * grade + draw.gauss(0, 1), f"d{at}", float(grade)) for at, grade in enumerate(grades)),
            reverse=True,
        )
        docids, scores = tuple(docid for _, docid, _ in scored), tuple(score for score, _, _ in scored)
        priors.append(Prior(f"q{number}", docids, scores))
        qrels[f"q{number}"] = {docid: grade for _, docid, grade in scored}
    return priors, qrels


def quality(played: list[Played], qrels: dict[str, dict[str, float]]) -> float:
    """The mean grade of the first ten."""
    return fmean(qrels[play.prior.qid][docid] for play in played for docid in play.docids[:10])


def named(name: str) -> Strategy:
    return make(name, window=20, stride=10, depth=N)


@pytest.mark.parametrize("preset", ["strong", "weak", "biased"])
def test_adaptive_is_as_good_as_sliding_for_much_less(preset: str) -> None:
    priors, qrels = queries(40, agreement=1.5)
    ranker = SimulatedRanker(PRESETS[preset], qrels)
    sliding, adaptive = (
        [simulate(named(name), each, ranker) for each in priors] for name in ("sliding", "adaptive")
    )
    assert quality(adaptive, qrels) >= quality(sliding, qrels) - 0.02
    assert fmean(play.reads for play in adaptive) <= 0.4 * fmean(play.reads for play in sliding)
    assert max(play.depth for play in adaptive) <= 4


def test_topdown_is_as_good_as_sliding_for_less() -> None:
    priors, qrels = queries(40, agreement=0.3)
    ranker = SimulatedRanker(PRESETS["strong"], qrels)
    sliding, topdown = ([simulate(named(name), each, ranker) for each in priors] for name in ("sliding", "topdown"))
    assert quality(topdown, qrels) >= 0.96 * quality(sliding, qrels)
    assert fmean(play.reads for play in topdown) <= 0.8 * fmean(play.reads for play in sliding)


def test_a_question_is_answered_in_its_own_way() -> None:
    priors, qrels = queries(1, agreement=1.0)
    ranker = SimulatedRanker(Traits(error=0.0, noise=0.0), qrels)
    for name in ("pointwise", "setwise", "pairwise-all"):
        played = simulate(named(name), priors[0], ranker, question_of(name))
        grades = [qrels["q0"][docid] for docid in played.docids[:10]]
        assert grades == sorted(qrels["q0"].values(), reverse=True)[:10]


def test_what_is_counted() -> None:
    priors, qrels = queries(1, agreement=1.0)
    played = simulate(named("sliding"), priors[0], SimulatedRanker(Traits(), qrels))
    assert (played.calls, played.reads, played.depth) == (9, 180, 9)
    assert sorted(played.docids) == sorted(priors[0].docids)


def test_a_recorded_ranking_stands_in_for_a_model() -> None:
    priors, _ = queries(1, agreement=1.0)
    recorded = random.Random(1).sample(priors[0].docids, N)
    played = replay(named("sliding"), priors[0], recorded)
    assert list(played.docids[:10]) == recorded[:10]
    unknown = replay(named("sliding"), priors[0], [])
    assert unknown.docids == priors[0].docids
