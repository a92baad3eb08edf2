"""The key, the stored form, and what its checksum tells apart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.cache import StoredAnswer, cache_key
from listwise.cache.answers import readable, sealed, unsealed
from listwise.calls import Call, Completion, Identity, Message, Sampling
from listwise.types import Usage
from tests.cache.samples import ANSWER, MODEL

IDENTITY = Identity("openai", "gpt-4o", "https://api.openai.com/v1")
CALL = Call((Message("user", "rank"),), Sampling(100), passages=3)


@given(st.text(), st.lists(st.integers(0, 2**40), min_size=6, max_size=6), st.text(), st.text())
def test_any_text_survives_the_stored_form(text: str, counts: list[int], tier: str, served_by: str) -> None:
    completion = Completion(text, Usage(*counts, service_tier=tier), served_by, "length")
    stored = StoredAnswer.of(completion).model_dump_json()
    assert StoredAnswer.model_validate_json(stored).completion() == completion


def test_answers_from_before_there_were_service_tiers_are_read() -> None:
    stored = b"""{"version":1,"text":"[2] > [1] > [3]","usage":{"input_tokens":10,"cached_input_tokens":4,
        "cache_write_tokens":2,"output_tokens":6,"reasoning_tokens":1},"served_by":"gpt-4o-2024","finish":"stop"}"""
    assert readable(stored) == ANSWER


@given(st.text(), st.lists(st.dictionaries(st.text(), st.floats(max_value=0, allow_infinity=False), max_size=3)))
def test_alternatives_survive_the_stored_form(text: str, leading: list[dict[str, float]]) -> None:
    answer = replace(ANSWER, text=text, leading=tuple(leading))
    assert readable(StoredAnswer.of(answer).model_dump_json().encode()) == answer


def test_answers_without_alternatives_are_stored_as_before_there_were_any() -> None:
    row = sealed("key", ANSWER, MODEL, 0.0)
    assert set(json.loads(row.value)) == {"version", "text", "usage", "served_by", "finish"}
    weighed = sealed("key", replace(ANSWER, leading=({"B": -0.5},)), MODEL, 0.0)
    assert json.loads(weighed.value)["leading"] == [{"B": -0.5}]


def test_the_key_is_canonical_and_complete() -> None:
    assert cache_key(IDENTITY, CALL) == cache_key(IDENTITY, replace(CALL))
    assert len(cache_key(IDENTITY, CALL)) == 64
    others = [
        cache_key(replace(IDENTITY, base_url="http://localhost/v1"), CALL),
        cache_key(replace(IDENTITY, provider="vllm"), CALL),
        cache_key(replace(IDENTITY, model="gpt-4"), CALL),
        cache_key(replace(IDENTITY, interface="responses"), CALL),
        cache_key(IDENTITY, replace(CALL, messages=(Message("system", "rank"),))),
        cache_key(IDENTITY, replace(CALL, form="order")),
        cache_key(IDENTITY, replace(CALL, passages=4)),
        cache_key(IDENTITY, replace(CALL, sample=1)),
        cache_key(IDENTITY, replace(CALL, sampling=Sampling(101))),
        cache_key(IDENTITY, replace(CALL, sampling=Sampling(100, temperature=None))),
        cache_key(IDENTITY, replace(CALL, sampling=Sampling(100, reasoning_effort="low"))),
        cache_key(IDENTITY, replace(CALL, sampling=Sampling(100, seed=0))),
    ]
    assert len({cache_key(IDENTITY, CALL), *others}) == len(others) + 1


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_one_flipped_bit_is_seen_wherever_it_is(at: int, bit: int) -> None:
    row = sealed("key", ANSWER, MODEL, 0.0)
    parts = [row.model.encode(), row.value.encode(), row.checksum]
    assert unsealed(b"key", *parts) == ANSWER
    whole = bytearray(b"".join(parts))
    whole[at % len(whole)] ^= 1 << bit
    first, second = len(parts[0]), len(parts[0]) + len(parts[1])
    flipped = bytes(whole)
    assert unsealed(b"key", flipped[:first], flipped[first:second], flipped[second:]) is None


@given(st.integers(0, 10**6))
def test_a_text_that_was_cut_is_seen(at: int) -> None:
    row = sealed("key", ANSWER, MODEL, 0.0)
    value = row.value.encode()
    assert unsealed(b"key", row.model.encode(), value[: at % len(value)], row.checksum) is None


def test_a_value_counts_only_for_its_own_key_and_model() -> None:
    row = sealed("key", ANSWER, MODEL, 0.0)
    assert unsealed(b"other", row.model.encode(), row.value.encode(), row.checksum) is None
    assert unsealed(b"key", b"openai/other", row.value.encode(), row.checksum) is None


@pytest.mark.parametrize("value", [None, 1, 1.5, "text"])
def test_a_value_that_is_no_bytes_is_none(value: object) -> None:
    row = sealed("key", ANSWER, MODEL, 0.0)
    assert unsealed(b"key", row.model.encode(), value, row.checksum) is None
    assert unsealed(b"key", value, row.value.encode(), row.checksum) is None
    assert unsealed(b"key", row.model.encode(), row.value.encode(), value) is None
