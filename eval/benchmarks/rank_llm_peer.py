"""Re-ranks a file of requests with rank_llm's own OpenAI client; runs in the peer's environment, not in ours.

For OpenAI models rank_llm 0.26 offers two ways: ``rerank_batch``, which runs whole queries in ``batch_size``
threads, and ``rerank_async``, which runs them in asyncio's default thread pool (six threads on two cores, whatever
``batch_size`` says). The first is the faster and is what runs here, with ``batch_size`` as the concurrency.

Usage: python rank_llm_peer.py REQUESTS.jsonl BASE_URL CONCURRENCY
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

CONTEXT_TOKENS = 128_000
"""GPT-4o's. With rank_llm's default of 4,096 every prompt would be rendered again and again, shorter each time."""


def use_vocabulary_of_litellm() -> None:
    """Have tiktoken read cl100k_base from where litellm keeps it, as there is no network to get it from."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        sys.exit("the peer's environment lacks litellm, see rank_llm-requirements.txt")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(spec.origin).parent / "litellm_core_utils" / "tokenizers")


def coordinator(base_url: str, concurrency: int) -> Any:
    """rank_llm's OpenAI client, warmed up: what it loads once is not charged to its calls."""
    import rank_llm  # type: ignore[import-not-found]
    from rank_llm.rerank.listwise import SafeOpenai  # type: ignore[import-not-found]

    templates = Path(rank_llm.__file__).parent / "rerank" / "prompt_templates"
    client = SafeOpenai(
        model="gpt-4o",
        context_size=CONTEXT_TOKENS,
        prompt_template_path=str(templates / "rank_gpt_template.yaml"),
        window_size=20,
        stride=10,
        batch_size=concurrency,
        keys="loopback",
        base_url=f"{base_url}/",
    )
    client.num_output_tokens()
    return client


def main(requests_file: str, base_url: str, concurrency: str) -> None:
    """Re-rank, and check that every passage is still there."""
    use_vocabulary_of_litellm()
    from rank_llm.data import read_requests_from_file  # type: ignore[import-not-found]

    client = coordinator(base_url, int(concurrency))
    requests = read_requests_from_file(requests_file)
    for request, ranked in zip(requests, client.rerank_batch(requests, rank_end=100), strict=True):
        if {each.docid for each in request.candidates} != {each.docid for each in ranked.candidates}:
            sys.exit(f"rank_llm lost passages of query {request.query.qid}")


if __name__ == "__main__":
    main(*sys.argv[1:])
