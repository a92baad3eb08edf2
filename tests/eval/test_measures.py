from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from listwise.errors import ConfigError, InputError
from listwise.eval.measures import bootstrap, by_rank, compare, disordered, evaluate
from listwise.formats import Run, Scored, read_qrels, read_run

QRELS = {"q1": {"a": 1, "b": 0}, "q2": {"c": 1}}


def run_of(**ranked: str) -> dict[str, list[Scored]]:
    return {qid: [Scored(docid, -at, at + 1) for at, docid in enumerate(docids)] for qid, docids in ranked.items()}


@pytest.mark.parametrize(
    ("collection", "run", "low", "high"),
    [
        ("dl19", "bm25", 0.5058, 0.5058),
        ("dl19", "splade_p_p_ensemble_distil", 0.7308, 0.7308),
        ("dl21", "bm25", 0.4458, 0.4458),
        ("dl21", "splade_p_p_ensemble_distil", 0.6839, 0.6846),
        ("dl23", "bm25", 0.2624, 0.2624),
        ("cranfield", "bm25", 0.3433, 0.3433),
    ],
)
def test_figures_are_trec_evals(data: Path, collection: str, run: str, low: float, high: float) -> None:
    judged = read_qrels(data / collection / "qrels.txt")
    (measured,) = evaluate(read_run(data / collection / f"{run}.trec.gz"), judged, ["nDCG@10"])
    assert low - 0.00006 <= measured.interval.mean <= high + 0.00006


RECORDED = {
    "gpt-3.5-turbo__bm25__top100__2023-08-04T232651": 0.6799,
    "gpt-3.5-turbo__bm25__top100__2023-08-04T235144": 0.6737,
    "gpt-3.5-turbo__bm25__top100__2023-08-05T001330": 0.6827,
    "gpt-3.5-turbo__bm25__top100__2023-08-05T003110": 0.6938,
    "gpt-3.5-turbo__bm25__top100__2023-08-05T004244": 0.6868,
    "gpt-4o-mini_setwise_heapsort": 0.7545,
    "rank_vicuna_7b__bm25__top100__2023-09-12T183614": 0.6665,
    "rank_vicuna_7b__bm25__top100__2023-09-12T210006": 0.6840,
    "rank_vicuna_7b__splade_p_p_ensemble_distil__top100__2023-09-13T115832": 0.7324,
    "rank_vicuna_7b__splade_p_p_ensemble_distil__top100__2023-09-13T163620": 0.7459,
    "Llama-3.1-8B-Instruct.listwise.generation": 0.6711,
    "flan-t5-xl.pairwise.allpair": 0.7133,
    "flan-t5-xl.pointwise.yes_no": 0.6503,
}


@pytest.mark.parametrize("order", [by_rank, dict])
def test_figures_of_recorded_llms_are_those_published_by_rank_and_by_score(
    data: Path, order: Callable[[Run], Run]
) -> None:
    judged = read_qrels(data / "dl19" / "qrels.txt")
    for name, published in RECORDED.items():
        run = read_run(data / "dl19" / "llm_runs" / f"{name}.trec.gz")
        (measured,) = evaluate(order(run), judged, ["nDCG@10"])
        assert round(measured.interval.mean, 4) == published, name


def test_scores_decide_unless_ranks_are_asked_for() -> None:
    run = {"q1": [Scored("b", 1.0, 1), Scored("a", 2.0, 2)], "q2": [Scored("c", 0.0, 3)]}
    assert [evaluate(each, QRELS, ["RR"])[0].interval.mean for each in (run, by_rank(run))] == [1.0, 0.75]
    assert (disordered(run), disordered(by_rank(run))) == (1, 0)
    assert disordered({"q1": [Scored("b", 1.0, 1), Scored("a", 1.0, 2)]}) == 1


def test_a_judged_query_that_the_run_lacks_counts_as_zero() -> None:
    (measured,) = evaluate(run_of(q1="ab"), QRELS, ["nDCG@10"])
    assert measured.by_query == {"q1": 1.0, "q2": 0.0}
    assert measured.interval.mean == 0.5


def test_comparison_is_paired_and_signed() -> None:
    (good,) = evaluate(run_of(q1="ab", q2="c"), QRELS, ["RR@10"])
    (bad,) = evaluate(run_of(q1="ba", q2="c"), QRELS, ["RR@10"])
    found = compare(good, bad)
    assert found.difference.mean == 0.25
    assert (found.wins, found.losses) == (1, 0)
    assert compare(good, good).p_value == 1.0


def test_intervals_hold_the_mean_and_repeat() -> None:
    values = [0.1, 0.9, 0.5, 0.7, 0.2]
    interval = bootstrap(values)
    assert interval.low < interval.mean < interval.high
    assert bootstrap(values) == interval


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(ConfigError, match="nDGC@10"):
        evaluate(run_of(q1="a"), QRELS, ["nDGC@10"])
    with pytest.raises(InputError, match="no query in common"):
        evaluate(run_of(q9="a"), QRELS, ["nDCG@10"])


def test_gdeval_takes_any_query_name_and_its_own_mean_is_no_query() -> None:
    (err,) = evaluate(run_of(**{"q 1": "ab", "amean": "c"}), {"q 1": {"a": 1}, "amean": {"c": 1}}, ["ERR@10"])
    assert set(err.by_query) == {"q 1", "amean"}
    assert min(err.by_query.values()) > 0


@pytest.mark.parametrize("name", ["nDCG@0", "AP(rel=0)", "no such", "nDCG(dcg='none')@10"])
def test_a_measure_that_cannot_be_is_a_clear_error(name: str) -> None:
    with pytest.raises(ConfigError, match=r"nDCG@10|rel=2|must be at least 1"):
        evaluate(run_of(q1="ab"), QRELS, [name])


def test_intervals_over_many_queries_need_no_gigabytes() -> None:
    assert bootstrap([0.0, 1.0] * 5_000).mean == 0.5
