"""The scripted server against the vendors' own SDKs: what they read from it is what our adapters read.

Skipped where an SDK is not installed: ``pip install cohere voyageai`` in an environment of its own. Jina, Text
Embeddings Inference and vLLM have none for reranking.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest

from listwise.models.rerank.scores import read_scores
from tests.loopback import Asked, Said, ScriptedServer
from tests.models.rerank.apis import APIS, KEY, scoring

COHERE, VOYAGE = APIS[0], APIS[2]
QUERY, DOCUMENTS = "why is the sky blue", ["grass", "scattering", "paint"]
SCORES = Said("[0.25, 0.75, 0.5]", 40, search_units=1)


async def ours(server: ScriptedServer, api: Any) -> tuple[tuple[float, ...] | None, Asked]:
    async with aclosing(api.at(server)) as model:
        completion = await model.complete(scoring(*DOCUMENTS, query=QUERY), timeout_s=5)
    return read_scores(completion.text, 3), server.asked[-1]


async def test_cohere() -> None:
    cohere = pytest.importorskip("cohere", reason="needs Cohere's SDK: pip install cohere")
    with ScriptedServer(SCORES) as server, cohere.ClientV2(api_key=KEY, base_url=server.root) as client:
        said = client.rerank(model="rerank-v3.5", query=QUERY, documents=DOCUMENTS, max_tokens_per_doc=4096)
        theirs = server.asked[-1]
        scores, asked = await ours(server, COHERE)
    assert scores == tuple(rank.relevance_score for rank in sorted(said.results, key=lambda rank: rank.index))
    assert said.meta.billed_units.search_units == 1
    assert (theirs.method, theirs.path) == (asked.method, asked.path)
    assert theirs.headers["authorization"] == asked.headers["authorization"]
    assert theirs.body.items() <= asked.body.items()
    assert asked.body.keys() - theirs.body.keys() == {"top_n"}


async def test_voyage(monkeypatch: pytest.MonkeyPatch) -> None:
    voyageai = pytest.importorskip("voyageai", reason="needs Voyage's SDK: pip install voyageai")
    with ScriptedServer(SCORES) as server, pytest.importorskip("requests").Session() as session:
        monkeypatch.setattr(voyageai, "requestssession", session)
        client = voyageai.Client(api_key=KEY, base_url=server.base_url)
        said = client.rerank(QUERY, DOCUMENTS, model="rerank-2.5", top_k=3)
        theirs = server.asked[-1]
        scores, asked = await ours(server, VOYAGE)
    assert scores == tuple(rank.relevance_score for rank in sorted(said.results, key=lambda rank: rank.index))
    assert said.total_tokens == 40
    assert (theirs.method, theirs.path) == (asked.method, asked.path)
    assert theirs.headers["authorization"] == asked.headers["authorization"]
    assert theirs.body.items() <= asked.body.items()
    assert asked.body.keys() - theirs.body.keys() == {"return_documents"}
