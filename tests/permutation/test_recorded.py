"""Answers that real models gave, where the data is at hand."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from listwise.permutation import complete, parse


@pytest.fixture(scope="module")
def windows(data: Path) -> list[dict[str, Any]]:
    return _records(data / "responses" / "dl19.jsonl.gz")


@pytest.fixture(scope="module")
def reasoning(data: Path) -> list[dict[str, Any]]:
    return _records(data / "responses" / "gpt35_reasoning.jsonl.gz")


def _records(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_every_answer_becomes_a_permutation(windows: list[dict[str, Any]], reasoning: list[dict[str, Any]]) -> None:
    assert (len(windows), len(reasoning)) == (8643, 1377)
    for record in (*windows, *reasoning):
        n = record["num_passages"]
        assert sorted(complete(parse(record["response"], n))) == list(range(n))


def test_answers_without_identifiers_are_failures(windows: list[dict[str, Any]]) -> None:
    failed = Counter(r["model"] for r in windows if parse(r["response"], 20).failure)
    assert failed == {"vicuna-13b-v1.5": 1157, "vicuna-7b-v1.5": 3}
    counted = [r for r in windows if r["response"] == "20 passages are provided."]
    assert len(counted) == 660
    assert parse(counted[0]["response"], 20).failure == "unreadable"


def test_list_numbers_are_no_identifiers(windows: list[dict[str, Any]]) -> None:
    lists = [r["response"] for r in windows if re.match(r"1\. \[\d+\] > 2\. \[", r["response"])]
    assert any(answer.startswith("1. [4] > 2. [14]") for answer in lists)
    for answer in lists:
        bracketed = dict.fromkeys(map(int, re.findall(r"\[(\d+)\]", answer)))
        assert parse(answer, 20).identifiers == tuple(bracketed)


def test_answers_as_asked_need_no_repair(windows: list[dict[str, Any]]) -> None:
    asked = re.compile(r"\s*\[\d+\](?: > \[\d+\]){19}\s*")
    whole = [r for r in windows if asked.fullmatch(r["response"])]
    for record in whole:
        parsed = parse(record["response"], 20)
        named = [int(i) for i in re.findall(r"\d+", record["response"])]
        if sorted(named) == list(range(1, 21)):
            assert (parsed.identifiers, dict(parsed.repairs)) == (tuple(named), {})
        else:
            assert parsed.repairs["repeated"] == 20 - len(set(named) & set(range(1, 21))) - parsed.repairs.get(
                "out_of_range", 0
            )


def test_a_single_marked_span_is_what_counts(reasoning: list[dict[str, Any]]) -> None:
    span = re.compile(r"\[Start\]\s*((?:\[\d+\]\s*>?\s*)+)\[End\]")
    single = [
        r["response"] for r in reasoning if r["response"].count("[Start]") == 1 and span.search(r["response"])
    ]
    assert len(single) > 1000
    for answer in single:
        found = span.search(answer)
        assert found is not None
        named = dict.fromkeys(i for i in map(int, re.findall(r"\d+", found[1])) if 1 <= i <= 20)
        assert parse(answer, 20).identifiers == tuple(named)


def test_reasoning_without_a_ranking_fails(reasoning: list[dict[str, Any]]) -> None:
    failed = [r["response"] for r in reasoning if parse(r["response"], 20).failure]
    assert len(failed) == 16
    assert not any(re.search(r"\[\d", answer) for answer in failed)
