"""Whether an answer says yes or no."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.permutation import Failure, parse_relevance

YES = [
    "Yes", "Yes.", "YES", "yes, because it says so", "**Yes**", "'Yes'", "Ｙｅｓ", "The passage is relevant: yes",
    "<think>no</think>Yes", '{"relevant": true}', "<answer>yes</answer>", "Answer 'Yes' or 'No': Yes",
    "The passage answers the query.", "The passage is relevant.", "The passage is highly relevant",
    "It mentions both.\n\nYes",
]  # fmt: skip
NO = [
    "No", "no", "No, it is about cats", "Answer: No", "not relevant", "Not relevant.", '{"relevant": "no"}',
    "The passage does not answer the query.", "The passage doesn't answer the query", "It is irrelevant",
    "Reasoning...\nNo", "The answer is no.", "There is no relevant information here.",
]  # fmt: skip
NEITHER: dict[str, Failure] = {
    "": "empty",
    "<think>no": "unfinished",
    "I'm sorry, I can't": "refused",
    "I cannot determine whether it is relevant": "refused",
    "Oui": "unreadable",
    "нет": "unreadable",
    "Yes or No": "unreadable",
    "Yes and no": "unreadable",
    "Maybe": "unreadable",
    "Y": "unreadable",
    "Norway": "unreadable",
    "Note: no information": "unreadable",
}


@pytest.mark.parametrize(("answer", "score"), [*((each, 1.0) for each in YES), *((each, -1.0) for each in NO)])
def test_verdicts_in_the_wild(answer: str, score: float) -> None:
    parsed = parse_relevance(answer)
    assert (parsed.scores, parsed.identifiers, parsed.form) == ((score,), (1,), "verdict")


@pytest.mark.parametrize(("answer", "failure"), NEITHER.items())
def test_what_says_neither(answer: str, failure: Failure) -> None:
    parsed = parse_relevance(answer)
    assert (parsed.failure, parsed.scores) == (failure, None)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["yes", "No", " ", ":", "\n", "not ", "relevant", "whether ", "true", "<think>", "."]),
            st.text(max_size=3),
        ),
        max_size=30,
    ).map("".join)
)
def test_any_answer_is_a_verdict_or_a_failure(answer: str) -> None:
    parsed = parse_relevance(answer)
    assert parsed.scores in ([None] if parsed.failure else [(-1.0,), (1.0,)])


@pytest.mark.parametrize("piece", ["no ", "is ", "whether ", ": ", "\n", "not ", "x ", "is a b ", "n't "])
def test_no_answer_takes_long_to_read(piece: str) -> None:
    answer = "q " + piece * (400_000 // len(piece))
    began = time.perf_counter()
    parse_relevance(answer)
    assert time.perf_counter() - began < 2
