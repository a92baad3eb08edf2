"""What is known of models by their names."""

from __future__ import annotations

import pytest

from listwise.models.families import traits_of


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("openai/gpt-4o", 128_000),
        ("openai/gpt-4", 8192),
        ("openai/ft:gpt-4o-mini-2024-07-18:me::abc", 128_000),
        ("openai/gpt-3.5-turbo", 16_385),
        ("openai/o3-mini", 200_000),
        ("openai/gpt-5-mini", 400_000),
        ("openai/gpt-6.9-unheard-of", 1_050_000),
        ("anthropic/claude-haiku-4-5", 200_000),
        ("anthropic/claude-unheard-of-4-2", 200_000),
        ("vllm/castorini/rank_zephyr_7b_v1_full", 4096),
        ("vllm/meta-llama/Llama-3.1-8B-Instruct", 131_072),
        ("vllm/meta-llama/Meta-Llama-3-8B", 8192),
        ("openai/smollm2", 8192),
        ("openai/my-own", None),
        ("vllm/llama-zero3-o1ive", None),
    ],
)
def test_contexts(name: str, tokens: int | None) -> None:
    assert traits_of(*name.split("/", 1)).context_tokens == tokens


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("openai/gpt-4.1", False),
        ("openai/gpt-5-chat-latest", False),
        ("openai/gpt-5.1", True),
        ("openai/o1", True),
        ("openai/gpt-oss-20b", True),
        ("anthropic/claude-sonnet-4-6", False),
        ("anthropic/claude-opus-4-8", False),
        ("anthropic/claude-sonnet-5", True),
        ("anthropic/claude-mythos-preview", True),
        ("vllm/Qwen/Qwen3-8B", True),
        ("vllm/Qwen/Qwen3-4B-Instruct-2507", False),
        ("vllm/deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", True),
        ("vllm/castorini/rank_zephyr_7b_v1_full", False),
    ],
)
def test_who_reasons_unasked(name: str, reasons: bool) -> None:
    assert traits_of(*name.split("/", 1)).reasons is reasons
