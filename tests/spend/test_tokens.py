from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from listwise.calls import Call, Message, Sampling
from listwise.spend import vocabularies
from listwise.spend.tokens import BY_BYTES, EARLIER_CLAUDE, LATER_CLAUDE, TokenCounter, counter_for
from listwise.spend.vocabularies import kept_file, vocabulary_of

PASSAGE = (
    "Photosynthesis is the process by which green plants turn sunlight, water and carbon dioxide into food. "
    "It takes place in the chloroplasts, and oxygen is given off as a by-product."
)


@pytest.mark.parametrize(
    ("name", "rung"),
    [
        ("openai/gpt-4o-mini", "exact"),
        ("openai/gpt-3.5-turbo", "exact"),
        ("openai/gpt-oss-20b", "exact"),
        ("anthropic/claude-sonnet-4-5", "family factor"),
        ("vllm/castorini/rank_zephyr_7b_v1_full", "bytes"),
        ("openai/some-local-model", "bytes"),
    ],
)
def test_the_rung_follows_the_family(name: str, rung: str) -> None:
    assert counter_for(name).rung == rung


@pytest.mark.parametrize(
    "model",
    [
        "claude-2.1",
        "claude-3-haiku-20240307",
        "claude-3-7-sonnet-latest",
        "claude-sonnet-4-20250514",
        "claude-opus-4-1-20250805",
        "claude-haiku-4-5",
        "claude-sonnet-4-5-20250929",
        "claude-opus-4-6",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "claude-sonnet-4@20250514",
    ],
)
def test_models_before_opus_4_7_have_the_earlier_tokenizer(model: str) -> None:
    assert counter_for(f"anthropic/{model}") is EARLIER_CLAUDE


@pytest.mark.parametrize(
    "model",
    [
        "claude-opus-4-7",
        "claude-opus-4-8",
        "claude-opus-4-10",
        "claude-sonnet-5",
        "claude-opus-5-20260801",
        "claude-fable-5",
        "claude-mythos-preview",
        "nobody-knows",
    ],
)
def test_later_and_unknown_models_have_the_later_one(model: str) -> None:
    assert counter_for(f"anthropic/{model}") is LATER_CLAUDE


def test_claude_counts_more_and_later_claude_more_still() -> None:
    exact = counter_for("openai/gpt-4o").bound(PASSAGE)
    assert EARLIER_CLAUDE.estimate(PASSAGE) == round(1.12 * exact)
    assert LATER_CLAUDE.estimate(PASSAGE) == round(1.55 * exact)
    for counter in (EARLIER_CLAUDE, LATER_CLAUDE):
        assert counter.estimate(PASSAGE) < counter.bound(PASSAGE) < 3 * counter.estimate(PASSAGE)


def counted_by_ctok() -> list[tuple[str, int, int]]:
    """Texts, and how many tokens they have by ctok 1.3.0 after a neutral character, on earlier models and later."""
    lines = Path(__file__).with_name("claude_counts.jsonl").read_text("utf-8").splitlines()
    return [(said["text"], said["earlier"], said["later"]) for said in map(json.loads, lines)]


@pytest.mark.parametrize(("text", "earlier", "later"), counted_by_ctok())
def test_claude_is_never_counted_too_low(text: str, earlier: int, later: int) -> None:
    assert EARLIER_CLAUDE.bound(text) >= earlier
    assert LATER_CLAUDE.bound(text) >= later


def test_a_bound_for_claude_is_not_much_too_high_for_prose() -> None:
    prose = [(text, later) for text, _, later in counted_by_ctok() if text.startswith("Photosynthesis")]
    assert prose
    assert all(LATER_CLAUDE.bound(text) < 2 * later for text, later in prose)


def test_claude_reads_composed_characters_so_decomposition_grows_no_bound() -> None:
    apart = unicodedata.normalize("NFD", "é" * 3 + " ü")
    assert LATER_CLAUDE.bound(apart) == LATER_CLAUDE.bound("ééé ü")


@given(st.text())
def test_bounds_are_never_below_the_exact_count(text: str) -> None:
    exact = counter_for("openai/gpt-4o").bound(text)
    assert counter_for("vllm/x").bound(text) >= exact
    assert LATER_CLAUDE.bound(text) >= counter_for("openai/gpt-4o").bound(unicodedata.normalize("NFC", text))


@given(st.text(), st.text(), st.sampled_from(["openai/gpt-4o", "openai/gpt-4"]))
def test_parts_bound_their_whole_but_for_a_few_tokens_at_the_seam(one: str, other: str, name: str) -> None:
    counter = counter_for(name)
    assert counter.bound(one + other) <= counter.bound(one) + counter.bound(other) + 4


@given(st.text())
def test_bytes_are_those_of_the_longest_form_that_a_model_may_read(text: str) -> None:
    forms = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFKC"))]
    assert BY_BYTES.bound(text) == max(len(form.encode()) for form in forms)


def test_a_character_that_grows_when_it_is_composed_is_counted_as_it_grows() -> None:
    assert BY_BYTES.bound("\N{MUSICAL SYMBOL ONE HUNDRED TWENTY-EIGHTH NOTE}") == 12
    assert BY_BYTES.bound("\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}") == 33


@given(st.text(), st.sampled_from(["openai/gpt-4o", "openai/gpt-4", "vllm/x"]))
def test_an_exact_count_is_its_own_estimate_and_no_bound_is_below_an_estimate(text: str, name: str) -> None:
    counter = counter_for(name)
    assert counter.estimate(text) <= counter.bound(text)
    assert counter.rung != "exact" or counter.estimate(text) == counter.bound(text)


@given(st.lists(st.text(max_size=50), max_size=5))
def test_a_call_is_bounded_by_its_messages_and_more(texts: list[str]) -> None:
    counter = counter_for("openai/gpt-4o")
    call = Call(tuple(Message("user", text) for text in texts), Sampling(10))
    count = counter.count(call)
    assert count.bound > sum(counter.bound(text) for text in texts)
    assert count.floor <= count.estimate <= count.bound
    assert counter.count(call) is count, "it is counted once"
    assert count.rung == "exact"
    assert counter.count(Call(call.messages, call.sampling, "order", 20)).bound > counter.count(call).bound


def test_an_estimate_of_a_call_is_what_openais_cookbook_counts() -> None:
    call = Call((Message("system", "hello world"), Message("user", "hello")), Sampling(10))
    assert counter_for("openai/gpt-4o").count(call).estimate == (3 + 1 + 2) + (3 + 1 + 1) + 3


SHORT = Call((Message("system", "X"), Message("user", "X")), Sampling(10))


def test_what_gpt_oss_says_before_every_prompt_is_bounded() -> None:
    written = (
        "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\n"
        "Knowledge cutoff: 2024-06\nCurrent date: 2026-09-28\n\nReasoning: medium\n\n"
        "# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>"
        "<|start|>developer<|message|># Instructions\n\nX\n\n<|end|><|start|>user<|message|>X<|end|>"
        "<|start|>assistant"
    )
    assert counter_for("openai/gpt-oss-20b").count(SHORT).bound >= 75
    marks_as_text = TokenCounter("o200k_base").bound(written)
    assert counter_for("openai/gpt-oss-20b").count(SHORT).bound >= marks_as_text


def test_a_template_that_is_not_known_may_begin_with_a_system_prompt_of_its_own() -> None:
    most_known = 1_233
    assert counter_for("vllm/x").count(SHORT).bound >= 2 + most_known
    assert counter_for("openai/some-local-model").count(SHORT).bound >= 2 + most_known
    assert counter_for("openai/gpt-4o").count(SHORT).bound < 30, "of OpenAI's own models the format is known"


def test_the_embedded_vocabulary_is_openais_own() -> None:
    assert counter_for("openai/gpt-4o").bound("hello world") == 2
    assert tiktoken.encoding_name_for_model("gpt-4o") == "o200k_base"
    assert tiktoken.encoding_name_for_model("gpt-4") == "cl100k_base"


def test_a_lone_surrogate_is_counted_all_the_same() -> None:
    for name in ("openai/gpt-4o", "anthropic/claude-opus-5", "vllm/x"):
        assert counter_for(name).bound("a\ud800b") >= 3


def test_a_very_long_text_is_counted() -> None:
    assert counter_for("openai/gpt-4o").bound("word " * 300_000) == pytest.approx(300_000, rel=0.01)


class TestVocabularies:
    @pytest.fixture(autouse=True)
    def _afresh(self) -> None:
        vocabularies._is_kept.cache_clear()
        vocabularies.encoding.cache_clear()

    @pytest.mark.parametrize("model", ["text-davinci-003", "davinci", "gpt2"])
    def test_one_that_would_be_downloaded_is_unknown(
        self, model: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
        assert vocabulary_of(model) is None

    def test_tiktokens_file_is_used_where_it_lies_whole(self, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
        ranks = b"aGVsbG8= 0\n"
        address = "https://openaipublic.blob.core.windows.net/encodings/p50k_base.tiktoken"
        (tmp_path / hashlib.sha1(address.encode()).hexdigest()).write_bytes(ranks)
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
        assert vocabulary_of("text-davinci-003") is None, "another file than tiktoken's own is not used"
        vocabularies._is_kept.cache_clear()
        monkeypatch.setitem(vocabularies._SHA256, "p50k_base", hashlib.sha256(ranks).hexdigest())
        assert vocabulary_of("text-davinci-003") == "p50k_base"
        assert kept_file("p50k_base", tmp_path) is not None

    def test_an_empty_folder_name_means_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
        assert vocabularies._folder() is None

    def test_the_older_variable_counts_where_the_newer_is_missing(
        self, tmp_path: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
        monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path))
        assert str(vocabularies._folder()) == str(tmp_path)
