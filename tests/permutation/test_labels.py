"""Which passage an answer names as the best, in all the ways that models say it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.calls import LABELS
from listwise.permutation import Failure, complete, parse_choice

N = 4

SAID = {
    "B": "B", "b": "B", "B\n": "B", "Passage B": "B", "passage a": "A", "Passage A.": "A", "A": "A", "[B]": "B",
    "(B)": "B", "B) because": "B", "**Passage B**": "B", "Passage: B": "B", "Passage [B]": "B", "Passage_B": "B",
    "passage-b": "B", "# B": "B", "Label: C": "C", "\\boxed{B}": "B", "Ｂ": "B", "【B】": "B", "It is A": "A",
    "The most relevant passage is B.": "B",
    "The most relevant passage to the query is **Passage B**.": "B",
    "The relevant passage is C": "C",
    "Passage B is more relevant than Passage A": "B",
    "Passage A is less relevant than Passage B.": "B",
    "A is the most relevant": "A",
    "Passage C provides the most direct answer.": "C",
    "Passage B is the most relevant passage, as it answers the query, while Passage A only mentions it.": "B",
    "Between Passage A and Passage B, the more relevant one is Passage B.": "B",
    "Passage A is not relevant. Passage B it is": "B",
    "Passage A: cats. Passage B: dogs. The answer is B": "B",
    "The answer is A because it says so": "A",
    "Output: Passage B": "B",
    "Answer: **B**": "B",
    "Output Passage A or Passage B: B": "B",
    "<answer>B</answer>": "B",
    "I would choose Passage B": "B",
    "I think it is passage b.": "B",
    "B. It explains why.": "B",
    "B, because Passage A only mentions it.": "B",
    "B > A": "B",
    "1. Passage B\n2. Passage A": "B",
    "Passage A talks about cats.\n\nB": "B",
    "<think>maybe A. Answer: A</think>B": "B",
    '{"label": "B"}': "B",
    '["B"]': "B",
    '{"answer": "Passage B", "reason": "Passage A is off"}': "B",
    '```json\n{"most_relevant": "B"}\n```': "B",
}  # fmt: skip

UNSAID: dict[str, Failure] = {
    "": "empty",
    " \n": "empty",
    "<think>hmm, A": "unfinished",
    "I'm sorry, I cannot do that.": "refused",
    "I cannot tell whether Passage A or Passage B is more relevant.": "refused",
    "A passage about cats": "unreadable",
    "the answer is a passage about dogs": "unreadable",
    "Passage A and Passage B are both good": "unreadable",
    "Neither Passage A nor Passage B answers it.": "unreadable",
    "None of the passages": "unreadable",
    "Both A and B.": "unreadable",
    "An article": "unreadable",
    "Passage Z": "unreadable",
    "I": "unreadable",
    "2": "unreadable",
    "Пассаж Б": "unreadable",
}


@pytest.mark.parametrize(("answer", "label"), SAID.items())
def test_labels_in_the_wild(answer: str, label: str) -> None:
    parsed = parse_choice(answer, N)
    assert [LABELS[identifier - 1] for identifier in parsed.identifiers] == [label]
    assert (parsed.form, parsed.scores, parsed.repairs) == ("label", None, {})
    others = [at for at in range(N) if at != LABELS.index(label)]
    assert complete(parsed) == (LABELS.index(label), *others), "the others follow as shown"


@pytest.mark.parametrize(("answer", "failure"), UNSAID.items())
def test_what_names_no_passage(answer: str, failure: Failure) -> None:
    parsed = parse_choice(answer, N)
    assert (parsed.failure, parsed.identifiers) == (failure, ())
    assert parsed.error is not None


@pytest.mark.parametrize("n", [1, 2, 9, 26])
def test_every_label_is_read_and_none_beyond_the_passages_shown(n: int) -> None:
    for at, label in enumerate(LABELS):
        for answer in (label, label.lower(), f"Passage {label}", f"The most relevant passage is {label}."):
            assert parse_choice(answer, n).identifiers == ((at + 1,) if at < n else ())


PIECES = st.sampled_from(
    ["A", "B", "c", "Passage ", "passage", " is ", "more relevant than ", "most relevant", "answer", ":", "\n", ".",
     "**", "[", "]", '"', "{", "}", "not ", "I cannot ", "<think>", "</think>", "<answer>", "</answer>", " or "]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=30).map("".join), st.integers(1, 40))
def test_any_answer_is_a_label_or_a_failure(answer: str, n: int) -> None:
    parsed = parse_choice(answer, n)
    assert (parsed.failure is None) == (len(parsed.identifiers) == 1)
    assert set(parsed.identifiers) <= set(range(1, n + 1))
    assert sorted(complete(parsed)) == list(range(n))


@pytest.mark.parametrize(
    "piece",
    ["A", "A ", "passage ", "most relevant ", "most relevant to x ", "is A more ", "best is ", "the ", " ", "[(",
     "\n", "*_", "answer: "],
)  # fmt: skip
def test_no_answer_takes_long_to_read(piece: str) -> None:
    answer = piece * (400_000 // len(piece))
    began = time.perf_counter()
    parse_choice(answer, 26)
    assert time.perf_counter() - began < 2
