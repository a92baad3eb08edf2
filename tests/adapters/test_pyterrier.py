"""The transformer in the real PyTerrier, without Java."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

pytest.importorskip("pyterrier", reason="needs python-terrier: make test-adapters")

import pandas as pd
import pyterrier as pt
from hypothesis import given
from hypothesis import strategies as st

from listwise import InputError, Receipt, Reranker
from listwise.adapters.pyterrier import ListwiseTransformer
from tests.adapters.contract import TEXTS
from tests.loopback import ScriptedServer

pytestmark = [
    pytest.mark.adapters,
    pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning"),  # PyTerrier's own, of pandas 3.1
    pytest.mark.filterwarnings(
        "ignore:There are shared pipeline components:UserWarning"
    ),  # advice on a faster plan
]


def frame(texts: dict[str, Sequence[str]]) -> pd.DataFrame:
    """Results of some qids."""
    return pd.DataFrame(
        [
            {"qid": qid, "query": f"why {qid}", "docno": f"d{at}", "text": text, "score": 10.0 - at, "rank": at}
            for qid, those in texts.items()
            for at, text in enumerate(those)
        ]
    )


def docnos(results: pd.DataFrame, qid: str) -> list[str]:
    return [str(docno) for docno in results[results["qid"] == qid].sort_values("rank")["docno"]]


def test_every_query_gets_its_order(reranker: Reranker, server: ScriptedServer) -> None:
    results = ListwiseTransformer(reranker)(frame({"q2": TEXTS[:3], "q1": TEXTS[:2]}))
    assert results["qid"].tolist() == ["q2", "q2", "q2", "q1", "q1"]
    assert results["docno"].tolist() == ["d2", "d1", "d0", "d1", "d0"]
    assert results["rank"].tolist() == [0, 1, 2, 0, 1]
    assert results["score"].tolist() == [1.0, 2 / 3, 1 / 3, 1.0, 0.5]
    assert len(server.asked) == 2


def test_other_columns_stay_and_the_input_does_not_change(reranker: Reranker) -> None:
    given = frame({"q1": TEXTS[:2]}).assign(query_0="as typed", docid=[7, 8], features=[[1, 2], [3, 4]])
    before = given.copy(deep=True)
    results = ListwiseTransformer(reranker)(given)
    pd.testing.assert_frame_equal(given, before)
    assert results[["docno", "docid", "features", "query_0"]].values.tolist() == [
        ["d1", 8, [3, 4], "as typed"],
        ["d0", 7, [1, 2], "as typed"],
    ]
    assert set(results.columns) == set(given.columns)


@pytest.mark.parametrize(
    ("drop", "first"), [([], "d1"), (["rank"], "d2"), (["rank", "score"], "d0")], ids=["rank", "score", "rows"]
)
def test_the_first_stages_order_is_found(drop: list[str], first: str) -> None:
    rows = [("d0", 2.0, 1), ("d1", 1.0, 0), ("d2", 3.0, 2)]
    given = pd.DataFrame(rows, columns=["docno", "score", "rank"]).assign(qid="q1", query="why", text="text")
    with Reranker(local="none", escalate="never", ledger="off") as unmoved:
        results = ListwiseTransformer(unmoved)(given.drop(columns=drop))
    assert results["docno"].tolist()[0] == first


def test_none_and_one(reranker: Reranker, server: ScriptedServer) -> None:
    transformer = ListwiseTransformer(reranker)
    empty = transformer(frame({"q1": TEXTS[:1]}).iloc[:0])
    assert len(empty) == 0
    assert {"qid", "query", "docno", "text", "score", "rank"} == set(empty.columns)
    assert transformer(frame({"q1": TEXTS[:1]}))["score"].tolist() == [1.0]
    assert server.asked == []


def test_numbers_as_names_and_a_row_index_of_any_kind(reranker: Reranker) -> None:
    given = pd.DataFrame(
        {"qid": [1, 1, 2], "query": "why", "docno": [10, 11, 10], "text": ["text 1", "text 2", "text 3"]},
        index=[5, 5, 5],
    )
    results = ListwiseTransformer(reranker)(given)
    assert results[["qid", "docno", "rank"]].values.tolist() == [[1, 11, 0], [1, 10, 1], [2, 10, 0]]


def test_a_model_that_is_down_leaves_the_order(reranker: Reranker) -> None:
    given = frame({"q1": TEXTS[:4]}).assign(query="DOWN")
    assert docnos(ListwiseTransformer(reranker)(given), "q1") == ["d0", "d1", "d2", "d3"]


def test_in_a_pipeline(reranker: Reranker) -> None:
    first = pt.Transformer.from_df(frame({"q1": TEXTS[:5], "q2": TEXTS[:4]}))
    pipeline = first >> ListwiseTransformer(reranker) % 2
    topics = pd.DataFrame([["q1", "why q1"], ["q2", "why q2"]], columns=["qid", "query"])
    results = pipeline(topics)
    assert (docnos(results, "q1"), docnos(results, "q2")) == (["d4", "d3"], ["d3", "d2"])
    assert docnos(pipeline.search("why q1", "q1"), "q1") == ["d4", "d3"]
    records = ListwiseTransformer(reranker)(frame({"q1": TEXTS[:2]}).to_dict(orient="records"))
    assert [each["docno"] for each in records] == ["d1", "d0"]
    assert {"score", "rank"} <= set(
        pt.inspect.transformer_outputs(ListwiseTransformer(reranker), list(first(topics)))
    )


def test_an_experiment(reranker: Reranker) -> None:
    first = pt.Transformer.from_df(frame({"q1": TEXTS[:5]}))
    topics = pd.DataFrame([["q1", "why q1"]], columns=["qid", "query"])
    qrels = pd.DataFrame([["q1", "d4", 1]], columns=["qid", "docno", "label"])
    table = pt.Experiment([first, first >> ListwiseTransformer(reranker)], topics, qrels, ["recip_rank"])
    assert table["recip_rank"].tolist() == [0.2, 1.0]


def test_receipts_go_where_they_are_asked_for(reranker: Reranker) -> None:
    receipts: list[Receipt] = []
    ListwiseTransformer(reranker, on_receipt=receipts.append)(frame({"q1": TEXTS[:3], "q2": TEXTS[:2]}))
    assert [(each.qid, each.route) for each in receipts] == [("q1", "llm"), ("q2", "llm")]


def test_another_column_of_texts(reranker: Reranker) -> None:
    given = frame({"q1": TEXTS[:2]}).rename(columns={"text": "body"})
    assert docnos(ListwiseTransformer(reranker, text_field="body")(given), "q1") == ["d1", "d0"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"text": [None, "text"]},
            r"query 'q1': document 'd0' has no text in the column 'text' \(found nan\): put",
        ),
        ({"text": [7, "text"]}, r"document 'd0' has no text in the column 'text' \(found 7\)"),
        ({"docno": ["d0", "d0"]}, "query 'q1': document 'd0' occurs twice"),
        ({"query": ["why", "how"]}, "query 'q1': its rows have different queries"),
    ],
)
def test_what_cannot_be_ranked_is_named(reranker: Reranker, change: dict[str, Any], says: str) -> None:
    given = frame({"q1": TEXTS[:2]}).astype(object).assign(**change)
    with pytest.raises(InputError, match=says):
        ListwiseTransformer(reranker)(given)


def test_a_missing_column_is_pyterriers_own_error(reranker: Reranker) -> None:
    with pytest.raises(pt.validate.InputValidationError, match="text"):
        ListwiseTransformer(reranker)(frame({"q1": TEXTS[:2]}).drop(columns="text"))


@pytest.fixture(scope="module")
def unmoved() -> Iterator[ListwiseTransformer]:
    with Reranker(local="none", escalate="never", ledger="off") as reranker:
        yield ListwiseTransformer(reranker)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), unique=True, max_size=12))
def test_every_row_comes_back_once(unmoved: ListwiseTransformer, rows: list[tuple[str, int]]) -> None:
    given_rows = pd.DataFrame(rows, columns=["qid", "docno"]).assign(query="why", text="text")
    results = unmoved(given_rows)
    assert sorted(zip(results["qid"], results["docno"], strict=True)) == sorted(rows)
    for _, those in results.groupby("qid"):
        assert those["rank"].tolist() == list(range(len(those)))
