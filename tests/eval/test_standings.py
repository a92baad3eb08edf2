from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from listwise.errors import InputError
from listwise.eval.costs import Bill, bill, gain_per_usd, read_receipts
from listwise.eval.measures import ranked
from listwise.eval.standings import Entrant, Question, standings
from listwise.eval.statistics import Interval

QRELS = {"q1": {"a": 1}, "q2": {"c": 1}}
GOOD = ranked({"q1": ["a", "b"], "q2": ["c", "d"]})
HALF = ranked({"q1": ["b", "a"], "q2": ["c", "d"]})
BAD = ranked({"q1": ["b", "a"], "q2": ["d", "c"]})


def receipts(usd: float, **more: Any) -> dict[str, dict[str, Any]]:
    return {qid: {"qid": qid, "route": "llm", "usd": usd, "calls": 2, **more} for qid in ("q1", "q2", "unjudged")}


def test_gains_are_summed_over_queries_for_each_dollar_more_than_the_baselines() -> None:
    base = Entrant("base", BAD, receipts=receipts(0.25))
    question = Question(QRELS, ("RR",), baseline=base)
    good, same, bare = standings(
        [Entrant("good", GOOD, receipts=receipts(0.5)), base, Entrant("bare", HALF)], question
    )
    assert good.bill == Bill(2, Decimal("1.0"), True, False, 4, 0, 0, 0, 0, 0.0)
    assert good.lines[0].gain_per_usd is not None
    assert good.lines[0].gain_per_usd.mean == pytest.approx((0.5 + 0.5) / (1.0 - 0.5))
    assert same.lines[0].comparison is None
    assert (bare.bill, bare.lines[0].gain_per_usd) == (None, None)
    assert bare.lines[0].comparison is not None
    assert bare.lines[0].comparison.difference.mean == 0.25


def test_nothing_is_said_of_dollars_without_a_price_or_where_none_were_paid() -> None:
    question = Question(QRELS, ("RR",), baseline=Entrant("base", BAD))
    paid = [receipts(0.5, priced=False), receipts(0.0)]
    found = standings([Entrant(str(at), GOOD, receipts=each) for at, each in enumerate(paid)], question)
    assert [each.lines[0].gain_per_usd for each in found] == [None, None]


def test_p_values_are_corrected_over_the_runs_of_each_measure() -> None:
    base = Entrant("base", BAD)
    entrants = [Entrant("good", GOOD), base, Entrant("half", HALF)]
    found = standings(entrants, Question(QRELS, ("RR", "P@1"), baseline=base))
    for at in (0, 1):
        compared = [found[0].lines[at], found[2].lines[at]]
        assert [line.p_corrected for line in compared] == [
            pytest.approx(min(1.0, 2 * line.comparison.p_value)) for line in compared if line.comparison
        ]
        assert found[1].lines[at].p_corrected is None
    bare = standings(entrants, Question(QRELS, ("RR",), baseline=base, correction="none"))
    assert [each.lines[0].p_corrected for each in bare] == [None] * 3


def test_a_first_stage_is_the_baseline_and_gives_the_ceiling_unless_a_run_has_other_documents() -> None:
    first = Entrant("first", ranked({"q1": ["b", "a"], "q2": ["d"]}))
    re_ranked = Entrant("re-ranked", ranked({"q1": ["a"], "q2": ["d"]}))
    foreign = Entrant("foreign", GOOD)
    ours, other = standings([re_ranked, foreign], Question(QRELS, ("RR",), first=first))
    assert (ours.stage_name, ours.strangers, ours.lines[0].ceiling.best) == ("first", 0, 0.5)
    assert (other.stage_name, other.strangers, other.lines[0].ceiling.best) == ("foreign", 1, 1.0)
    assert ours.lines[0].comparison is not None
    assert ours.lines[0].binds


def test_gain_per_dollar() -> None:
    assert gain_per_usd(Interval(0.2, 0.1, 0.3), 50, Decimal("0.5")) == Interval(20.0, 10.0, 30.0)
    assert gain_per_usd(Interval(0.2, 0.1, 0.3), 50, Decimal(0)) is None
    assert gain_per_usd(Interval(0.2, 0.1, 0.3), 50, Decimal("-0.1")) is None


def test_dollars_add_up_without_rounding(tmp_path: Path) -> None:
    lines = [{"qid": f"q{at}", "route": "llm", "usd": 0.1, "seconds": 0.5} for at in range(10)]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)))
    total = bill(read_receipts(tmp_path / "r.jsonl"))
    assert (total.usd, total.queries, total.seconds, total.priced) == (Decimal("1.0"), 10, 5.0, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"qid": "q1"}', "r.jsonl:1: no receipt"),
        ('{"qid": "q1", "route": "llm", "usd": -1}', "usd is not a positive number"),
        ('{"qid": "q1", "route": "llm", "calls": "3"}', "calls is not"),
        ('{"qid": "q1", "route": "llm"}\n{"qid": "q1", "route": "llm"}', "r.jsonl:2: query 'q1': this query"),
        ("", "no receipts in it"),
    ],
)
def test_receipts_that_cannot_be_read_are_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        read_receipts(path)
