from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import correlation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.eval.simulate import Prior, SimulatedRanker, simulate
from listwise.formats.trec import read_qrels, read_run
from listwise.models.simulated.naming import PRESETS
from listwise.routing.disagreement import TOP, disagreement
from listwise.strategies import make

ORDER = list(range(30))


def swapped(one: int, other: int) -> list[int]:
    order = list(ORDER)
    order[one], order[other] = order[other], order[one]
    return order


@given(st.permutations(ORDER))
def test_it_is_nothing_only_where_the_top_agrees_in_order(order: list[int]) -> None:
    found = disagreement(ORDER, order)
    assert 0 <= found <= 1
    assert (found == pytest.approx(0, abs=1e-12)) == (order[:TOP] == ORDER[:TOP])


def test_what_is_below_the_top_does_not_count_and_nothing_in_common_is_all() -> None:
    assert disagreement(ORDER, [*ORDER[:TOP], *reversed(ORDER[TOP:])]) == 0
    assert disagreement(ORDER, [*ORDER[TOP:], *ORDER[:TOP]]) == 1


def test_the_nearer_to_the_top_the_more_it_counts() -> None:
    at = [disagreement(ORDER, swapped(place, place + 1)) for place in range(TOP - 1)]
    assert all(before > after for before, after in pairwise(at))
    found = [disagreement(ORDER, swapped(0, place)) for place in range(1, TOP + 1)]
    assert found == sorted(found)


def test_short_lists_and_documents_that_only_one_knows() -> None:
    assert disagreement([], []) == 0
    assert disagreement(["a"], ["a"]) == 0
    assert 0 < disagreement(["a", "b"], ["b", "a"]) < 1
    assert 0 < disagreement(["a", "b"], ["a", "c"]) < 1


def test_it_goes_with_what_judges_see(data: Path) -> None:
    """DL21's BM25 and a strong simulated LLM; relevant documents in the top stand for nDCG."""
    qrels = read_qrels(data / "dl21" / "qrels.txt")
    run = read_run(data / "dl21" / "bm25.trec.gz")
    ranker = SimulatedRanker(PRESETS["strong"], qrels)
    strategy = make("sliding", window=20, stride=10, depth=50)
    found, gains = [], []
    for qid, grades in qrels.items():
        local = tuple(entry.docid for entry in run[qid])
        llm = simulate(strategy, Prior(qid, local), ranker).docids
        kept = [sum(grades.get(docid, 0) > 1 for docid in order[:TOP]) for order in (local, llm)]
        found.append(disagreement(local, llm))
        gains.append(kept[1] - kept[0])
    assert correlation(found, gains) > 0.3
