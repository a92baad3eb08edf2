from __future__ import annotations

import random
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from eval.benchmarks.bounds import Findings, Peer, claude_peers, openai_peers, run
from eval.benchmarks.odd_texts import prompts
from listwise.calls import Call, Message, Sampling
from listwise.spend.tokens import TokenCounter


def embedded(vocabulary: str) -> Callable[[str], int]:
    import bpe_openai

    encoding = bpe_openai.get_encoding(vocabulary)
    return lambda text: len(encoding.encode_ordinary(text))


def test_no_bound_is_below_the_exact_count() -> None:
    openai = [
        Peer("openai/gpt-3.5-turbo", embedded("cl100k_base"), message=4, prompt=3),
        Peer("openai/gpt-4o", embedded("o200k_base"), message=4, prompt=3),
        Peer("vllm/any", embedded("o200k_base"), message=4, prompt=3),
    ]
    for found in run([*openai, *claude_peers()], 60, seed=1):
        assert found.prompts == 60
        assert found.violations == []
        assert min(found.looseness) >= 1


def test_a_bound_that_is_too_low_is_found() -> None:
    findings = Findings(Peer("openai/gpt-4o", len, message=4, prompt=3))
    findings.check(TokenCounter("o200k_base"), Call((Message("user", "hello " * 50),), Sampling(1)))
    assert len(findings.violations) == 1
    assert "1 violations" in str(findings)


def test_the_same_seed_gives_the_same_prompts() -> None:
    one, same, other = (list(islice(prompts(random.Random(seed), 20), 20)) for seed in (1, 1, 2))
    assert one == same != other
    "".join(message.content for call in one for message in call.messages).encode()  # holds no surrogate


def test_without_tiktokens_files_openai_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    assert list(openai_peers(tmp_path)) == []
