"""Teachers' files are read, turned into lessons, and into an order to examine by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.distill.exams import CUTOFF, Exam, dcg, exams_by_judges, exams_by_teachers, held_out
from listwise.distill.opinions import Opinions, lessons_of, read_opinions, teachers_order
from listwise.errors import InputError
from listwise.types import Candidate, Query, Request

REQUEST = Request(Query("q1", "blue"), tuple(Candidate(docid, f"text of {docid}") for docid in "abcd"))
REQUESTS = {"q1": REQUEST}


def learnt(opinions: Opinions, texts: dict[str, str] | None = None) -> dict[str, float]:
    [lesson] = lessons_of(opinions, REQUESTS, texts or {})
    names = [text.removeprefix("text of ") for text in lesson.passages]
    return dict(zip(names, lesson.utilities.tolist(), strict=True))


def written(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_unjudged_candidates_are_negatives_and_judged_strangers_count_where_there_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "qrels.txt").write_text("q1 0 b 2\nq1 0 x 3\nq1 0 gone 1\nq9 0 a 1\n")
    opinions = read_opinions("qrels", tmp_path / "qrels.txt")
    assert learnt(opinions, {"x": "text of x"}) == {"a": 0, "b": 2, "c": 0, "d": 0, "x": 3}


def test_a_ranking_teaches_by_rank_and_what_it_left_out_is_worst(tmp_path: Path) -> None:
    (tmp_path / "llm.trec").write_text("q1 Q0 c 1 0.1 t\nq1 Q0 a 2 0.2 t\n")  # ranks, not scores
    opinions = read_opinions("permutations", tmp_path / "llm.trec")
    assert learnt(opinions) == {"c": 0, "a": -1, "b": -2, "d": -2}


def test_rank_llms_jsonl_is_a_ranking(tmp_path: Path) -> None:
    found = [{"docid": docid, "score": 1.0, "doc": {"text": "x"}} for docid in "dcba"]
    path = written(tmp_path / "r.jsonl", {"query": {"qid": "q1", "text": "blue"}, "candidates": found})
    assert learnt(read_opinions("permutations", path)) == {"d": 0, "c": -1, "b": -2, "a": -3}


def test_a_teachers_scores_keep_their_margins_and_get_a_spread(tmp_path: Path) -> None:
    (tmp_path / "t.trec").write_text("q1 Q0 c 1 30 t\nq1 Q0 a 2 20 t\nq1 Q0 b 3 10 t\nq2 Q0 z 1 20 t\n")
    found = learnt(read_opinions("teacher", tmp_path / "t.trec"))
    assert found["c"] - found["a"] == pytest.approx(found["a"] - found["b"])
    assert found["c"] - found["a"] == pytest.approx(2.0 / (200 / 3) ** 0.5 * 10)
    assert found["d"] == found["b"]


def test_a_window_teaches_what_was_shown_in_it(tmp_path: Path) -> None:
    path = written(
        tmp_path / "trace.jsonl",
        {"qid": "q1", "docids": ["a", "b", "c"], "permutation": [2, 1, 0]},
        {"qid": "q1", "docids": ["a", "b", "c"], "permutation": None},
        {"qid": "q7", "docids": ["a", "b"], "permutation": [1, 0]},
    )
    opinions = read_opinions("trace", path)
    assert opinions.count == 2
    assert learnt(opinions) == {"a": -2, "b": -1, "c": 0}


def test_of_a_choice_only_the_chosen_one_is_known(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", {"qid": "q1", "docids": ["a", "b", "c"], "permutation": [1, 0, 2]})
    assert learnt(read_opinions("trace", path)) == {"a": 0, "b": 1, "c": 0}


@pytest.mark.parametrize(
    "record",
    [
        {"qid": "q1", "docids": ["a", "b"], "permutation": [0, 0]},
        {"qid": "q1", "docids": ["a", "b"], "permutation": [0]},
        {"qid": "q1", "docids": ["a", "b"], "permutation": "0 1"},
        {"qid": "q1", "docids": ["a", "b"]},
        {"docids": ["a", "b"], "permutation": [0, 1]},
    ],
)
def test_what_is_no_window_is_named_with_its_line(tmp_path: Path, record: dict[str, object]) -> None:
    path = written(tmp_path / "t.jsonl", {"qid": "q1", "docids": ["a"], "permutation": [0]}, record)
    with pytest.raises(InputError, match=r"t\.jsonl:2"):
        read_opinions("trace", path)


def test_a_teacher_that_tells_nothing_apart_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.trec").write_text("q1 Q0 c 1 7 t\nq1 Q0 a 2 7 t\n")
    with pytest.raises(InputError, match="same"):
        read_opinions("teacher", tmp_path / "t.trec")


def test_windows_replay_to_the_order_that_they_made(tmp_path: Path) -> None:
    # A sliding window of 2 from the bottom takes d to the top.
    windows = [{"qid": "q1", "docids": [up, "d"], "permutation": [1, 0]} for up in "cba"]
    opinions = read_opinions("trace", written(tmp_path / "t.jsonl", *windows))
    assert teachers_order(REQUEST, [opinions]) == ["d", "a", "b", "c"]


@given(st.permutations(list("abcd")), st.permutations(list("abcd")))
def test_teachers_are_averaged_by_rank(one: list[str], other: list[str]) -> None:
    files = [
        Opinions("permutations", "", {"q1": [{docid: -float(at) for at, docid in enumerate(order)}]})
        for order in (one, other)
    ]
    order = teachers_order(REQUEST, files)
    means = [one.index(docid) + other.index(docid) for docid in order]
    assert means == sorted(means)
    assert teachers_order(REQUEST, files[:1]) == one


@given(st.sets(st.text(min_size=1), min_size=2, max_size=40), st.floats(0.01, 0.9), st.integers(0, 9))
def test_some_queries_are_held_out_the_same_ones_each_time(qids: set[str], share: float, seed: int) -> None:
    kept = held_out(qids, share, seed)
    assert kept < qids
    assert len(kept) == min(len(qids) - 1, max(1, round(share * len(qids))))
    assert kept == held_out(sorted(qids, reverse=True), share, seed)
    assert held_out(qids, 0, seed) == set()


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4).filter(any), st.permutations(range(4)))
def test_marks_are_ndcg(grades: list[int], order: list[int]) -> None:
    ir_measures = pytest.importorskip("ir_measures")
    qrels = {"q1": dict(zip("abcd", grades, strict=True)) | {"elsewhere": 3}}
    scores = [float(-order.index(at)) for at in range(4)]
    [exam] = exams_by_judges([REQUEST], qrels)
    run = {"q1": dict(zip("abcd", scores, strict=True))}
    expected = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, run)[ir_measures.nDCG @ 10]
    assert exam.mark(scores) == pytest.approx(expected)
    assert exam.mark([0.0] * 4) == exam.first_stage


def test_agreement_with_the_teachers_is_whole_for_their_own_order() -> None:
    said = Opinions("permutations", "", {"q1": [{"d": 0.0, "b": -1.0, "a": -2.0, "c": -3.0}]})
    [exam] = exams_by_teachers([REQUEST], [said])
    assert exam.mark([-2, -1, -3, 0]) == pytest.approx(1)
    assert exam.mark([0, -3, -1, -2]) < 1
    assert exams_by_teachers([Request(Query("q2", "x"), REQUEST.candidates)], [said]) == []


def test_gains_beyond_the_cutoff_count_nothing() -> None:
    assert dcg([1.0] * CUTOFF) == dcg([1.0] * (CUTOFF + 5))
    assert Exam(REQUEST, (0, 0, 0, 1), (1.0,)).mark([1, 2, 3, 4]) == 1
