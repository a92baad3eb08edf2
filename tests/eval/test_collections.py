"""Collections in folders."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from math import log2
from pathlib import Path
from typing import Any

import pytest

from listwise.errors import InputError, MissingExtra
from listwise.eval.collections import (
    FileCollection,
    Lengths,
    RunSummary,
    copy_collection,
    open_collection,
    summarise,
)
from listwise.formats import Passage


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def lines(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    return write(path, "".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """TREC's files, as most researchers keep them."""
    write(tmp_path / "queries.tsv", "q1\tone two\nq2\tone two three four\nq3\tunjudged\n")
    (tmp_path / "corpus.tsv.gz").write_bytes(gzip.compress(b"d1\ta b c\nd2\td\nd3\te f\n"))
    write(tmp_path / "qrels.txt", "q1 0 d1 2\nq1 0 d2 0\nq2 0 d3 1\n")
    write(tmp_path / "bm25.trec", "q1 Q0 d2 1 2.5 t\nq1 Q0 d1 2 1.5 t\nq2 Q0 d3 1 1 t\nq3 Q0 d1 1 1 t\n")
    write(tmp_path / "deep" / "other.trec", "q3 Q0 d1 1 1 t\n")
    return tmp_path


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    lines(tmp_path / "queries.jsonl", [{"_id": "q1", "text": "one"}, {"_id": "q2", "text": "two"}])
    lines(
        tmp_path / "corpus.jsonl",
        [{"_id": "d1", "title": "T", "text": "x"}, {"_id": "d2", "title": "", "text": "y"}],
    )
    for split, qid in (("train", "q1"), ("test", "q2")):
        write(tmp_path / "qrels" / f"{split}.tsv", f"query-id\tcorpus-id\tscore\n{qid}\td1\t1\n")
    return tmp_path


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    examples = [
        {"id": "0", "query": "why?", "gold_ids": ["a/1.txt"], "gold_ids_long": ["a.txt"], "excluded_ids": ["N/A"]},
        {
            "id": "1",
            "query": "how?",
            "gold_ids": ["b/1.txt"],
            "gold_ids_long": ["b.txt"],
            "excluded_ids": ["a/1.txt"],
        },
    ]
    lines(tmp_path / "examples" / "biology.jsonl", examples)
    lines(tmp_path / "examples" / "pony-00000-of-00001.jsonl", examples[:1])
    documents = [{"id": name, "content": f"text of {name}"} for name in ("a/1.txt", "b/1.txt")]
    lines(tmp_path / "documents" / "biology.jsonl", documents)
    lines(tmp_path / "long_documents" / "biology.jsonl", [{"id": "a.txt", "content": "a page"}])
    run = "0 Q0 b/1.txt 1 2 t\n0 Q0 a/1.txt 2 1 t\n1 Q0 a/1.txt 1 2 t\n1 Q0 b/1.txt 2 1 t\n"
    write(tmp_path / "runs" / "biology" / "bm25.trec", run)
    return tmp_path


def test_a_folder_of_trec_files(plain: Path) -> None:
    found = open_collection(plain)
    assert found.queries() == {"q1": "one two", "q2": "one two three four", "q3": "unjudged"}
    assert found.qrels() == {"q1": {"d1": 2, "d2": 0}, "q2": {"d3": 1}}
    assert found.runs() == ["bm25", "deep/other"]
    assert [entry.docid for entry in found.run("bm25")["q1"]] == ["d2", "d1"]
    assert found.passages({"d3", "d9"}) == {"d3": Passage("e f", None)}
    with pytest.raises(InputError, match="no run 'bm52': there is bm25, deep/other"):
        found.run("bm52")


def test_beirs_folder_has_splits_of_which_test_is_the_one(beir: Path) -> None:
    assert open_collection(beir).qrels() == {"q2": {"d1": 1}}
    assert open_collection(beir, split="train").qrels() == {"q1": {"d1": 1}}
    assert open_collection(beir).passages(["d1"]) == {"d1": Passage("x", "T")}
    with pytest.raises(InputError, match="no split 'dev': there is test, train"):
        open_collection(beir, split="dev")
    (beir / "qrels" / "test.tsv").rename(beir / "qrels" / "dev.tsv")
    with pytest.raises(InputError, match="which split: there is dev, train"):
        open_collection(beir)


def test_brights_folder_has_tasks_and_excluded_documents(bright: Path) -> None:
    found = open_collection(bright, split="biology")
    assert found.queries() == {"0": "why?", "1": "how?"}
    assert found.qrels() == {"0": {"a/1.txt": 1}, "1": {"b/1.txt": 1}}
    assert found.passages({"b/1.txt"}) == {"b/1.txt": Passage("text of b/1.txt", None)}
    run = found.run("bm25")
    assert [entry.docid for entry in run["0"]] == ["b/1.txt", "a/1.txt"]
    assert [entry.docid for entry in run["1"]] == ["b/1.txt"]
    long = open_collection(bright, split="biology-long")
    assert long.qrels()["0"] == {"a.txt": 1}
    assert dict(long.stream()) == {"a.txt": Passage("a page", None)}
    with pytest.raises(InputError, match=r"which task \(--split\): there is biology, pony"):
        open_collection(bright)
    with pytest.raises(InputError, match=r"no pony.parquet or pony.jsonl"):
        list(open_collection(bright, split="pony").stream())


def test_brights_parquet_files_are_read_or_the_extra_is_named(bright: Path) -> None:
    rows = [json.loads(line) for line in (bright / "examples" / "biology.jsonl").read_text().splitlines()]
    (bright / "examples" / "biology.jsonl").unlink()
    path = bright / "examples" / "biology-00000-of-00001.parquet"
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        path.write_bytes(b"")
        with pytest.raises(MissingExtra, match="collections"):
            open_collection(bright, split="biology").queries()
        return
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert open_collection(bright, split="biology").queries() == {"0": "why?", "1": "how?"}
    path.write_bytes(b"PAR1 broken")
    with pytest.raises(InputError, match="not a parquet file"):
        open_collection(bright, split="biology").queries()


def test_what_is_no_collection_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither queries.tsv nor queries.jsonl nor examples/"):
        open_collection(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        open_collection(tmp_path / "nowhere")
    write(tmp_path / "queries.tsv", "q\tt\n")
    with pytest.raises(InputError, match="no passages in it"):
        open_collection(tmp_path).passages(["d"])


def test_own_files_wherever_they_lie(plain: Path, tmp_path: Path) -> None:
    own = FileCollection("own", plain / "queries.tsv", plain / "corpus.tsv.gz", None, (("x", plain / "bm25.trec"),))
    assert own.qrels() == {}
    assert [request.query.qid for request in own.requests("x", judged=True)] == []
    (first, *_) = own.requests("x", depth=1)
    assert [(each.docid, each.text, each.score) for each in first.candidates] == [("d2", "d", 2.5)]


def test_requests_are_of_the_judged_queries_and_need_every_passage(plain: Path) -> None:
    found = open_collection(plain)
    assert [(each.query.qid, len(each.candidates)) for each in found.requests("bm25", judged=True)] == [
        ("q1", 2),
        ("q2", 1),
    ]
    write(plain / "bm25.trec", "q1 Q0 d9 1 1 t\n")
    with pytest.raises(InputError, match="query 'q1': document 'd9' of the run is not in the corpus"):
        found.requests("bm25")


def test_the_corpus_is_read_no_further_than_needed(plain: Path) -> None:
    (plain / "corpus.tsv.gz").unlink()
    write(plain / "corpus.tsv", "d1\ta\nd2\tb\nbroken line\n")
    found = open_collection(plain)
    assert set(found.passages({"d1", "d2"})) == {"d1", "d2"}
    assert summarise(found, read=1).passages is None
    with pytest.raises(InputError, match=r"corpus.tsv:3"):
        found.passages({"d3"})


def test_a_summary_by_hand(plain: Path) -> None:
    found = summarise(open_collection(plain), read=10)
    assert (found.queries, found.judged, found.grades) == (3, 2, {0: 1, 1: 1, 2: 1})
    assert found.query_lengths == Lengths(3, 7 / 3, 2, 2, 4)
    assert found.passages == 3
    assert found.passage_lengths == Lengths(3, 2.0, 2, 2, 3)
    bm25, other = found.runs
    assert bm25 == RunSummary("bm25", 3, 2, 1.0, bm25.ndcg)
    assert bm25.ndcg == pytest.approx((1 / log2(3) + 1) / 2)
    assert (other.recall, other.ndcg) == (None, None)


def test_a_copy_holds_what_a_re_ranking_needs_and_repeats(plain: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        copy_collection(open_collection(plain), tmp_path / name, runs=["bm25"], depth=1)
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    copied = open_collection(tmp_path / "one")
    assert copied.queries() == {"q1": "one two", "q2": "one two three four"}
    assert copied.qrels() == open_collection(plain).qrels()
    assert [(entry.docid, entry.score) for entry in copied.run("bm25")["q1"]] == [("d2", 2.5)]
    assert dict(copied.stream()) == {"d2": Passage("d", None), "d3": Passage("e f", None)}
    with pytest.raises(InputError, match="it exists already"):
        copy_collection(open_collection(plain), tmp_path / "one")


def test_a_copy_that_fails_leaves_nothing_and_can_be_tried_again(beir: Path, tmp_path: Path) -> None:
    run = write(tmp_path / "mine.trec.gz.txt", "q2 Q0 d1 1 1 t\nq2 Q0 d9 2 0 t\n")
    with pytest.raises(InputError, match="no runs come with it"):
        copy_collection(open_collection(beir), tmp_path / "copy")
    with pytest.raises(InputError, match="no passage for document 'd9' of its runs"):
        copy_collection(open_collection(beir), tmp_path / "copy", runs=[str(run)])
    assert not list(tmp_path.glob("copy*"))
    copy_collection(open_collection(beir), tmp_path / "copy", runs=[str(run)], depth=1)
    assert open_collection(tmp_path / "copy").queries() == {"q2": "two"}


def test_the_judged_data_is_what_its_readme_says(data: Path) -> None:
    found = summarise(open_collection(data / "dl23"), read=10_000)
    assert (found.judged, found.passages) == (82, 8_052)
    assert [(run.name, round(run.ndcg or 0, 4)) for run in found.runs] == [("bm25", 0.2624)]
