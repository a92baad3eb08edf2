"""``listwise show``, over what ``listwise rerank --trace`` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from listwise.cli import cli
from listwise.errors import ConfigError, InputError
from tests.cli.conftest import CANDIDATES, QUERIES, Shell


class Traced(Shell):
    """Runs ``listwise`` in this process."""

    def show(self, *arguments: str) -> str:
        """What ``listwise show`` prints."""
        return self.invoke("show", *arguments).stdout

    def invoke(self, *arguments: str) -> Result:
        done = CliRunner().invoke(cli, arguments, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return done


@pytest.fixture
def traced(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Traced:
    """A folder with the trace and receipts of a simulated model whose answers are malformed at times."""
    monkeypatch.chdir(shell.folder)
    monkeypatch.setenv("COLUMNS", "140")
    here = Traced(shell.folder)
    here.invoke(
        *(
            "rerank",
            "--queries",
            "queries.tsv",
            "--corpus",
            "corpus.jsonl",
            "--run",
            "run.trec",
            "--out",
            "out.trec",
        ),
        *("--local", "none", "--llm", "sim/weak,malformed=0.5,seed=4,qrels=qrels.txt", "--escalate", "always"),
        *("--receipts", "receipts.jsonl", "--trace", "trace.jsonl"),
    )
    return here


def changed(shell: Shell, changes: Mapping[str, object]) -> None:
    """Change the first window of the trace."""
    records = shell.records("trace.jsonl")
    records[0] |= changes
    (shell.folder / "trace.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))


def test_without_a_query_all_are_listed(traced: Traced) -> None:
    lines = traced.show("trace.jsonl", "--queries", "queries.tsv").splitlines()
    assert lines[0].split() == ["query", "windows", "steps", "read", "moves", "cached", "tokens", "USD", "text"]
    assert [line.split()[0] for line in lines[1 : QUERIES + 2]] == ["q0", "q1", "q2", "q3", "all"]
    assert lines[1].split()[1:4] == ["2", "2", "40"]
    assert lines[1].endswith("what is q0")
    assert lines[-1].startswith("simulated: no LLM was asked")


def test_a_query_step_by_step(traced: Traced) -> None:
    files = ("--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--receipts", "receipts.jsonl")
    shown = traced.show("trace.jsonl", "--qid", "q1", *files)
    assert shown.startswith("query q1: what is q1\nsimulated: no LLM was asked")
    assert "went to sim/weak,malformed=0.5,seed=4 by sliding: every query is escalated" in shown
    windows = [record for record in traced.records("trace.jsonl") if record["qid"] == "q1"]
    for number, window in enumerate(windows, 1):
        assert f"window {number} of 2, step {number - 1}: paid $0.000" in shown
        assert str(window["answer"])[:100] in " ".join(shown.split())
    ranking = [line.split()[2] for line in traced.lines("out.trec") if line.startswith("q1 ")]
    rows = [line.split() for line in shown.splitlines()]
    assert [row[-3] for row in rows if len(row) > 4 and row[0].isdecimal()][:10] == ranking[:10]
    receipt = next(record for record in traced.records("receipts.jsonl") if record["qid"] == "q1")
    assert "total: 2 windows in 2 steps, 40 passages read, " in shown
    assert (
        f"{receipt['input_tokens']:,} + {receipt['output_tokens']:,} tokens, ${receipt['usd']:.6f} simulated"
        in shown
    )


def test_the_order_by_runs_is_the_one_by_the_windows(traced: Traced) -> None:
    alone = traced.show("trace.jsonl", "--qid", "q2", "--full")
    by_runs = traced.show("trace.jsonl", "--qid", "q2", "--full", "--run", "run.trec", "--ranked", "out.trec")
    assert alone == by_runs
    assert len([line for line in alone.splitlines() if "q2d" in line]) == CANDIDATES + 40


def test_what_failed_and_what_was_mended_is_said(traced: Traced) -> None:
    changed(traced, {"permutation": None, "error": "no ranking in it", "repairs": {"lost_bracket": 1}})
    shown = traced.show("trace.jsonl", "--qid", "q0")
    assert "  repaired  lost_bracket 1" in shown
    assert "  problem   no ranking in it" in shown
    assert "  kept      the order stays as it was shown" in shown
    assert "give --run (or --requests) and --ranked" in shown, "the second window does not follow from the first"
    kept = sum(record["permutation"] is None for record in traced.records("trace.jsonl"))
    assert f"{kept} windows kept their order" in traced.show("trace.jsonl")


def test_answers_cannot_steer_the_terminal_and_are_cut(traced: Traced) -> None:
    changed(traced, {"answer": "\x1b]0;owned\x07" + "x" * 300 + "end", "cached": True, "model": "a\x1b[2J"})
    shown = traced.show("trace.jsonl", "--qid", "q0")
    assert "\x1b" not in shown
    assert "\\x1b]0;owned\\x07xxx" in shown
    assert "end" not in shown.replace("end)", "")
    assert "313 characters, --full shows all" in " ".join(shown.split())
    assert "from the cache" in shown
    assert "xend" in traced.show("trace.jsonl", "--qid", "q0", "--full")


def test_it_fits_80_columns_without_colour(traced: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = [json.dumps({"id": record["id"], "text": "long " * 60}) for record in traced.records("corpus.jsonl")]
    (traced.folder / "corpus.jsonl").write_text("\n".join(corpus))
    monkeypatch.setenv("COLUMNS", "80")
    for more in ((), ("--qid", "q0", "--corpus", "corpus.jsonl", "--queries", "queries.tsv")):
        shown = traced.show("trace.jsonl", *more)
        assert max(map(len, shown.splitlines())) <= 80
        assert "\x1b" not in shown
    assert "long long" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.jsonl",), "none.jsonl: cannot be read"),
        (("run.trec",), "run.trec:1: not JSON"),
        (("receipts.jsonl",), "receipts.jsonl:1: no window of a trace"),
        (("trace.jsonl", "--qid", "q9"), "trace.jsonl: query 'q9': no window of this query"),
        (("trace.jsonl", "--qid", "q0", "--receipts", "trace.jsonl"), "trace.jsonl:1: no receipt"),
        (("trace.jsonl", "--requests", "r", "--queries", "q"), "leave --queries and --run out"),
        (("trace.jsonl", "--qid", "q0", "--run", "one.trec"), "one.trec: query 'q0': no such query"),
    ],
)
def test_bad_input_is_said(traced: Traced, arguments: tuple[str, ...], said: str) -> None:
    (traced.folder / "one.trec").write_text("q1 Q0 d 1 1 x\n")
    with pytest.raises((InputError, ConfigError), match=re.escape(said)):
        traced.show(*arguments)


def test_requests_hold_texts_and_the_order_before(traced: Traced) -> None:
    docs = [{"docid": f"q0d{at}", "score": 1.0, "doc": {"text": f"passage {at}"}} for at in range(CANDIDATES)]
    path: Path = traced.folder / "requests.jsonl"
    path.write_text(json.dumps({"query": {"qid": "q0", "text": "the text"}, "candidates": docs}) + "\n")
    shown = traced.show("trace.jsonl", "--qid", "q0", "--requests", "requests.jsonl")
    assert shown.startswith("query q0: the text")
    assert "passage 7" in shown
