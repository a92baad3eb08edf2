from __future__ import annotations

import io
import random
import tarfile
import unicodedata
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from eval.benchmarks.bounds import Findings, Peer, claude_peers, openai_peers, run, tokenizer_peer
from eval.benchmarks.bounds_search import search
from eval.benchmarks.chat_templates import tokens as written
from eval.benchmarks.odd_texts import prompts
from eval.benchmarks.tiktoken_files import ranks, write
from listwise.calls import Call, Message, Sampling
from listwise.spend.tokens import TokenCounter
from listwise.spend.vocabularies import EMBEDDED


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
    for found in run(openai, 100, seed=1):
        assert found.prompts == 100
        assert found.violations == []
        assert min(found.looseness) >= 1
    exact = run(openai[:2], 100, seed=1)
    assert all(found.same == found.prompts - found.schemas > 0 for found in exact)


def test_no_bound_for_claude_is_below_ctoks_count() -> None:
    if not (claude := list(claude_peers())):
        pytest.skip("ctok is not installed: Claude's bounds are only checked against recorded counts")
    for found in run(claude, 60, seed=1):
        assert found.violations == []


def test_a_bound_that_is_too_low_is_found() -> None:
    findings = Findings(Peer("openai/gpt-4o", len, message=4, prompt=3))
    findings.check(TokenCounter("o200k_base"), Call((Message("user", "hello " * 50),), Sampling(1)))
    assert len(findings.violations) == 1
    assert "1 violations" in str(findings)


def test_the_same_seed_gives_the_same_prompts() -> None:
    one, same, other = (list(islice(prompts(random.Random(seed), 20), 20)) for seed in (1, 1, 2))
    assert one == same != other


def test_prompts_hold_what_is_odd() -> None:
    some = [message.content for call in prompts(random.Random(4), 300) for message in call.messages]
    assert any("\ud800" <= letter <= "\udfff" for content in some for letter in content), (
        "halves of surrogate pairs"
    )
    assert any(len(unicodedata.normalize("NFC", content)) > len(content) for content in some), "what grows composed"
    assert any(len(content) > 5_000 for content in some)
    assert any(len(call.messages) > 20 for call in prompts(random.Random(4), 300))


def test_ranks_of_js_tiktoken_become_tiktokens_lines() -> None:
    script = 'export default {"pat_str":"\\\\p{L}","bpe_ranks":"! 0 IQ== Ig==\\n! 5 Iw=="};'
    assert ranks(script) == b"IQ== 0\nIg== 1\nIw== 5\n"


def test_a_file_that_is_not_tiktokens_own_is_not_left_behind(tmp_path: Path) -> None:
    package = tmp_path / "js-tiktoken.tgz"
    script = b'export default {"bpe_ranks":"! 0 IQ=="};'
    with tarfile.open(package, "w:gz") as archive:
        for name in EMBEDDED:
            entry = tarfile.TarInfo(f"package/dist/ranks/{name}.js")
            entry.size = len(script)
            archive.addfile(entry, io.BytesIO(script))
    assert write(package, tmp_path / "out") == []
    assert list((tmp_path / "out").iterdir()) == []


def test_the_search_finds_a_text_that_is_counted_too_low() -> None:
    tried, found = search(lambda text: 10 - text.count("Q"), 0.5, random.Random(1))
    assert tried > 0
    assert found[0][0] < 10
    assert found[0][1].count("Q") == 10 - found[0][0]
    assert found == sorted(found)


def test_a_tokenizer_is_held_against_its_bytes_alone(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers

    vocabulary = {chr(0x2581): 0} | {f"<0x{byte:02X}>": byte + 1 for byte in range(256)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    peer = tokenizer_peer(tmp_path / "tokenizer.json")
    assert peer.text("é\ud800\N{MUSICAL SYMBOL ONE HUNDRED TWENTY-EIGHTH NOTE}") == 2 + 3 + 12
    (found,) = run([peer], 100, seed=2)
    assert found.violations == []


def test_what_a_chat_template_writes_is_what_is_beside_the_messages() -> None:
    rendered = "<|im_start|>user\nX<|im_end|>\n<|im_start|>assistant\n"
    marked, plain = written(rendered, ("user",))
    assert marked == 3 + 2 + 1 + 2  # three marks, "user" and its line end, a line end, "assistant" and its own
    assert plain > marked


def test_without_tiktokens_files_openai_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    assert list(openai_peers(tmp_path)) == []
