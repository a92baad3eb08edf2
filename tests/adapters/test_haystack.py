"""The component in the real Haystack."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("haystack", reason="needs haystack-ai: make test-adapters")

from haystack import Document, Pipeline

from listwise import ConfigError, InputError, Reranker
from listwise.adapters.haystack import ListwiseRanker
from tests.adapters.contract import TEXTS, AdapterContract, Ranked
from tests.loopback import ScriptedServer

pytestmark = pytest.mark.adapters


def of(texts: Sequence[str]) -> list[Document]:
    return [Document(id=f"d{at}", content=text, meta={"at": at}, score=-at) for at, text in enumerate(texts)]


def seen(documents: Sequence[Document]) -> Ranked:
    return [(each.content or "", each.score or 0.0) for each in documents]


class TestContract(AdapterContract):
    def ranker(self, reranker: Reranker) -> ListwiseRanker:
        ranker: ListwiseRanker = ListwiseRanker(settings=reranker.policy.model_dump(exclude_unset=True))
        ranker._reranker = reranker
        return ranker

    def rank(self, reranker: Reranker, texts: Sequence[str], query: str = "why", top: int | None = None) -> Ranked:
        return seen(self.ranker(reranker).run(query, of(texts), top_k=top)["documents"])

    async def arank(
        self, reranker: Reranker, texts: Sequence[str], query: str = "why", top: int | None = None
    ) -> Ranked:
        return seen((await self.ranker(reranker).run_async(query, of(texts), top_k=top))["documents"])


def test_documents_are_copies_and_the_receipt_is_beside_them(settings: dict[str, Any]) -> None:
    given = of(TEXTS[:3])
    ranker = ListwiseRanker(settings=settings)
    out = ranker.run("why", given)
    assert [each.score for each in given] == [0, -1, -2]
    best = out["documents"][0]
    assert (best.id, best.meta, best.score) == ("d2", {"at": 2}, 1.0)
    assert (out["receipt"]["route"], out["receipt"]["calls"]) == ("llm", 1)
    assert json.loads(json.dumps(out["receipt"])) == out["receipt"]
    ranker.close()


def test_of_the_same_id_the_first_is_taken(settings: dict[str, Any]) -> None:
    same = [Document(content="text 1", score=1.0), Document(content="text 1", score=2.0), *of(["text 0"])]
    ranker = ListwiseRanker(settings=settings)
    assert seen(ranker.run("why", same)["documents"]) == [("text 1", 1.0), ("text 0", 0.5)]
    ranker.close()


def test_it_opens_by_itself_and_again_after_closing(settings: dict[str, Any]) -> None:
    ranker = ListwiseRanker(settings=settings)
    assert ranker._reranker is None
    ranker.close()
    for _ in range(2):
        assert seen(ranker.run("why", of(TEXTS[:2]))["documents"])[0] == ("text 1", 1.0)
        ranker.close()
    ranker.warm_up()
    warm = ranker._reranker
    ranker.run("why", of(TEXTS[:2]))
    assert ranker._reranker is warm
    asyncio.run(ranker.close_async())
    asyncio.run(ranker.warm_up_async())
    assert ranker._reranker is not None
    ranker.close()


@pytest.mark.parametrize("how", ["run", "run_async"])
def test_in_a_pipeline_that_was_saved_and_loaded(settings: dict[str, Any], how: str) -> None:
    pipeline = Pipeline()
    pipeline.add_component("ranker", ListwiseRanker("offline", settings=settings, top_k=2))
    loaded = Pipeline.loads(pipeline.dumps(), allowed_modules=["listwise.adapters.haystack"])
    again: Any = loaded.get_component("ranker")
    before: Any = pipeline.get_component("ranker")
    assert (again.to_dict(), again._policy) == (before.to_dict(), before._policy)
    data = {"ranker": {"query": "why", "documents": of(TEXTS[:4])}}
    out = loaded.run(data) if how == "run" else asyncio.run(loaded.run_async(data))
    assert seen(out["ranker"]["documents"]) == [("text 3", 1.0), ("text 2", 0.75)]
    assert out["ranker"]["receipt"]["strategy"] is not None
    again.close()


def test_meta_is_read_where_it_is_asked_for(settings: dict[str, Any], server: ScriptedServer) -> None:
    documents = [Document(content="text 1", meta={"title": "Skies", "none": None}), Document(content="text 2")]
    ranker = ListwiseRanker(settings=settings, meta_fields_to_embed=["title", "none"])
    ranker.run("why", documents)
    (asked,) = server.asked
    assert "Skies text 1" in asked.prompt
    assert "None" not in asked.prompt
    ranker.close()


def test_what_is_not_text_is_refused(settings: dict[str, Any]) -> None:
    ranker = ListwiseRanker(settings=settings)
    with pytest.raises(InputError, match="document 'd' has no content: only texts can be re-ranked"):
        ranker.run("why", [Document(id="d")])
    ranker.close()


def test_wrong_settings_are_refused_before_anything_is_loaded(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="there is no setting 'lmm'"):
        ListwiseRanker(settings={"lmm": "openai/gpt-4o"})
    with pytest.raises(ConfigError, match="policy"):
        ListwiseRanker("no-such-policy")
    with pytest.raises(InputError, match="top_n is 0"):
        ListwiseRanker(settings=settings, top_k=0)
    with pytest.raises(InputError, match="top_n is -1"):
        ListwiseRanker(settings=settings).run("why", of(TEXTS[:2]), top_k=-1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://user:pass@host/v1"},
        {"base_url": "http://host/v1?api_key=abc"},
        {"fallback": [{"llm": "vllm/a", "base_url": "http://:token@host"}]},
    ],
)
def test_a_key_in_an_address_is_not_saved(wrong: dict[str, Any], settings: dict[str, Any]) -> None:
    ranker = ListwiseRanker(settings={**settings, **wrong})
    with pytest.raises(ConfigError, match=r"^settings\.(base_url|fallback\.0\.base_url): an address that seems"):
        ranker.to_dict()


def test_a_policy_of_your_own(settings: dict[str, Any], tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('escalate = "never"\nlocal = "none"\nledger = "off"\n')
    ranker = ListwiseRanker.from_dict(ListwiseRanker(str(mine)).to_dict())
    assert seen(ranker.run("why", of(TEXTS[:2]))["documents"]) == [("text 0", 1.0), ("text 1", 0.5)]
    ranker.close()
