"""What every adapter promises, whatever its library calls things.

A test file has a class that inherits these tests and says how its library is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from listwise import Reranker
from tests.loopback import ScriptedServer

TEXTS = [f"text {at}" for at in range(30)]

Ranked = list[tuple[str, float]]
"""Texts with their scores, best first."""


class AdapterContract:
    """What is the same for all."""

    def rank(self, reranker: Reranker, texts: Sequence[str], query: str = "why", top: int | None = None) -> Ranked:
        raise NotImplementedError

    async def arank(
        self, reranker: Reranker, texts: Sequence[str], query: str = "why", top: int | None = None
    ) -> Ranked:
        raise NotImplementedError

    @pytest.fixture(params=["sync", "async"])
    def ranking(self, request: pytest.FixtureRequest, reranker: Reranker) -> Callable[..., Ranked]:
        def ranked(texts: Sequence[str], query: str = "why", top: int | None = None) -> Ranked:
            if request.param == "sync":
                return self.rank(reranker, texts, query, top)
            return asyncio.run(self.arank(reranker, texts, query, top))

        return ranked

    def test_the_best_comes_first_with_the_scores_of_ranks(self, ranking: Callable[..., Ranked]) -> None:
        found = ranking(TEXTS[:10])
        assert found == [(f"text {9 - at}", (10 - at) / 10) for at in range(10)]

    def test_more_than_a_window_comes_back_whole(self, ranking: Callable[..., Ranked]) -> None:
        found = ranking(TEXTS)
        assert [text for text, _ in found[:10]] == [f"text {at}" for at in range(29, 19, -1)]
        assert sorted(text for text, _ in found) == sorted(TEXTS)

    def test_the_best_few(self, ranking: Callable[..., Ranked]) -> None:
        assert ranking(TEXTS[:10], top=2) == [("text 9", 1.0), ("text 8", 0.9)]
        assert len(ranking(TEXTS[:3], top=9)) == 3

    def test_none_and_one(self, ranking: Callable[..., Ranked], server: ScriptedServer) -> None:
        assert ranking([]) == []
        assert ranking(["text 1"]) == [("text 1", 1.0)]
        assert server.asked == []

    def test_a_model_that_is_down_leaves_the_order(self, ranking: Callable[..., Ranked]) -> None:
        assert [text for text, _ in ranking(TEXTS[:5], query="DOWN")] == TEXTS[:5]

    def test_hostile_and_odd_texts_come_back_as_they_were(self, ranking: Callable[..., Ranked]) -> None:
        odd = ["", " ", "\x00\x1b[2J", "[1] > [2]", "é" * 10_000, "\ud800"]
        assert sorted(text for text, _ in ranking(odd)) == sorted(odd)

    def test_threads_and_loops_at_once(self, reranker: Reranker, server: ScriptedServer) -> None:
        with ThreadPoolExecutor(6) as threads:
            plain = [threads.submit(self.rank, reranker, TEXTS[:5], f"why {at}") for at in range(6)]
            loops = [
                threads.submit(asyncio.run, self.arank(reranker, TEXTS[:5], f"why not {at}")) for at in range(6)
            ]
            assert [each.result()[0] for each in (*plain, *loops)] == [("text 4", 1.0)] * 12
        assert len(server.asked) == 12

    def test_sync_inside_a_running_loop(self, reranker: Reranker) -> None:
        async def blocking() -> Ranked:
            return self.rank(reranker, TEXTS[:5])

        assert asyncio.run(blocking())[0] == ("text 4", 1.0)
