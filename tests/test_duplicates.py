"""Queries that are the same but for the typing are paid for once: in a run, in later runs, and at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from listwise import Candidate, Query, Ranking, Request, Reranker
from tests.layers.models import MemoryModel
from tests.loopback import ScriptedServer

SPELT = ("What is  the US visa?", "what is the US visa", "What Is The US Visa ?")
TEXTS = tuple(f"text {at}" for at in range(30))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer("[2] > [1] > [3]", delay_s=0.02) as running:
        yield running


def request_of(query: str, texts: Sequence[str] = TEXTS, qid: str | None = None) -> Request:
    return Request(
        Query(qid or f"q {query}", query), tuple(Candidate(f"d{at}", text) for at, text in enumerate(texts))
    )


def settings(server: ScriptedServer, tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {
        "llm": "openai/gpt-4o",
        "base_url": server.base_url,
        "local": "none",
        "escalate": "always",
        "cache": str(tmp_path / "answers"),
        **more,
    }


def ranked(requests: Sequence[Request], **chosen: Any) -> list[Ranking]:
    with Reranker(**chosen) as reranker:
        return list(reranker.rerank_many(requests))


def spellings(server: ScriptedServer) -> set[str]:
    """What was asked; prompts collapse white space."""
    shown = {spelt: f"query: {' '.join(spelt.split())}." for spelt in SPELT}
    return {spelt for spelt in SPELT for asked in server.asked if shown[spelt] in asked.prompt}


@pytest.mark.parametrize("cache", ["answers", "off"])
@pytest.mark.parametrize("concurrency", [1, 16])
def test_they_are_paid_for_once_in_a_run(
    server: ScriptedServer, tmp_path: Path, cache: str, concurrency: int
) -> None:
    """One at a time without a cache there is nobody to share with."""
    where = cache if cache == "off" else str(tmp_path / cache)
    chosen = settings(server, tmp_path, cache=where, concurrency=concurrency)
    first, *others = ranked([request_of(spelt) for spelt in SPELT], **chosen)
    assert len(server.asked) == (6 if cache == "off" and concurrency == 1 else 2)
    assert spellings(server) == {SPELT[0]}
    assert [each.query.text for each in (first, *others)] == list(SPELT)
    assert first.receipt.notes == ()
    for other in others:
        assert other.docids == first.docids
        assert other.receipt.qid == other.query.qid
        assert other.receipt.notes[0].startswith(f"asked as {SPELT[0]!r}")


def test_they_are_paid_for_once_over_runs(server: ScriptedServer, tmp_path: Path) -> None:
    (before,) = ranked([request_of(SPELT[1])], **settings(server, tmp_path))
    asked = len(server.asked)
    (after,) = ranked([request_of(SPELT[0])], **settings(server, tmp_path))
    assert len(server.asked) == asked == 2
    assert after.docids == before.docids
    assert after.receipt.cache_hits == 2
    assert not after.receipt.usd
    assert after.receipt.notes[0].startswith(f"asked as {SPELT[1]!r}")


def test_the_first_of_the_stream_gives_the_spelling_whoever_is_first_at_the_model(
    server: ScriptedServer, tmp_path: Path
) -> None:
    for at in range(5):
        order = [request_of(SPELT[1]), *(request_of(spelt) for spelt in SPELT)]
        ranked(order, **settings(server, tmp_path, cache=str(tmp_path / f"c{at}"), concurrency=4))
    assert spellings(server) == {SPELT[1]}
    assert len(server.asked) == 10


def test_a_share_is_drawn_among_spellings_alike(server: ScriptedServer, tmp_path: Path) -> None:
    """Where all queries are known first, they share as well."""
    requests = [
        replace(
            request_of(spelt),
            candidates=tuple(Candidate(f"d{at}", text, float(-at)) for at, text in enumerate(TEXTS)),
        )
        for spelt in SPELT
    ]
    ranked(requests, **settings(server, tmp_path, escalate=1.0))
    assert (len(server.asked), spellings(server)) == (2, {SPELT[0]})


@pytest.mark.parametrize(
    "other",
    [
        request_of(SPELT[1], TEXTS[:29]),
        request_of(SPELT[1], ("other", *TEXTS[1:])),
        request_of("what is the us visa"),
        request_of("what is the US visum"),
    ],
)
def test_other_candidates_and_other_queries_do_not_share(
    server: ScriptedServer, tmp_path: Path, other: Request
) -> None:
    first, second = ranked([request_of(SPELT[0]), other], **settings(server, tmp_path))
    assert second.receipt.notes == first.receipt.notes == ()
    assert f"query: {other.query.text}." in server.asked[-1].prompt or len(server.asked) == 4
    assert first.receipt.cache_hits == second.receipt.cache_hits == 0
    assert len(server.asked) == 4


def test_an_order_of_their_own_is_another_question(server: ScriptedServer, tmp_path: Path) -> None:
    """The LLM is asked window by window, and what it says depends on the order shown."""
    turned = Request(Query("turned", SPELT[1]), request_of(SPELT[1]).candidates[::-1])
    _, second = ranked([request_of(SPELT[0]), turned], **settings(server, tmp_path))
    assert len(server.asked) == 4
    assert second.receipt.cache_hits == 0


def test_apart_each_is_asked_in_its_own_spelling(server: ScriptedServer, tmp_path: Path) -> None:
    for ranking in ranked([request_of(spelt) for spelt in SPELT], **settings(server, tmp_path, duplicates="apart")):
        assert ranking.receipt.notes == ()
    assert len(server.asked) == 6
    assert spellings(server) == set(SPELT)


class Cased:
    """A local model that takes capitals for something."""

    name = "cased"

    def __init__(self) -> None:
        self.queries: list[str] = []

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        self.queries.append(query)
        return [float(hash((query, passage)) % 1000) for passage in passages]


def test_a_local_model_that_heeds_case_reads_the_same_spelling(server: ScriptedServer, tmp_path: Path) -> None:
    """So that the LLM is shown the same order; over runs, too."""
    scorer, chosen = Cased(), settings(server, tmp_path)
    del chosen["local"]
    rankings = ranked([request_of(spelt) for spelt in SPELT[:2]], scorer=scorer, **chosen)
    rankings += ranked([request_of(SPELT[2])], scorer=scorer, **chosen)
    assert set(scorer.queries) == {SPELT[0]}
    assert len({ranking.docids for ranking in rankings}) == 1
    assert len(server.asked) == 2


def test_where_nothing_is_paid_queries_stay_as_they_are() -> None:
    scorer = Cased()
    rankings = ranked([request_of(spelt) for spelt in SPELT], scorer=scorer)
    assert set(scorer.queries) == set(SPELT)
    assert all(ranking.receipt.notes == () for ranking in rankings)


def test_a_plan_knows_what_is_in_the_cache(server: ScriptedServer, tmp_path: Path) -> None:
    chosen = settings(server, tmp_path, strategy="single", prices=tmp_path / "prices.toml")
    (tmp_path / "prices.toml").write_text('["openai/gpt-4o"]\ninput = 2.5\noutput = 10\n')
    ranked([request_of(SPELT[1])], **chosen)
    with Reranker(**chosen) as reranker:
        (line,) = reranker.plan([request_of(SPELT[0])]).strategies
    assert (line.calls, line.cached) == (1, 1)


def test_a_rerank_api_is_paid_once_as_well(tmp_path: Path) -> None:
    with ScriptedServer(lambda asked: json.dumps([float(len(text)) for text in asked.body["texts"]])) as server:
        local = f"tei/reranker@{server.root}"
        for spelt in SPELT[:2]:
            ranked([request_of(spelt)], local=local, cache=str(tmp_path / "answers"), ledger="off")
        asked = server.asked
    assert len(asked) == 1
    assert json.dumps(SPELT[0])[1:-1] in json.dumps(asked[0].body)


async def test_a_model_of_ones_own_shares_in_one_loop(tmp_path: Path) -> None:
    model = MemoryModel(delay_s=0.01)
    async with Reranker(model=model, local="none", escalate="always", cache=str(tmp_path / "c")) as reranker:
        requests = [request_of(spelt, TEXTS[:2]) for spelt in SPELT]
        rankings = [ranking async for ranking in reranker.arerank_many(requests)]
    assert len(model.asked) == 1
    assert [ranking.receipt.cache_hits for ranking in rankings].count(1) == 2
