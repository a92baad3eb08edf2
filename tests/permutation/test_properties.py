"""Any string gives a valid permutation; a ranking written in any form is read back; long answers take no time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listwise.permutation import complete, parse

Write = Callable[[Sequence[int]], str]
CIRCLED = "①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"
FULL_WIDTH = str.maketrans("0123456789[]>", "０１２３４５６７８９［］＞")
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def chain(order: Sequence[int]) -> str:
    return " > ".join(f"[{i}]" for i in order)


def bare(order: Sequence[int]) -> str:
    return " > ".join(map(str, order))


def numbered(order: Sequence[int], line: str = "{place}. [{i}]", between: str = "\n") -> str:
    return between.join(line.format(place=place, i=i) for place, i in enumerate(order, start=1))


WAYS: dict[str, Write] = {
    "as asked": chain,
    "no spaces": lambda order: ">".join(f"[{i}]" for i in order),
    "commas": lambda order: ", ".join(f"[{i}]" for i in order),
    "spaces": lambda order: " ".join(f"[{i}]" for i in order),
    "lines": lambda order: "\n".join(f"[{i}]" for i in order),
    "ties": lambda order: " = ".join(f"[{i}]" for i in order),
    "bold": lambda order: " > ".join(f"**[{i}]**" for i in order),
    "bullets": lambda order: "\n".join(f"* [{i}]" for i in order),
    "list in a row": lambda order: numbered(order, between=" > "),
    "list": numbered,
    "list of bare numbers": lambda order: numbered(order, "{place}. {i}"),
    "list of passages": lambda order: numbered(order, "{place}. Passage {i}"),
    "places": lambda order: numbered(order, "Rank {place}: [{i}]"),
    "list with words": lambda order: numbered(order, "{place}. [{i}]: it answers the question in part"),
    "paragraphs": lambda order: numbered(order, "Passage [{i}] says much of it.", "\n\n"),
    "table": lambda order: numbered(order, "| {place} | [{i}] |"),
    "bare": bare,
    "bare commas": lambda order: ", ".join(map(str, order)),
    "bare lines": lambda order: "\n".join(map(str, order)),
    "bare after words": lambda order: f"The ranking is: {', '.join(map(str, order))}.",
    "parentheses": lambda order: " > ".join(f"({i})" for i in order),
    "first bracket lost": lambda order: chain(order)[1:],
    "both first brackets lost": lambda order: chain(order).replace("[", "", 1).replace("]", "", 1),
    "introduced": lambda order: f"Here are the {len(order)} passages: {chain(order)}",
    "explained": lambda order: f"{chain(order)}\n\nI put [{order[0]}] before [{order[-1]}] since it fits.",
    "span": lambda order: f"I compared [2] with [1].\n[Start] {chain(order)} [End] That was it.",
    "span without end": lambda order: f"I compared [2] with [1].\n[Start] {chain(order)} ",
    "answer tag": lambda order: f"<answer>{chain(order)}</answer>",
    "thinking": lambda order: f"<think>[1] > [2]? No. {chain(order[::-1])}</think>\n{chain(order)}",
    "loop": lambda order: " > ".join([chain(order)] * 3),
    "full width": lambda order: chain(order).translate(FULL_WIDTH),
    "superscript": lambda order: bare(order).translate(SUPERSCRIPT),
    "circled": lambda order: " ".join(CIRCLED[i - 1] for i in order),
    "letters": lambda order: " > ".join(chr(ord("A") + i - 1) for i in order),
    "bracketed letters": lambda order: " > ".join(f"[{chr(ord('A') + i - 1)}]" for i in order),
    "array": lambda order: json.dumps(list(order)),
    "array of strings": lambda order: json.dumps([f"[{i}]" for i in order]),
    "object": lambda order: json.dumps({"order": list(order)}),
    "unknown key": lambda order: json.dumps({"passages": [str(i) for i in order]}, indent=8),
    "objects": lambda order: json.dumps([{"id": i, "why": "it mentions [1] > [2]"} for i in order]),
    "ranks": lambda order: json.dumps([{"id": i, "rank": order.index(i) + 1} for i in sorted(order)]),
    "places to identifiers": lambda order: json.dumps({str(p): i for p, i in enumerate(order, start=1)}),
    "chain in an object": lambda order: json.dumps({"ranking": chain(order)}),
    "fence": lambda order: f"```json\n{json.dumps({'ranking': list(order)})}\n```\nI am sure of [1].",
    "tool arguments": lambda order: json.dumps({"name": "f", "arguments": json.dumps({"order": list(order)})}),
    "cut off object": lambda order: json.dumps({"order": [*order, 0]})[:-4],
}

orders = st.integers(2, 20).flatmap(lambda n: st.permutations(range(1, n + 1)))
pieces = st.one_of(
    st.sampled_from("[]{}\"':,>=- \n\\③［²½１ABa012\0\u202e\ud800"),
    st.sampled_from(["...", "13", "1.", "7/10", "9" * 30, "[3]", "order", "id", "passage ", "Rank 1", "score: 4"]),
    st.sampled_from(["<think>", "</think>", "[Start]", "[End]", "```json", "```", '{"order": [', "I cannot "]),
)
answers = st.one_of(st.text(), st.lists(pieces, max_size=40).map("".join))


@given(answers, st.integers(0, 30))
def test_any_answer_gives_a_valid_permutation(answer: str, n: int) -> None:
    parsed = parse(answer, n)
    assert sorted(complete(parsed)) == list(range(n))
    assert len(set(parsed.identifiers)) == len(parsed.identifiers)
    assert all(1 <= identifier <= n for identifier in parsed.identifiers)
    assert bool(parsed.identifiers) == (parsed.failure is None)
    assert all(count > 0 for count in parsed.repairs.values())


@pytest.mark.parametrize("way", WAYS)
@given(order=orders)
def test_a_ranking_is_read_back_however_it_is_written(way: str, order: list[int]) -> None:
    parsed = parse(WAYS[way](order), len(order))
    assert parsed.identifiers == tuple(order)
    assert complete(parsed) == tuple(identifier - 1 for identifier in order)


@given(st.lists(st.integers(0, 25), min_size=1), st.integers(1, 20))
def test_the_short_way_reads_what_the_long_way_reads(numbers: list[int], n: int) -> None:
    """An invisible character, which is dropped, makes an answer take the long way."""
    assert parse(chain(numbers), n) == parse(f"\u200b{chain(numbers)}", n)


@given(answers, st.integers(1, 30))
def test_reading_what_was_read_changes_nothing(answer: str, n: int) -> None:
    first = parse(answer, n)
    again = parse(chain(first.identifiers), n)
    assert again.identifiers == first.identifiers
    assert set(again.repairs) <= {"missing"}
    assert complete(again) == complete(first)


@given(answers, orders)
def test_what_is_not_named_keeps_its_prior_order(answer: str, prior: list[int]) -> None:
    positions = [identifier - 1 for identifier in prior]
    parsed = parse(answer, len(prior))
    named = len(parsed.identifiers)
    ranking = complete(parsed, positions)
    assert ranking[:named] == tuple(identifier - 1 for identifier in parsed.identifiers)
    assert list(ranking[named:]) == [position for position in positions if position not in ranking[:named]]


MILLION = 1_000_000
LONG = {
    "open brackets": "[" * MILLION,
    "spread brackets": "[  " * (MILLION // 3),
    "open thoughts": "<think>" * (MILLION // 7),
    "empty thoughts": "<think></think>" * (MILLION // 15),
    "open spans": "[Start]" * (MILLION // 7),
    "spans": "[Start] [1] [End] " * (MILLION // 18),
    "deep arrays": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "deep strings": '{"a":"{\\"a\\":' * (MILLION // 13),
    "open objects": '{"a' * (MILLION // 3),
    "array in an object": '{"order":[' + "1," * (MILLION // 2),
    "objects": "[" + '{"id":3},' * (MILLION // 9),
    "quotes": '{"' + "\"'" * (MILLION // 2),
    "backslashes": '{"' + "\\" * MILLION,
    "one number": "9" * MILLION,
    "numbers": "1 " * (MILLION // 2),
    "numbers among words": "w 1 " * (MILLION // 4),
    "decimals": "1." * (MILLION // 2),
    "identifiers": "[1]" * (MILLION // 3),
    "open identifiers": "[1" * (MILLION // 2),
    "lines": "[1] word\n" * (MILLION // 9),
    "ratings": "[1] score 3 score " * (MILLION // 18),
    "names": "passage " * (MILLION // 8),
    "letters": "A > B > " * (MILLION // 8),
    "circled": "①" * MILLION,
    "dashes": "-" * MILLION,
    "newlines": "x" + "\n" * MILLION,
}


@pytest.mark.parametrize("kind", LONG)
def test_a_million_characters_take_linear_time(kind: str) -> None:
    """A quadratic step would take minutes; this takes a fraction of a second on an idle machine."""
    started = time.process_time()
    assert sorted(complete(parse(LONG[kind], 20))) == list(range(20))
    assert time.process_time() - started < 3


def test_a_ranking_before_or_after_a_million_characters_is_read() -> None:
    noise = "so much to say about it. " * (MILLION // 25)
    assert parse(f"[2] > [3] > [1]\n{noise}", 3).identifiers == (2, 3, 1)
    assert parse(f"{noise}\n[2] > [3] > [1]", 3).identifiers == (2, 3, 1)
    assert parse(f"<think>{noise} [1]</think>[2] > [3] > [1]", 3).identifiers == (2, 3, 1)
    assert parse("[2] > [3] > [1] > " * (MILLION // 18), 3).identifiers == (2, 3, 1)


def test_very_many_passages() -> None:
    order = range(100_000, 0, -1)
    assert parse(chain(order), 100_000).identifiers == tuple(order)
