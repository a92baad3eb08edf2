"""What the student is taught: collections read, lessons made and drawn."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.distill.collections import Collection, read_collection
from listwise.distill.embedded import calibration_texts
from listwise.distill.lessons import Lesson
from listwise.distill.teachers import judged_lessons, run_lessons
from listwise.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "queries.tsv").write_text("q1\tblue sky\nq2\tapple pie\n")
    (tmp_path / "qrels.txt").write_text("q1 0 a 3\nq1 0 b 0\nq1 0 gone 2\nq2 0 c 0\n")
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps({"id": docid, "text": f"text of {docid}"}) + "\n" for docid in "abcd")
    for name, order in {"bm25": "dba", "better": "ab"}.items():
        with gzip.open(tmp_path / f"{name}.trec.gz", "wt") as lines:
            lines.writelines(f"q1 Q0 {docid} {rank} {9 - rank} x\n" for rank, docid in enumerate(order))
    return tmp_path


def test_a_collection_is_read(folder: Path) -> None:
    collection = read_collection(folder)
    assert collection.queries == {"q1": "blue sky", "q2": "apple pie"}
    assert collection.passages["c"] == "text of c"
    assert collection.qrels["q1"] == {"a": 3, "b": 0, "gone": 2}
    assert collection.runs["bm25"] == {"q1": {"d": 9.0, "b": 8.0, "a": 7.0}}


def test_a_collection_without_judgements_has_none(folder: Path) -> None:
    (folder / "qrels.txt").unlink()
    assert read_collection(folder).qrels == {}


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "queries.tsv").unlink()
    with pytest.raises(InputError, match=r"queries\.tsv"):
        read_collection(folder)


def test_grades_teach_and_unjudged_means_not_relevant(folder: Path) -> None:
    [lesson] = judged_lessons(read_collection(folder), "bm25")
    assert lesson.query == "blue sky"
    assert dict(zip(lesson.passages, lesson.utilities.tolist(), strict=True)) == {
        "text of a": 3.0,
        "text of b": 0.0,
        "text of d": 0.0,
    }


def test_a_run_teaches_and_what_it_missed_is_worth_its_last(folder: Path) -> None:
    [lesson] = run_lessons(read_collection(folder), "better", "bm25")
    utilities = dict(zip(lesson.passages, lesson.utilities.tolist(), strict=True))
    assert utilities["text of a"] > utilities["text of b"] == utilities["text of d"]
    assert np.mean(lesson.utilities) == pytest.approx(0, abs=1e-6)


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=60), st.integers(2, 20), st.integers(0, 99))
def test_a_drawn_part_is_of_the_lesson_and_holds_some_of_the_best(
    utilities: list[float], size: int, seed: int
) -> None:
    texts = tuple(f"passage {place}" for place in range(len(utilities)))
    lesson = Lesson("q", "query", texts, np.array(utilities, np.float32))
    part = lesson.draw(size, np.random.default_rng(seed))
    value = dict(zip(lesson.passages, lesson.utilities.tolist(), strict=True))
    assert len(set(part.passages)) == len(part.passages) <= size
    assert [value[passage] for passage in part.passages] == part.utilities.tolist()
    third = sorted(utilities, reverse=True)[: -(-len(utilities) // 3)]
    assert max(part.utilities) >= min(third)


def test_calibration_reads_queries_and_passages_of_all_lessons() -> None:
    lessons = [
        Lesson(str(n), f"query {n}", tuple(f"{n}.{i}" for i in range(100)), np.zeros(100, np.float32))
        for n in range(50)
    ]
    texts = calibration_texts(lessons)
    assert 200 <= len(texts) <= 520
    assert {"query 0", "query 49"} <= set(texts)
    assert len({text.partition(".")[0] for text in texts if "." in text}) == 50


def test_the_data_set_is_read_as_it_is(data: Path) -> None:
    collection: Collection = read_collection(data / "dl21")
    assert (len(collection.queries), len(collection.passages)) == (53, 10_553)
    assert len(judged_lessons(collection, "bm25")) > 45
