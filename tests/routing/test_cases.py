"""Files of cases: what is written is read, and what is no case is said where it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.errors import InputError
from listwise.routing.cases import Case, Outcome, read_cases, write_cases
from listwise.routing.offers import Option

six_digits = st.integers(-(10**9), 10**9).map(lambda whole: whole / 10**6)
measured = st.integers(0, 10**6).map(lambda whole: whole / 10**6)
options = st.builds(Option, st.sampled_from(["llm", "openai/gpt-4o"]), st.integers(1, 1000), st.integers(1, 9))
outcomes = st.lists(
    st.builds(Outcome, options, measured, st.integers(0, 10**12), st.none() | measured),
    min_size=1,
    max_size=4,
    unique_by=lambda outcome: outcome.option,
).map(tuple)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
cases = st.builds(
    Case,
    words,
    st.dictionaries(words, six_digits, max_size=4),
    measured,
    outcomes,
    words,
    words,
    st.integers(1, 10**9).map(lambda whole: whole / 10**6),
)


@given(st.lists(cases, max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, written: list[Case]) -> None:
    path = tmp_path_factory.mktemp("cases") / "cases.jsonl"
    write_cases(path, written)
    assert read_cases(path) == written


def line(**changes: Any) -> dict[str, Any]:
    usual = {"qid": "1", "signals": {"margin": 0.2}, "local": 0.5, "options": [{"depth": 20, "ndcg": 0.75}]}
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def test_what_a_line_may_leave_out_has_its_usual_value(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text("\n" + json.dumps(line()) + "\n\n")
    [case] = read_cases(path)
    assert case == Case("1", {"margin": 0.2}, 0.5, (Outcome(Option("llm", 20, 1), 0.75, 0),), "", "", 1.0)
    assert case.gain(case.outcomes[0]) == 0.25
    assert case.query == ("", "1")


def option(**changes: Any) -> list[dict[str, Any]]:
    return [{"depth": 20, "ndcg": 0.75, **changes}]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("{", "Expecting"),
        ("[]", "list"),
        ("null", "not subscriptable"),
        ("[" * 100_000, "recursion"),
        (line(qid=...), "lacks 'qid'"),
        (line(options=...), "lacks 'options'"),
        (line(options=[]), "a case has options, each once"),
        (line(options=option() * 2), "a case has options, each once"),
        (line(options=option(depth=0)), "depth is 0: no whole number from 1 on"),
        (line(options=option(depth="20")), "depth is '20'"),
        (line(options=option(depth=True)), "depth is True"),
        (line(options=option(votes=0.5)), "votes is 0.5"),
        (line(options=option(nano_usd=-1)), "nano_usd is -1: no whole number from 0 on"),
        (line(options=option(nano_usd=float("inf"))), "nano_usd is inf"),
        (line(options=option(ndcg=float("nan"))), "ndcg is nan: no number"),
        (line(options=option(ndcg=10**400)), "no number from 0 to 1"),
        (line(options=option(ndcg=7)), "ndcg is 7: no number from 0 to 1"),
        (line(options=option(disagreement=1.5)), "disagreement is 1.5: no number from 0 to 1"),
        (line(local=-0.1), "local is -0.1: no number from 0 to 1"),
        (line(signals={"margin": 1e300}), "margin is 1e+300"),
        (line(weight=1e300), "weight is 1e+300"),
        (line(weight=1e-300), "weight is 1e-300"),
        (line(local=None), "local is None"),
        (line(signals={"margin": "high"}), "margin is 'high'"),
        (line(signals=[1]), "items"),
        (line(weight=0), "weight is 0"),
    ],
)
def test_a_line_that_is_no_case_is_said_with_file_and_number(tmp_path: Path, bad: Any, why: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(line()) + "\n" + (bad if isinstance(bad, str) else json.dumps(bad)) + "\n")
    with pytest.raises(InputError) as caught:
        read_cases(path)
    assert str(caught.value).startswith(f"{path}:2: not a routing case: ")
    assert why in str(caught.value)
    assert (caught.value.path, caught.value.line) == (path, 2)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.jsonl").write_bytes(b'{"qid": "\xe9"}')
    for name in ("none.jsonl", "latin.jsonl"):
        with pytest.raises(InputError, match=rf"{name}: cannot be read: "):
            read_cases(tmp_path / name)
