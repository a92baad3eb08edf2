"""The endpoints in the vendors' shapes: by hand, by our own clients, by Cohere's SDK."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

import pytest

from listwise.models.rerank import load_rerank_model
from listwise.models.rerank.scores import read_scores
from tests.models.rerank.apis import scoring
from tests.serve.serving import DOCUMENTS, QUERY, Served

BEST = 1
ASKED: dict[str, Any] = {"model": "any", "query": QUERY, "documents": DOCUMENTS}


def post(local: Served, path: str, body: Any, **headers: str) -> Any:
    with local.client() as client:
        return client.post(path, json=body, headers=headers)


def test_cohere_v2(local: Served) -> None:
    answer = post(local, "/v2/rerank", {**ASKED, "top_n": 2, "max_tokens_per_doc": 4096})
    assert answer.status_code == 200
    body = answer.json()
    assert next(rank["index"] for rank in body["results"]) == BEST
    assert len(body["results"]) == 2
    assert body["meta"]["billed_units"] == {"search_units": 1}
    assert body["id"] == answer.headers["x-request-id"] == body["listwise"]["receipt"]["qid"]
    assert body["listwise"]["score_type"] == "probability"
    assert body["listwise"]["receipt"]["route"] == answer.headers["x-listwise-route"] == "local"
    assert "document" not in body["results"][0]


def test_v1_takes_texts_and_objects_and_gives_them_back(local: Served) -> None:
    objects = [{"text": text} for text in DOCUMENTS]
    mixed: list[Any] = [*objects[:2], *DOCUMENTS[2:]]
    answers = [
        post(local, "/v1/rerank", {**ASKED, "documents": documents, "return_documents": True}).json()
        for documents in (DOCUMENTS, objects, mixed)
    ]
    for body in answers:
        assert next(rank["document"]["text"] for rank in body["results"]) == DOCUMENTS[BEST]
        assert body["results"] == answers[0]["results"]
        assert body["usage"]["total_tokens"] > len(DOCUMENTS)
        assert body["model"] == "default"
        assert body["object"] == "list"


def test_v1_reads_the_fields_it_is_told(local: Served) -> None:
    documents = [{"title": DOCUMENTS[BEST], "body": "x"}, {"title": "Paris", "body": DOCUMENTS[0]}, {"body": "y"}]
    answer = post(local, "/v1/rerank", {**ASKED, "documents": documents[:2], "rank_fields": ["title", "body"]})
    assert answer.json()["results"][0]["index"] == 0
    missing = post(local, "/v1/rerank", {**ASKED, "documents": documents, "rank_fields": ["title"]})
    assert missing.status_code == 422
    assert "documents.2" in missing.json()["message"]


@pytest.mark.parametrize("field", [{"max_tokens_per_doc": 3}, {"max_chunks_per_doc": 1}])
def test_documents_are_cut_as_asked(local: Served, field: dict[str, int]) -> None:
    """What answers the query stands behind the cut."""
    late = "Paris. " * 600 + DOCUMENTS[BEST]
    body = {**ASKED, "documents": [late, DOCUMENTS[2]], **field}
    scores = {rank["index"]: rank["relevance_score"] for rank in post(local, "/v1/rerank", body).json()["results"]}
    short = {**body, "documents": ["Paris. Paris", DOCUMENTS[2]]}
    assert scores.keys() == {0, 1}
    assert post(local, "/v1/rerank", short).json()["results"][0]["index"] == 1
    assert scores[1] > scores[0]


def test_tei(local: Served) -> None:
    body = {"query": QUERY, "texts": DOCUMENTS, "return_text": True, "truncate": True}
    answer = post(local, "/rerank", body)
    ranks = answer.json()
    assert next(rank["index"] for rank in ranks) == BEST
    assert ranks[0]["text"] == DOCUMENTS[BEST]
    assert int(answer.headers["x-compute-tokens"]) > len(DOCUMENTS)
    raw = post(local, "/rerank", {**body, "raw_scores": True}).json()
    assert [rank["index"] for rank in raw] == [rank["index"] for rank in ranks]
    assert max(rank["score"] for rank in raw) > 1


def test_voyage(local: Served) -> None:
    answer = post(local, "/voyage/v1/rerank", {**ASKED, "top_k": 1, "return_documents": True}).json()
    (rank,) = answer["data"]
    assert (rank["index"], rank["document"]) == (BEST, DOCUMENTS[BEST])
    assert answer["usage"]["total_tokens"] > len(DOCUMENTS)


@pytest.mark.parametrize(
    ("name", "path"),
    [("cohere/any", ""), ("jina/any", ""), ("voyage/any", "/voyage/v1"), ("tei/any", ""), ("vllm/any", "")],
)
async def test_our_own_clients_read_what_our_service_says(local: Served, name: str, path: str) -> None:
    async with aclosing(load_rerank_model(name, base_url=local.url + path, api_key="k")) as model:
        completion = await model.complete(scoring(*DOCUMENTS, query=QUERY), timeout_s=10)
    scores = read_scores(completion.text, len(DOCUMENTS))
    assert scores is not None
    assert max(range(len(scores)), key=scores.__getitem__) == BEST
    assert not completion.usage.assumed
    assert len(set(scores)) == len(scores)


async def test_the_unmodified_sdk_of_cohere(local: Served) -> None:
    cohere = pytest.importorskip("cohere", reason="needs Cohere's SDK: pip install cohere")
    with cohere.ClientV2(api_key="k", base_url=local.url) as client:
        said = client.rerank(model="rerank-v3.5", query=QUERY, documents=DOCUMENTS, top_n=3)
    assert next(rank.index for rank in said.results) == BEST
    assert len(said.results) == 3
    assert said.meta.billed_units.search_units == 1
    with cohere.Client(api_key="k", base_url=local.url) as older:
        first = older.rerank(query=QUERY, documents=DOCUMENTS, return_documents=True, model="rerank-english-v3.0")
    assert first.results[0].document.text == DOCUMENTS[BEST]
    with cohere.ClientV2(api_key="k", base_url=local.url) as client, pytest.raises(cohere.UnprocessableEntityError):
        client.rerank(model="m", query="", documents=DOCUMENTS)


def test_what_is_wrong_with_a_body_is_said_without_repeating_it(local: Served) -> None:
    for change, place in (
        ({"documents": []}, "documents"),
        ({"documents": [1]}, "documents.0"),
        ({"query": 5}, "query"),
        ({"top_n": "three"}, "top_n"),
        ({"topn": 3}, "topn"),
        ({"listwise": {"base_url": "http://elsewhere"}}, "listwise.base_url"),
        ({"listwise": {"budget_usd": "NaN"}}, "listwise.budget_usd"),
        ({"listwise": {"deadline_s": -1}}, "listwise.deadline_s"),
        ({"listwise": {"policy": "elsewhere"}}, "no such policy"),
    ):
        answer = post(local, "/v2/rerank", {**ASKED, **change})
        assert answer.status_code == 422, change
        said = answer.json()
        assert place in said["message"]
        assert said["detail"] == said["error"] == said["message"]
        assert "elsewhere" not in said["message"]


def test_headers_say_the_same_as_the_body(local: Served) -> None:
    good = {"X-Listwise-Policy": "default", "X-Listwise-Budget": "0.01", "X-Listwise-Deadline": "5"}
    assert post(local, "/v2/rerank", ASKED, **good).json()["listwise"]["policy"] == "default"
    for header in good:
        answer = post(local, "/v2/rerank", ASKED, **{header: "what"})
        assert answer.status_code == 422
        assert header == "X-Listwise-Policy" or header.lower() in answer.json()["message"]


@pytest.mark.parametrize("change", [{"query": "\ud800 sky"}, {"\ud800": 1}, {"documents": [{"text": "\ud800"}, 1]}])
def test_texts_that_no_encoding_has_are_refused(local: Served, change: dict[str, Any]) -> None:
    with local.client() as client:
        content = json.dumps({**ASKED, **change}).encode("ascii")
        answer = client.post("/v1/rerank", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error_type"] == "invalid"


def test_a_page_of_another_name_cannot_ask(local: Served) -> None:
    assert post(local, "/v2/rerank", ASKED, Host="evil.example").status_code == 400
