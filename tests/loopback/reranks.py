"""The answers of rerank APIs, as each vendor documents them."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import ceil
from typing import Any

from tests.loopback.turns import Asked, Said


def documents(asked: Asked) -> list[str]:
    found: list[str] = asked.body["texts" if asked.dialect == "tei" else "documents"]
    return found


def tokens(asked: Asked, count: Callable[[str], int]) -> int:
    """By Voyage's rule: those of the query with each document."""
    texts = documents(asked)
    return len(texts) * count(asked.body["query"]) + sum(map(count, texts))


def units(asked: Asked, said: Said) -> float:
    return ceil(len(documents(asked)) / 100) if said.search_units is None else said.search_units


def body(asked: Asked, said: Said, input_tokens: int) -> Any:
    """The best document first, as all of them answer; only so many as were asked for."""
    scores = json.loads(said.text)
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    most = asked.body.get("top_n", asked.body.get("top_k")) or len(order)
    ranks = [{"index": at, "relevance_score": scores[at]} for at in order[:most]]
    match asked.dialect:
        case "cohere":
            return {
                "id": "07734bd2-2473-4f07-94e1-0d9f0e6843cf",
                "results": ranks,
                "meta": {
                    "api_version": {"version": "2", "is_experimental": False},
                    "billed_units": {"search_units": units(asked, said)},
                },
            }
        case "voyage":
            return {
                "object": "list",
                "data": ranks,
                "model": said.model or asked.body["model"],
                "usage": {"total_tokens": input_tokens},
            }
        case "tei":
            return [{"index": rank["index"], "score": rank["relevance_score"]} for rank in ranks]
    return {
        "model": said.model or asked.body["model"],
        "object": "list",
        "usage": {"total_tokens": input_tokens, "prompt_tokens": input_tokens},
        "results": ranks,
    }
