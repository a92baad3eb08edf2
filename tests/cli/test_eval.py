"""What ``listwise eval`` prints, over hand-made runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CANDIDATES, QUERIES, Shell

QIDS = [f"q{at}" for at in range(QUERIES)]


@pytest.fixture
def judged(shell: Shell) -> Shell:
    """Beside ``run.trec``, which has the relevant document last: a run that has it first, one without q3, another
    run of other documents, and receipts."""
    last = CANDIDATES - 1
    best = [f"{qid} Q0 {qid}d{(at + last) % CANDIDATES} {at + 1} {99 - at} t\n" for qid in QIDS for at in range(20)]
    (shell.folder / "best.trec").write_text("".join(best))
    (shell.folder / "half.trec").write_text("".join(best[:40]))
    (shell.folder / "other.trec").write_text("".join(f"{qid} Q0 {qid}other 1 1 t\n" for qid in QIDS))
    (shell.folder / "tied.trec").write_text("".join(line.replace(" 99 ", " 1 ") for line in best))
    write_receipts(shell.folder / "r.jsonl")
    return shell


def write_receipts(path: Path, **more: Any) -> None:
    one = {"route": "llm", "usd": 0.002, "calls": 9, "input_tokens": 30_000, "output_tokens": 900, "seconds": 1.5}
    path.write_text("".join(json.dumps({"qid": qid, **one, **more}) + "\n" for qid in QIDS))


def evaluated(shell: Shell, *arguments: str) -> str:
    done = shell.run("eval", *arguments, "--qrels", "qrels.txt")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_stands_beside_its_ceiling_its_baseline_and_its_bill(judged: Shell) -> None:
    shown = evaluated(
        judged, "best.trec", "half.trec", "--first-stage", "run.trec", "--receipts", "best.trec=r.jsonl"
    )
    first = shown.splitlines()[1].split()
    assert first[:6] == ["best.trec", "nDCG@10", "1.0000", "1.000", "to", "1.000"]
    assert first[6:8] == ["1.0000", "+1.0000"]
    costs = ["best.trec", "36", "0", "120,000", "3,600", "1.50", "$0.008000", "+500", "(+500", "to", "+500)"]
    assert costs in [line.split() for line in shown.splitlines()]
    assert "difference to run.trec; p: two-sided paired randomisation test, corrected over 2 runs" in shown
    assert f"best order of run.trec's candidates, at most {CANDIDATES} a query; R@{CANDIDATES} 1.0000" in shown


def test_columns_can_be_read_at_a_hundred_characters(judged: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shell, "environment", lambda self: {**os.environ, "COLUMNS": "100"})
    name = "a_rather_long_name_of_a_run__bm25__top100__2023-08-04T232651.trec"
    (judged.folder / "best.trec").rename(judged.folder / name)
    shown = evaluated(judged, name, "half.trec", "--baseline", "run.trec", "--receipts", f"{name}=r.jsonl")
    table = shown.partition("judged queries")[0].splitlines()
    assert max(map(len, table)) <= 100
    assert "…" not in shown
    assert any(line.startswith("a_rather_long") and "0.0000" not in line and "+1.0000" in line for line in table)


def test_an_own_first_stage_a_binding_one_and_a_strange_one_are_said(judged: Shell) -> None:
    shown = evaluated(judged, "half.trec", "other.trec", "--first-stage", "half.trec")
    assert "the first stage binds: half.trec has 100 %, 0.5000 of the 0.5000 nDCG@10" in shown
    assert "no re-ranking of half.trec, which lacks some of its documents" in shown
    assert shown.rstrip().endswith("its own candidates: other.trec")


def test_ranks_decide_where_asked(judged: Shell) -> None:
    by_score = evaluated(judged, "tied.trec")
    assert "in 4 queries scores do not fall from rank to rank" in by_score
    assert "it has nDCG@10 1.0000" in by_score
    by_rank = evaluated(judged, "tied.trec", "--order", "rank")
    assert "scores do not fall" not in by_rank
    assert "1.0000" in by_rank.splitlines()[1]


@pytest.mark.parametrize(
    ("more", "cell", "note"),
    [
        ({"priced": False}, "no price", "a model without a known price"),
        ({"simulated": True}, "best.trec (simulated)", "SIMULATION, its orders, tokens and dollars are made up"),
        ({"cache_hits": 9, "usd": 0}, "$0.0000", "36 of 36 calls came from the cache, free"),
    ],
)
def test_dollars_that_say_little_are_labelled(judged: Shell, more: dict[str, Any], cell: str, note: str) -> None:
    write_receipts(judged.folder / "r.jsonl", **more)
    shown = evaluated(judged, "best.trec", "--baseline", "run.trec", "--receipts", "r.jsonl")
    assert cell in shown
    assert f"best.trec: {note}" in shown


def test_json_holds_all_figures(judged: Shell) -> None:
    arguments = (
        "best.trec",
        "half.trec",
        "--baseline",
        "run.trec",
        "--receipts",
        "best.trec=r.jsonl",
        "--test",
        "t",
    )
    told = json.loads(evaluated(judged, *arguments, "--json", "--per-query"))
    best, half = told["runs"]
    assert (told["judged_queries"], told["test"], told["correct"]) == (QUERIES, "t", "holm")
    assert best["cost"]["usd"] == "0.008"
    assert half["cost"] is None
    measure = half["measures"][0]
    assert measure["by_query"] == {"q0": 1.0, "q1": 1.0, "q2": 0.0, "q3": 0.0}
    assert measure["difference"]["mean"] == measure["mean"] == 0.5
    assert (measure["wins"], measure["losses"], measure["binds"]) == (2, 0, True)
    assert measure["p_corrected"] == pytest.approx(measure["p"])  # the other p is 0, half of its own times one
    assert best["measures"][0]["gained_per_usd"]["mean"] == pytest.approx(500)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--receipts", "r.jsonl"], "one file for each of the 2 runs"),
        (["--receipts", "best.trec=r.jsonl", "--receipts", "best.trec=r.jsonl"], "best.trec twice"),
        (["--receipts", "nothing.trec=r.jsonl"], "a run as it is named"),
        (["--receipts", "best.trec=nowhere"], "nowhere: cannot be read"),
        (["--receipts", "best.trec=qrels.txt"], "qrels.txt:1: not JSON"),
        (["--measures", " "], "no measure is named"),
        (["--depth", "0"], "--depth"),
    ],
)
def test_what_does_not_go_together_is_said(judged: Shell, arguments: list[str], words: str) -> None:
    done = judged.run("eval", "best.trec", "half.trec", "--qrels", "qrels.txt", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
