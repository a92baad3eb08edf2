from __future__ import annotations

from itertools import permutations
from math import log2
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from listwise.eval.ceilings import first_stage, strangers
from listwise.eval.measures import Interval, evaluate, ranked, values_by_query
from listwise.formats import read_qrels, read_run

QRELS = {"q": {"a": 3, "b": 2, "c": 0, "lost": 3}, "unfound": {"x": 1}}
MEASURES = ["nDCG@3", "AP(rel=2)", "RR(rel=2)", "P@2", "ERR@3", "R@3", "nDCG(dcg='exp-log2')@2", "Judged@2"]


def test_the_ceiling_by_hand() -> None:
    stage = first_stage(ranked({"q": ["u", "c", "b", "a"], "strange": ["y"]}), QRELS, ["nDCG@10", "R@100"])
    (ndcg, recall) = stage.ceilings
    best = (3 + 2 / log2(3)) / (3 + 3 / log2(3) + 2 / 2)
    assert ndcg.by_query == {"q": pytest.approx(best), "unfound": 0.0}
    assert ndcg.best == pytest.approx(best / 2)
    assert ndcg.perfect == pytest.approx(1.0)
    assert stage.depth == 4
    assert stage.recall == pytest.approx((2 / 3 + 0) / 2)
    assert recall.best == recall.worst == pytest.approx(1 / 3)


def test_a_depth_cuts_by_rank() -> None:
    run = ranked({"q": ["c", "b", "a"]})
    cut = first_stage(run, QRELS, ["RR(rel=3)"], depth=2)
    assert (cut.depth, cut.ceilings[0].best) == (2, 0.0)
    assert first_stage(run, QRELS, ["RR(rel=3)"], depth=3).ceilings[0].best == 0.5


@settings(max_examples=15)
@given(
    st.permutations(["a", "b", "c", "u"]).flatmap(lambda docids: st.integers(1, 4).map(lambda n: docids[:n])),
    st.lists(st.integers(-1, 3), min_size=4, max_size=4),
)
def test_no_order_passes_the_ceiling_and_one_reaches_it(docids: list[str], grades: list[int]) -> None:
    qrels = {"q": dict(zip(["a", "b", "c", "lost"], grades, strict=True))}
    stage = first_stage(ranked({"q": docids}), qrels, MEASURES)
    reached = [
        [fmean(values.values()) for values in values_by_query(ranked({"q": order}), qrels, MEASURES)]
        for order in permutations(docids)
    ]
    for ceiling, values in zip(stage.ceilings, zip(*reached, strict=True), strict=True):
        assert ceiling.best == pytest.approx(max(values)), ceiling.measure
        assert ceiling.worst == pytest.approx(min(values)), ceiling.measure
        assert ceiling.perfect >= ceiling.best - 1e-9 or ceiling.measure.startswith("Judged")


@pytest.mark.parametrize(
    ("order", "reached", "binds"),
    [
        ("uab", Interval(0.97, 0.9, 0.98), True),
        ("uab", Interval(0.5, 0.4, 0.99), True),
        ("uab", Interval(0.5, 0.4, 0.6), False),
    ],
)
def test_when_the_first_stage_binds(order: str, reached: Interval, binds: bool) -> None:
    (ceiling,) = first_stage(ranked({"q": list(order)}), {"q": QRELS["q"]}, ["nDCG@2"]).ceilings
    scaled = reached.times(ceiling.best / 0.99)
    assert ceiling.binds(scaled) == binds


def test_it_does_not_bind_where_nothing_is_missing_or_no_order_matters() -> None:
    full = first_stage(ranked({"q": ["a", "b", "lost"]}), {"q": QRELS["q"]}, ["nDCG@10"]).ceilings[0]
    assert not full.binds(Interval(1.0, 1.0, 1.0))
    recall = first_stage(ranked({"q": ["a", "b"]}), {"q": QRELS["q"]}, ["R@100"]).ceilings[0]
    assert not recall.binds(Interval(recall.best, recall.best, recall.best))


def test_documents_that_the_first_stage_lacks() -> None:
    assert strangers(ranked({"q": ["a", "b"]}), ranked({"q": ["b", "a", "c"]})) == 0
    assert strangers(ranked({"q": ["a", "z"], "r": ["b"]}), ranked({"q": ["a"]})) == 2


def test_recorded_runs_stay_below_their_first_stages_ceiling(data: Path) -> None:
    judged = read_qrels(data / "dl19" / "qrels.txt")
    stage = first_stage(read_run(data / "dl19" / "bm25.trec.gz"), judged, ["nDCG@10"])
    assert stage.recall == pytest.approx(0.4531, abs=0.00005)
    for path in (data / "dl19" / "llm_runs").glob("gpt-3.5*"):
        (measured,) = evaluate(read_run(path), judged, ["nDCG@10"])
        for qid, value in measured.by_query.items():
            assert value <= stage.ceilings[0].by_query[qid] + 1e-9
