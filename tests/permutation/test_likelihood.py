"""Orders and verdicts out of log-probabilities, however a server spells its tokens and whatever its numbers."""

from __future__ import annotations

from math import exp, isfinite, log

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from listwise.calls import LABELS
from listwise.permutation import complete, parse_choice, parse_first, parse_relevance

NAN, INF = float("nan"), float("inf")


def test_labels_are_ordered_by_their_log_probabilities() -> None:
    parsed = parse_first([{"C": -0.1, "A": -3.0, "B": -5.0}], 3)
    assert parsed.identifiers == (3, 1, 2)
    assert parsed.scores == pytest.approx((-3.0, -5.0, -0.1))
    assert (parsed.form, parsed.repairs) == ("logprobs", {})


def test_all_spellings_of_a_label_are_added_up() -> None:
    spelt = ["B", " B", "▁B", "ĠB", "[B", "B]", "b", "**B", "B.", "Ｂ"]
    parsed = parse_first([{**{token: log(0.05) for token in spelt}, "A": log(0.4)}], 2)
    assert parsed.identifiers == (2, 1)
    assert parsed.scores == pytest.approx((log(0.4), log(0.5)))


def test_labels_that_are_not_among_the_alternatives_follow_as_shown() -> None:
    parsed = parse_first([{"D": -0.2, "the": -2.5, "B": -3.0}], 5)
    assert parsed.identifiers == (4, 2, 1, 3, 5)
    assert parsed.scores is not None
    assert parsed.scores[0] == parsed.scores[2] == parsed.scores[4] == pytest.approx(-3.0 - log(2))
    assert parsed.repairs == {"missing": 3}


@pytest.mark.parametrize(
    "before",
    [
        [{"[": -0.01, "A": -5.0}],
        [{"Passage": -0.3, "B": -3.0, "A": -3.1}],
        [{"[": -0.1}, {"<": -0.2, "A": -4.0}, {" ": -0.0}],
        [{"**": -0.01}, {"Passage": -0.01}],
    ],
)
def test_the_label_may_come_after_other_tokens(before: list[dict[str, float]]) -> None:
    after = [{"]": -0.1}, {" >": -0.1}, {" [": -0.1}, {"A": -0.01}]
    assert parse_first([*before, {"C": -0.2, "B": -2.0}, *after], 3).identifiers == (3, 2, 1)


def test_labels_split_in_pieces_or_longer_words_are_none() -> None:
    assert parse_first([{"Because": -0.1, "AB": -1.0, "An": -2.0}], 3).failure == "unreadable"
    assert parse_relevance("Ye", [{"Ye": -0.1, "Y": -2.0, "Not": -3.0}]).failure == "unreadable"


def test_a_server_without_log_probabilities_is_told_from_one_that_names_no_label() -> None:
    unweighed = parse_first(None, 3)
    assert unweighed.failure == "unweighed"
    assert str(unweighed.error).startswith("the server gives no log-probabilities: ")
    for likely in ({}, {"I": -0.1, "Sorry": -2.0}, {"A": -20.0, "Okay": -0.0}):
        assert parse_first([likely], 3).failure == "unreadable"


def test_a_choice_by_log_probabilities_grades_all_passages() -> None:
    parsed = parse_choice("A", 3, [{"A": log(0.5), "C": log(0.3), "B": log(0.2)}])
    assert parsed.identifiers == (1, 3, 2)
    assert parsed.scores == pytest.approx((log(0.5), log(0.2), log(0.3)))


def test_log_probabilities_that_settle_nothing_yield_to_what_the_text_names() -> None:
    prose = [{"The": log(0.9), "A": log(0.04), "B": log(0.02)}, {"most": -0.1}]
    assert parse_choice("The most relevant passage is B", 2, prose).identifiers == (2,)
    assert parse_choice("The passages are alike", 2, prose).identifiers == (1, 2)
    assert parse_choice("The most relevant passage is B", 2, [*prose, {"A": -0.1}]).identifiers == (1, 2)


def test_a_refusal_is_none_the_less_one_for_a_trace_of_a_label() -> None:
    sorry = [{"I": log(0.9), "A": log(0.05), "No": log(0.04)}]
    assert parse_choice("I cannot say.", 2, sorry).failure == "refused"
    assert parse_relevance("I cannot say.", sorry).failure == "refused"


@pytest.mark.parametrize("leading", [None, [], [{}], [{"Sorry": -0.1}], [{"A": NAN}], [{"A": 5.0}]])
def test_without_them_a_choice_and_a_verdict_are_read_from_the_text(leading: list[dict[str, float]] | None) -> None:
    assert parse_choice("Passage B", 2, leading).form == "label"
    assert parse_relevance("Yes.", leading).scores == (1.0,)


def test_what_was_thought_aloud_is_no_answer() -> None:
    thought = [{"A": -0.1}]
    assert parse_choice("<think>A?</think>B", 2, thought).identifiers == (2,)
    assert parse_relevance("<think>Yes?</think>No", [{"Yes": -0.1}]).scores == (-1.0,)


def test_relevance_is_the_log_odds_of_yes_against_no() -> None:
    likely = {" Yes": log(0.3), "YES": log(0.1), "yes.": log(0.2), "No": log(0.2), "▁no": log(0.1), "Not": log(0.1)}
    assert parse_relevance("Yes", [likely]).scores == pytest.approx((log(0.6 / 0.3),))
    assert parse_relevance("No", [{"No": log(0.9), "Yes": log(0.1)}]).scores == pytest.approx((log(0.1 / 0.9),))


def test_a_word_that_is_not_named_is_less_likely_than_all_that_are() -> None:
    (score,) = parse_relevance("Yes", [{"Yes": -0.1, "Maybe": -4.0}]).scores or ()
    assert score == pytest.approx(-0.1 + 4.0 + log(2))


TOKENS = st.one_of(
    st.sampled_from(["A", "B", " C", "▁d", "[E", "Yes", " no", "[", "", "Passage", "\u0120A"]), st.text(max_size=3)
)
NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, -1.0, -9999.0, NAN, INF, -INF, 1.0, 1e308, -1e308, -5e-324]),
    st.floats(),
    st.floats(-30, 0),
)
LEADING = st.lists(st.dictionaries(TOKENS, NUMBERS, max_size=8), max_size=4)


@given(LEADING, st.integers(1, 30), st.text(max_size=5))
@example([{"A": 0.0, " A": 0.0, "B": -1e308}], 2, "")
def test_whatever_the_numbers_there_is_a_permutation_or_a_failure(
    leading: list[dict[str, float]], n: int, text: str
) -> None:
    for parsed in (parse_first(leading, n), parse_choice(text, n, leading)):
        assert sorted(complete(parsed)) == list(range(n))
        if parsed.scores is not None:
            assert len(parsed.scores) == n
            assert all(map(isfinite, parsed.scores))
            scores = [parsed.scores[at] for at in complete(parsed)]
            assert scores == sorted(scores, reverse=True)
    relevance = parse_relevance(text, leading)
    assert (relevance.scores is None) == (relevance.failure is not None)
    assert all(map(isfinite, relevance.scores or ()))


@given(st.integers(1, 20).flatmap(lambda n: st.permutations(range(n))), st.integers(0, 3))
def test_any_order_is_read_back(order: list[int], before: int) -> None:
    likely = {f" {LABELS[at]}": log(0.5 ** (place + 1)) for place, at in enumerate(order)}
    assert sum(map(exp, likely.values())) >= 0.5
    parsed = parse_first([{"[": -0.01}] * before + [likely], len(order))
    assert complete(parsed) == tuple(order)
