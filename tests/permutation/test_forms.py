"""A table of answers, each with what a sensible human reads in it."""

from __future__ import annotations

import pytest

from listwise.errors import Refused, Unreadable
from listwise.permutation import Failure, Parsed, complete, parse

RANKINGS: list[tuple[str, int, tuple[int, ...]]] = [
    # as asked
    ("[2] > [1] > [3]", 3, (2, 1, 3)),
    ("\n[2] > [1] > [3]\n", 3, (2, 1, 3)),
    ("[2]>[1]>[3]", 3, (2, 1, 3)),
    # brackets lost
    ("4] > [3] > [1]", 20, (4, 3, 1)),
    ("11 > [12] > [3]", 20, (11, 12, 3)),
    ("[19 > [3] > [2]", 20, (19, 3, 2)),
    ("3 > 1 > 2", 3, (3, 1, 2)),
    ("(3) > (1) > (2)", 3, (3, 1, 2)),
    # numbers that are no identifiers
    ("1. [4] > 2. [14]", 20, (4, 14)),
    ("1. [4] > 2. [14] > 3. [12]", 20, (4, 14, 12)),
    ("1) [3] 2) [1] 3) [2]", 3, (3, 1, 2)),
    ("1. 3\n2. 1\n3. 2", 3, (3, 1, 2)),
    ("1. 3\n2. 1\n3.", 3, (3, 1)),
    ("3) 1) 2)", 3, (3, 1, 2)),
    ("Rank 1: [3]\nRank 2: [1]\nRank 3: [2]", 3, (3, 1, 2)),
    ("Here are the 3 passages: [2] > [1] > [3]", 3, (2, 1, 3)),
    ("100% of the passages are included. [11] > [12] > [2]", 20, (11, 12, 2)),
    ("[3] - Score: 9\n[1] - Score: 2", 3, (3, 1)),
    ("| Rank | Passage |\n|---|---|\n| 1 | [3] |\n| 2 | [1] |", 3, (3, 1)),
    # other separators
    ("[3], [1], [2]", 3, (3, 1, 2)),
    ("[3] [1] [2]", 3, (3, 1, 2)),
    ("3, 1, 2", 3, (3, 1, 2)),
    ("3\n1\n2", 3, (3, 1, 2)),
    ("[3] = [1] > [2]", 3, (3, 1, 2)),
    ("[3] -> [1] => [2]", 3, (3, 1, 2)),
    ("&gt; [3] &gt; [1]", 3, (3, 1)),
    ("- [3]\n- [1]\n- [2]", 3, (3, 1, 2)),
    ("**[3]** > **[1]**", 3, (3, 1)),
    ("[3] > [1]</s>", 3, (3, 1)),
    # names
    ("Passage 3 > Passage 1 > Passage 2", 3, (3, 1, 2)),
    ("[Passage 3] > [Passage 1]", 3, (3, 1)),
    ("1. Passage 3\n2. Passage 1", 3, (3, 1)),
    ("doc_3 > doc_1", 3, (3, 1)),
    ("Passages 3, 1 and 2", 3, (3, 1, 2)),
    # prose and lists
    ("The ranking is: 3, 1, 2.", 3, (3, 1, 2)),
    ("The best is [3], but [1] is good, and [2] is not.", 3, (3, 1, 2)),
    ("[3] says so.\n[1] hints at it, as [3] does.\n[2] does not.", 3, (3, 1, 2)),
    ("1. Passage [3]: like [2]\n2. Passage [1]: unlike [2]\n3. Passage [2]: no", 3, (3, 1, 2)),
    ("Passages [1] and [2] say little.\n[3] > [2] > [1]", 3, (3, 2, 1)),
    ("3 > 1 > 2\n\nPassage [1] is short, and [3] is long.", 3, (3, 1, 2)),
    # ratings order what is listed as it was shown
    ("[1]: 3/10\n[2]: 9/10\n[3]: 5/10", 3, (2, 3, 1)),
    ("[1] It is so. (Relevance score: 2)\n[2] It is not. (Relevance score: 7)\n[3] It", 3, (2, 1, 3)),
    ("[1] - 2: no\n[2] - 8: yes\n[3] - 4: well\n\nSummary: [2] > [1] > [3]", 3, (2, 1, 3)),
    ("[1] - 2: no\n[3] - 8: yes\n[2] - 9: well", 3, (1, 3, 2)),
    ("[1] no\n[2] yes\n[3] no\n[4] no\n[5] yes\n[6] no\n\nBest: [5] > [2]", 6, (5, 2)),
    ("Write [2] > [1].\n[1] no\n[5] yes\n[3] no\n[4] no\n[2] yes\n[6] no", 6, (1, 5, 3, 4, 2, 6)),
    ("[1] no (Score: 2)\n\n[3] > [1]", 3, (3, 1)),
    ("[1] no (Score: 2), [3] yes", 3, (1, 3)),
    # JSON
    ('{"order": [3, 1, 2]}', 3, (3, 1, 2)),
    ('{"anything": ["3", "[1]", "passage_2"]}', 3, (3, 1, 2)),
    ("[3, 1, 2]", 3, (3, 1, 2)),
    ('["[3]", "[1]", "[2]"]', 3, (3, 1, 2)),
    ("[\n    3,\n    1,\n    2\n]", 3, (3, 1, 2)),
    ("[[3], [1, 2]]", 3, (3, 1, 2)),
    ('[{"id": 3}, {"id": 1}, {"id": 2}]', 3, (3, 1, 2)),
    ('{"results": [{"passage_id": "[3]", "score": 0.9}, {"passage_id": "[1]", "score": 0.1}]}', 3, (3, 1)),
    ('[{"id": 1, "rank": 3}, {"id": 2, "rank": 1}, {"id": 3, "rank": 2}]', 3, (2, 3, 1)),
    ('[{"id": 1, "score": 0.1}, {"id": 2, "score": 0.7}]', 2, (2, 1)),
    ('{"1": 3, "2": 1, "3": 2}', 3, (3, 1, 2)),
    ('{"3": 0.91, "1": 0.95, "2": 0.1}', 3, (1, 3, 2)),
    ('```json\n{"ranking": [3, 1, 2]}\n```', 3, (3, 1, 2)),
    ('Here it is: {"ranking": "[3] > [1] > [2]"} I hope [2] helps.', 3, (3, 1, 2)),
    ('{"reasoning": "[1] > [2] at first", "scores": [1, 2, 3], "ranking": [3, 2, 1]}', 3, (3, 2, 1)),
    ('{"irrelevant": [1, 2, 4], "relevant": [3, 5]}', 5, (3, 5)),
    ('{"name": "rank", "arguments": "{\\"order\\": [3, 1, 2]}"}', 3, (3, 1, 2)),
    ("{'order': [3, 1, 2]}", 3, (3, 1, 2)),
    ("{order: [3, 1, 2,],}", 3, (3, 1, 2)),
    ('{"order": [3, 1', 3, (3, 1)),
    # thinking and spans
    ("<think>[1] > [2] > [3]?</think>[3] > [2] > [1]", 3, (3, 2, 1)),
    ("[1] > [2] > [3]?</think>\n\n[3] > [2] > [1]", 3, (3, 2, 1)),
    ("<THINKING>say <think> again</THINKING>[3] > [2]", 3, (3, 2)),
    ("[2] > [1]\n<think>wait, [1] > [2]", 2, (2, 1)),
    ("[1] is better than [2].\n[Start] [3] > [2] > [1] [End]\nBut [1] is nice.", 3, (3, 2, 1)),
    ("[Start] [1] > [2] [End] No: [Start] [3] > [2] > [1] [End]", 3, (3, 2, 1)),
    ("[Start] [3] > [2] > [1] [End] I kept to [Start] and [End].", 3, (3, 2, 1)),
    ("First [Start] [4] > [2] [End], the rest [Start] [1] > [3] [End]", 4, (4, 2, 1, 3)),
    ("[Start] [5] > [3] > [4] [End], and last [Start] [1] [End]", 5, (5, 3, 4, 1)),
    ("[Start] [5] > [3] > [4] [End], and not [Start] [3] [End]", 5, (5, 3, 4)),
    ("[1] and [2] say no.\n[start]\n[3] > [2] > [", 3, (3, 2)),
    ("[1] no\n[2] no\n[3] yes\n\n[3] > [2] > [1] [End]", 3, (3, 2, 1)),
    ("<answer>[3] > [1]</answer>", 3, (3, 1)),
    # look-alikes
    ("［３］＞［１］＞［２］", 3, (3, 1, 2)),
    ("【3】≻【1】", 3, (3, 1)),
    ("³ > ¹ > ²", 3, (3, 1, 2)),
    ("③ ① ②", 3, (3, 1, 2)),
    ("⑳ > ❶", 20, (20, 1)),
    ("٣ > ١", 3, (3, 1)),
    ("3️⃣ ➜ 1️⃣", 3, (3, 1)),
    ("[3]\u200b、[1]", 3, (3, 1)),
    # letters
    ("B > A > C", 3, (2, 1, 3)),
    ("[B] > [A] > [C]", 3, (2, 1, 3)),
    ("b, a, c", 3, (2, 1, 3)),
    ("1. B\n2. C\n3. A", 3, (2, 3, 1)),
    ('{"order": ["B", "A"]}', 2, (2, 1)),
    ("Ⓑ > Ⓐ", 2, (2, 1)),
    # repeated, missing, out of range
    ("[2] > [2] > [1] > [2]", 3, (2, 1)),
    ("[0] > [1] > [-2] > [99] > [2]", 3, (1, 2)),
    ("[2] > [1] > " * 5_000, 3, (2, 1)),
    (f"[{'9' * 100_000}] > [2]", 3, (2,)),
    # cut off: what may have lost a digit is not believed
    ("[3] > [2] > [1", 3, (3, 2, 1)),
    ("[3] > [2] > [1", 20, (3, 2)),
    ("[3] > [2] > [", 3, (3, 2)),
    # acknowledgements rank nothing
    ("Received passage [1]. [3] > [2]", 3, (3, 2)),
    # one that stands alone
    ("[7]", 20, (7,)),
    ("7", 20, (7,)),
    ("Answer: 7", 20, (7,)),
    ("The most relevant passage is [7].", 20, (7,)),
    ('{"best": 7}', 20, (7,)),
    ("[1] > [2] > ... > [20]", 20, (1, 2)),
]

FAILURES: list[tuple[str, Failure]] = [
    ("", "empty"),
    (" \n\t", "empty"),
    ("<think></think>", "empty"),
    ("<think>[1] > [2] > [3] and so", "unfinished"),
    ("Well. <think>[1] > [2] > [3] and so", "unfinished"),
    ("I'm sorry, but I can't help with that.", "refused"),
    ("I cannot rank [1] and [2].", "refused"),
    ("As an AI, I have no opinion of passage [3].", "refused"),
    ("20 passages are provided.", "unreadable"),
    ("20 passages are provided, so the ranking should be from 1 to 20.", "unreadable"),
    ("Passages 1-20 were read.", "unreadable"),
    ("[] > []", "unreadable"),
    ("[Start] No relevant passages found. [End]", "unreadable"),
    ("[1] was written in 1865", "unreadable"),
    ("It takes 3, 5 or 7 days.", "unreadable"),
    ("1. Paris\n2. Rome", "unreadable"),
    ("{}", "unreadable"),
    ('{"query": "who?", "n": 20, "scores": [1, 2, 3]}', "unreadable"),
    ("[0] > [21] > [22]", "unreadable"),
    ("Please wait while I rank them.", "unreadable"),
    ("Received passage [8].", "unreadable"),
    ("Received passage [1].\nReceived passage [2].", "unreadable"),
]


@pytest.mark.parametrize(("answer", "n", "identifiers"), RANKINGS, ids=lambda value: repr(value)[:40])
def test_reads(answer: str, n: int, identifiers: tuple[int, ...]) -> None:
    parsed = parse(answer, n)
    assert parsed.failure is None
    assert parsed.identifiers == identifiers
    assert parsed.repairs.get("missing", 0) == n - len(identifiers)


@pytest.mark.parametrize(("answer", "failure"), FAILURES, ids=lambda value: repr(value)[:40])
def test_reads_no_ranking(answer: str, failure: Failure) -> None:
    parsed = parse(answer, 20)
    assert (parsed.failure, parsed.identifiers, dict(parsed.repairs)) == (failure, (), {})
    assert complete(parsed) == tuple(range(20))


@pytest.mark.parametrize(
    ("answer", "n", "repairs"),
    [
        ("[2] > [1] > [3]", 3, {}),
        ('```json\n{"order": [2, 1, 3]}\n```', 3, {}),
        ("<think>[1]?</think>[Start] [2] > [1] [End] done", 2, {}),
        ("4] > [3] > [1] > 2", 4, {"lost_bracket": 2}),
        ("3 > 1 > 2", 3, {"unbracketed": 3}),
        ("Passage 2 > Passage 1", 2, {"unbracketed": 2}),
        ("1. [2] > 2. [1]", 2, {"list_numbers": 2}),
        ("[2] > [1] > [2] > [0] > [9]", 3, {"repeated": 1, "out_of_range": 2, "missing": 1}),
        ("[2] = [1] > [3]", 3, {"tied": 1}),
        ("[2] > [1", 12, {"cut_off": 1, "missing": 11}),
        ('{"order": [2, 1', 12, {"cut_off": 1, "missing": 11}),
        ("［2］ > [1]", 2, {"glyphs": 2}),
        ("B > A", 2, {"letters": 2}),
        ("I rank them: [2] > [1]", 2, {"prose": 1}),
        ("[1] - 3\n[2] - 7", 2, {"rated": 1}),
        ("[Start] [1] > [2] [End] [Start] [2] > [1] [End]", 2, {"several": 1}),
        ("[2] > [1] " + "and so on " * 20_000, 2, {"prose": 1, "clipped": 1}),
    ],
)
def test_counts_repairs(answer: str, n: int, repairs: dict[str, int]) -> None:
    assert dict(parse(answer, n).repairs) == repairs


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        ("[2] > [1]", "chain"),
        ('{"order": [2, 1]}', "json"),
        ("[2] is good\n[1] is not", "list"),
        ("I like [2] and, less so, [1] here", "mentions"),
        ("B > A", "letters"),
    ],
)
def test_tells_the_form(answer: str, form: str) -> None:
    assert parse(answer, 2).form == form


def test_missing_passages_keep_their_prior_order() -> None:
    parsed = parse("[4] > [2]", 5)
    assert complete(parsed) == complete(parsed, 5) == (3, 1, 0, 2, 4)
    assert complete(parsed, [4, 3, 2, 1, 0]) == (3, 1, 4, 2, 0)
    assert complete(parse("no", 3), (2, 0, 1)) == (2, 0, 1)


@pytest.mark.parametrize("prior", [2, [0, 1], [0, 1, 1], [1, 2, 3]])
def test_a_prior_order_of_other_passages_is_the_callers_mistake(prior: int | list[int]) -> None:
    with pytest.raises(ValueError, match="not a permutation"):
        complete(parse("[1]", 3), prior)


def test_errors_for_those_who_want_them() -> None:
    assert parse("[1] > [2]", 2).error is None
    assert isinstance(parse("I'm sorry, I can't.", 2).error, Refused)
    assert isinstance(parse("What?", 2).error, Unreadable)
    unfinished = parse("<think>hm", 2).error
    assert isinstance(unfinished, Unreadable)
    assert "output tokens" in str(unfinished)
    assert isinstance(Parsed.failed(2, "refused").error, Refused)


def test_nothing_to_rank() -> None:
    assert complete(parse("[1]", 0)) == ()
    assert complete(parse("", 1)) == (0,)
