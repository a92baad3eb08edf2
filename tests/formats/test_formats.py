"""Round trips, what is tolerated, and how bad input is named."""

from __future__ import annotations

import gzip
import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise import Candidate, InputError, Query, Ranking, Receipt, Request
from listwise.formats import (
    RankingForm,
    RankingWriter,
    fetch_passages,
    read_qrels,
    read_queries,
    read_requests,
    read_run,
    read_single,
    requests_from,
    run_lines,
)

tokens = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=12).filter(
    lambda text: text.split() == [text]
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
documents = st.lists(st.tuples(tokens, texts, st.none() | texts), max_size=8, unique_by=lambda d: d[0])


def ranking_of(qid: str, query: str, found: list[tuple[str, str, str | None]]) -> Ranking:
    candidates = tuple(Candidate(docid, text, title=title) for docid, text, title in found)
    return Ranking(Query(qid, query), candidates, Receipt(qid, "local", "", len(candidates)))


def written(ranking: Ranking, form: RankingForm) -> str:
    file = io.StringIO()
    RankingWriter(file, form).write(ranking)
    return file.getvalue()


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@given(qid=tokens, docids=st.lists(tokens, min_size=1, max_size=20, unique=True))
def test_a_run_comes_back_in_its_order_with_falling_scores(
    tmp_path_factory: pytest.TempPathFactory, qid: str, docids: list[str]
) -> None:
    path = write(tmp_path_factory.mktemp("run") / "run.trec", run_lines(qid, docids, "tag"))
    entries = read_run(path)[qid]
    assert [entry.docid for entry in entries] == docids
    scores = [entry.score for entry in entries]
    assert all(above > below for above, below in itertools.pairwise(scores))


@given(qid=tokens, query=texts, found=documents)
def test_jsonl_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, qid: str, query: str, found: list[tuple[str, str, str | None]]
) -> None:
    path = write(tmp_path_factory.mktemp("jsonl") / "r.jsonl", written(ranking_of(qid, query, found), "jsonl"))
    (request,) = read_requests(path)
    assert request.query == Query(qid, query)
    back = [(candidate.docid, candidate.text, candidate.title) for candidate in request.candidates]
    assert back == [(docid, text, title or None) for docid, text, title in found]


def test_what_else_a_doc_holds_survives(tmp_path: Path) -> None:
    doc = {"segment": "text", "url": "u", "n": [1, None]}
    record = {"query": {"qid": 7, "text": "q"}, "candidates": [{"docid": 3, "score": 1, "doc": doc}]}
    (request,) = read_requests(write(tmp_path / "r.jsonl", json.dumps(record)))
    assert request.query.qid == "7"
    ranking = Ranking(request.query, request.candidates, Receipt("7", "local", "", 1))
    assert json.loads(written(ranking, "jsonl"))["candidates"] == [{"docid": "3", "score": 1.0, "doc": doc}]


@pytest.mark.parametrize("key", ["text", "segment", "contents", "content", "body", "passage"])
@pytest.mark.parametrize("name", ["id", "_id", "docid"])
def test_corpora_in_jsonl(tmp_path: Path, key: str, name: str) -> None:
    lines = "".join(json.dumps({name: f"d{at}", key: f"text {at}", "title": "t"}) + "\n" for at in range(3))
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(lines.encode()))
    assert fetch_passages(path, ["d2", "d9"]) == {"d2": ("text 2", "t")}


def test_corpora_in_tsv_and_beir_folders(tmp_path: Path) -> None:
    assert fetch_passages(write(tmp_path / "c.tsv", "d1\ta\tb\r\nd2\tc\r\n"), ["d1"]) == {"d1": ("a\tb", None)}
    write(tmp_path / "corpus.jsonl", '{"_id": "d1", "title": "", "text": "a"}\n')
    write(tmp_path / "queries.jsonl", '{"_id": "1", "text": "q", "metadata": {}}\n')
    assert fetch_passages(tmp_path, ["d1"]) == {"d1": ("a", None)}
    assert read_queries(tmp_path) == {"1": "q"}


def test_a_corpus_is_read_only_as_far_as_needed(tmp_path: Path) -> None:
    path = write(tmp_path / "c.jsonl", '{"id": "d1", "text": "a"}\n{"id": "d2", "text": "b"}\nthis is broken\n')
    assert set(fetch_passages(path, ["d1", "d2"])) == {"d1", "d2"}
    with pytest.raises(InputError, match=r"c\.jsonl:3"):
        fetch_passages(path, ["d1", "d3"])


def test_a_byte_order_mark_and_other_line_ends_are_tolerated(tmp_path: Path) -> None:
    path = write(tmp_path / "q.tsv", b"\xef\xbb\xbfq1\twhy\r\n\r\nq2\thow")
    assert read_queries(path) == {"q1": "why", "q2": "how"}


def test_ranks_decide_not_scores(tmp_path: Path) -> None:
    path = write(tmp_path / "r.trec", "q 0 a 2 9 t\nq 0 b 1 9 t\nq 0 c 3 10 t\n")
    assert [entry.docid for entry in read_run(path)["q"]] == ["b", "a", "c"]


def test_judgements_of_trec_and_beir(tmp_path: Path) -> None:
    trec = write(tmp_path / "q.txt", "q1 0 d1 2\nq1 0 d2 0\n")
    beir = write(tmp_path / "q.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n")
    assert read_qrels(trec) == read_qrels(beir) == {"q1": {"d1": 2, "d2": 0}}


def collection(folder: Path, **changed: str) -> tuple[Path, Path, Path]:
    files = {
        "queries": "q2\thow\nq1\twhy\nq3\twhat\n",
        "corpus": '{"id": "d1", "text": "a"}\n{"id": "d2", "text": "b"}\n',
        "run": "q1 Q0 d2 1 2 t\nq1 Q0 d1 2 1 t\nq2 Q0 d1 1 1 t\n",
        **changed,
    }
    return tuple(write(folder / name, text) for name, text in files.items())  # type: ignore[return-value]


def test_requests_come_in_the_order_of_the_topics(tmp_path: Path) -> None:
    requests = requests_from(*collection(tmp_path))
    found = {request.query.qid: [candidate.docid for candidate in request.candidates] for request in requests}
    assert found == {"q2": ["d1"], "q1": ["d2", "d1"], "q3": []}
    assert list(found) == ["q2", "q1", "q3"]
    assert requests[1].candidates[0] == Candidate("d2", "b", 2.0)


def test_an_unknown_document_is_an_error_or_dropped(tmp_path: Path) -> None:
    files = collection(tmp_path, run="q1 Q0 d2 1 2 t\nq1 Q0 nowhere 2 1 t\n")
    with pytest.raises(InputError, match=r"run:2: query 'q1': document 'nowhere' is not in .*--missing drop"):
        requests_from(*files)
    request = requests_from(*files, qids=["q1"], missing="drop")[0]
    assert [candidate.docid for candidate in request.candidates] == ["d2"]


def test_an_unknown_query_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="queries: query 'q9'"):
        requests_from(*collection(tmp_path), qids=["q9"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("q 0 d 1 2\n", r"x:1: .*5 fields"),
        ("q 0 d 1 2 t\nq 0 e two 1 t\n", r"x:2: the rank 'two'"),
        ("q 0 d 1 nan t\n", r"x:1: the score 'nan'"),
        ("q 0 d 1 2 t\nq 0 d 2 1 t\n", r"x:2: query 'q': document 'd' occurs twice, first on line 1"),
        ("", r"x: no run lines"),
        (b"q 0 \xff 1 2 t\n", r"x:1: not UTF-8"),
        (b"q 0 d\0 1 2 t\n", r"x:1: a NUL byte"),
        (gzip.compress(b"q 0 d 1 2 t\n" * 1000, mtime=0)[:-20], r"x:\d+: damaged gzip"),
        (b"\x1f\x8bnot really", r"x:1: damaged gzip"),
    ],
)
def test_a_bad_run_is_named(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_run(write(tmp_path / "x", content))


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([1], "expected a JSON object"),
        ({"query": 1, "candidates": []}, "expected"),
        ({"query": {"qid": "q"}, "candidates": []}, "a qid and a text"),
        ({"query": {"qid": "q", "text": "t"}, "candidates": [1]}, "candidate 1"),
        ({"query": {"qid": "q", "text": "t"}, "candidates": [{"docid": "d", "doc": {"x": 1}}]}, "'d' has no text"),
        ({"query": {"qid": "q", "text": "t"}, "candidates": [{"docid": "d", "doc": "x", "score": "1"}]}, "score"),
        ({"query": {"qid": "q", "text": "t"}, "candidates": [{"docid": "d", "doc": "x"}] * 2}, "occurs twice"),
    ],
)
def test_a_bad_request_is_named(tmp_path: Path, record: Any, words: str) -> None:
    path = write(tmp_path / "x", json.dumps(record))
    with pytest.raises(InputError, match=words) as caught:
        list(read_requests(path))
    assert f"{path}:1" in str(caught.value)


def test_nested_or_broken_json_is_named(tmp_path: Path) -> None:
    for content in ('{"a": ' + "[" * 100_000, '{"id": "x"'):
        with pytest.raises(InputError, match="x:1: not JSON"):
            list(read_requests(write(tmp_path / "x", content)))


def test_files_that_are_not_there_or_no_files(tmp_path: Path) -> None:
    for read in (read_run, read_queries, read_qrels):
        with pytest.raises(InputError, match="nowhere: cannot be read: No such file"):
            read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="Is a directory"):
        read_run(tmp_path)
    with pytest.raises(InputError, match=r"a folder without queries\.jsonl"):
        read_queries(tmp_path)


def test_duplicate_queries_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="x:2: query 'q'"):
        read_queries(write(tmp_path / "x", "q\ta\nq\tb\n"))


def test_a_single_query_with_lines_or_objects() -> None:
    stream = io.BytesIO(
        b'first\n\n{"id": "b", "text": "second"}\n{"text": "third"}\n{"docid": "d", "doc": {"body": "4"}}\n'
    )
    request = read_single("why", stream)
    assert [(c.docid, c.text) for c in request.candidates] == [
        ("1", "first"),
        ("b", "second"),
        ("4", "third"),
        ("d", "4"),
    ]
    with pytest.raises(InputError, match="occurs twice"):
        read_single("why", io.BytesIO(b'{"id": "2", "text": "a"}\nb\n'))
    assert read_single("why", io.BytesIO(b"")) == Request(Query("query", "why"), ())


def test_names_that_a_run_cannot_hold_are_refused() -> None:
    with pytest.raises(InputError, match="--format jsonl"):
        run_lines("q", ["a b"], "t")


def test_text_output_is_a_line_a_candidate() -> None:
    assert written(ranking_of("q", "why", [("d", "a\nb", "T")]), "text") == "1\td\tT a b\n"


def test_the_shared_collections_can_be_read(data: Path) -> None:
    folder = data / "dl19"
    requests = requests_from(folder / "queries.tsv", folder / "corpus.jsonl.gz", folder / "bm25.trec.gz")
    assert len(requests) == 43
    assert {len(request.candidates) for request in requests} == {100}


@pytest.mark.parametrize(
    "line",
    [
        {"docid": "d1", "text": "t"},
        {"text": "t", "meta": {"id": "other"}, "docid": "d1"},
        {"text": 'it says \\"docid\\": \\"d2\\"', "docid": "d1"},
        {"id": "d\u00e9", "text": "t"},
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_passing_over_documents_finds_all_that_are_asked_for(tmp_path: Path, line: Any, ascii_only: bool) -> None:
    path = tmp_path / "corpus.jsonl"
    other = json.dumps({"docid": "x", "text": "u"})
    path.write_text(f"{other}\n{json.dumps(line, ensure_ascii=ascii_only)}\n{other}\n", encoding="utf-8")
    docid = line.get("docid", line.get("id"))
    assert list(fetch_passages(path, [docid])) == [docid]


def test_a_number_as_docid_is_found(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text('{"id": 6, "text": "u"}\n{"id": 7, "text": "t"}\n', encoding="utf-8")
    assert fetch_passages(path, ["7"])["7"].text == "t"


def test_judgements_in_a_beir_folder(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\n", encoding="utf-8")
    assert read_qrels(tmp_path) == {"q1": {"d1": 2}}


def test_a_name_no_file_can_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_queries("a\0b")
