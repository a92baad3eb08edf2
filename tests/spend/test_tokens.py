from __future__ import annotations

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from listwise.calls import Call, Message, Sampling
from listwise.spend.tokens import counter_for


@pytest.mark.parametrize(
    ("name", "rung"),
    [
        ("openai/gpt-4o-mini", "exact"),
        ("openai/gpt-3.5-turbo", "exact"),
        ("anthropic/claude-sonnet-4-5", "family factor"),
        ("vllm/castorini/rank_zephyr_7b_v1_full", "bytes"),
        ("openai/some-local-model", "bytes"),
    ],
)
def test_the_rung_follows_the_family(name: str, rung: str) -> None:
    assert counter_for(name).rung == rung


@given(st.text())
def test_bounds_are_never_below_the_exact_count(text: str) -> None:
    exact = counter_for("openai/gpt-4o").bound(text)
    assert counter_for("anthropic/claude-x").bound(text) >= exact
    assert counter_for("vllm/x").bound(text) >= exact


@given(st.lists(st.text(max_size=50), max_size=5))
def test_a_call_is_bounded_by_its_messages_and_more(texts: list[str]) -> None:
    counter = counter_for("openai/gpt-4o")
    call = Call(tuple(Message("user", text) for text in texts), Sampling(10))
    assert counter.call_bound(call) > sum(counter.bound(text) for text in texts)
    assert counter.call_bound(Call(call.messages, call.sampling, "order", 20)) > counter.call_bound(call)


def test_the_embedded_vocabulary_is_openais_own() -> None:
    assert counter_for("openai/gpt-4o").bound("hello world") == 2
    assert tiktoken.encoding_name_for_model("gpt-4o") == "o200k_base"
    assert tiktoken.encoding_name_for_model("gpt-4") == "cl100k_base"
