"""``listwise bias``: a live study, traces, recorded answers."""

from __future__ import annotations

import gzip
import json
import re
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CANDIDATES, QUERIES, Shell
from tests.loopback import Asked, ScriptedServer

INPUTS = ("--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--run", "run.trec")
SMALL = ("--window", "6", "--shuffles", "3")
SIMULATED = ("--llm", "sim/biased,strength=3,qrels=qrels.txt")


@pytest.fixture
def graded(shell: Shell) -> Shell:
    """Half of the candidates are relevant, of two grades."""
    run = [line.split() for line in (shell.folder / "run.trec").read_text().splitlines()]
    (shell.folder / "qrels.txt").write_text(
        "".join(f"{q} 0 {doc} {max(0, int(rank) % 4 - 1)}\n" for q, _, doc, rank, *_ in run)
    )
    return shell


def studies(shell: Shell, *arguments: str | Path) -> list[dict[str, Any]]:
    done = shell.run("bias", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["studies"]
    return found


def test_a_live_study_asks_each_window_in_every_order(graded: Shell) -> None:
    (study,) = studies(graded, *SIMULATED, *INPUTS, *SMALL, "--qrels", "qrels.txt", "--depth", "12", "--sizes", "3")
    assert study["simulated"] is True
    assert study["queries"] == QUERIES
    orders = {each["order"]: each["windows"] for each in study["input_orders"]}
    windows = QUERIES * 12 // 6
    assert orders == {
        "first_stage": windows,
        "reversed": windows,
        "shuffled": 3 * windows,
        **dict.fromkeys(("first", "middle", "last"), windows),
    }
    assert study["windows"] == 8 * windows + 3 * QUERIES * 12 // 3
    assert [(each["size"], each["design"]) for each in study["positions"]] == [(6, "reordered"), (3, "reordered")]
    (size,) = study["sizes"]
    assert size["queries"] == QUERIES
    assert study["length"]["queries"] == QUERIES
    assert study["positions"][0]["effects"]["bend"]["value"] < 0
    assert any("the two ends gain" in each for each in study["verdict"])


def test_what_is_known_is_not_asked_again_and_the_trace_tells_the_same(graded: Shell) -> None:
    arguments = (*SIMULATED, *INPUTS, *SMALL, "--qrels", "qrels.txt", "--cache", "cache")
    done = graded.run("bias", *arguments, "--out", "bias")
    assert done.returncode == 0, done.stderr
    calls = QUERIES * 8
    assert f"windows: {calls} calls (0 cached), expected $0." in done.stderr
    assert "simulated" in done.stderr
    assert f"{calls} calls, 0 of them from the cache" in done.stderr
    assert "sim/biased,strength=3 (simulated): 32 windows of 4 queries" in done.stdout
    again = graded.run("bias", *arguments)
    assert f"{calls} calls, {calls} of them from the cache, $0.0000" in again.stderr
    assert again.stdout == done.stdout
    (live,) = json.loads((graded.folder / "bias" / "bias.json").read_text())["studies"]
    (read,) = studies(graded, "--trace", "bias/trace.jsonl", "--qrels", "qrels.txt")
    assert {**live, "length": None, "verdict": None} == {**read, "verdict": None}
    pictures = {f"{stem}.{form}" for stem in ("curve", "matrix", "top") for form in ("svg", "png")}
    assert {each.name for each in (graded.folder / "bias").iterdir()} == {"bias.json", "trace.jsonl", *pictures}
    assert stat.S_IMODE((graded.folder / "bias" / "trace.jsonl").stat().st_mode) == 0o600


def test_votes_and_strategies_are_compared_under_one_cap(graded: Shell) -> None:
    ways = ("--votes", "3", "--strategies", "single,sliding", "--depth", "12")
    arguments = (*SIMULATED, *INPUTS, *SMALL, *ways, "--qrels", "qrels.txt")
    (study,) = studies(graded, *arguments, "--cache", "cache")
    systems = {each["name"]: each for each in study["systems"]}
    assert list(systems) == ["one answer", "3 random votes", "3 balanced votes", "single", "sliding"]
    assert [each["calls"] for each in study["systems"]] == [1, 3, 3, 1, 3]
    assert systems["3 balanced votes"]["against"] == "one answer"
    assert systems["sliding"]["against"] == "single"
    assert systems["sliding"]["candidates"] == 12
    capped = graded.run("bias", *arguments, "--budget-total", "0.01")
    assert "the whole study: at most $0.0100 simulated" in capped.stderr
    spent = re.search(r"from the cache, \$([\d.]+) simulated", capped.stderr)
    assert spent is not None, capped.stderr
    assert 0 < float(spent[1]) <= 0.01
    assert "windows have no answer and are left out" in capped.stderr


def test_a_plan_asks_nothing(graded: Shell) -> None:
    done = graded.run("bias", "--llm", "openai/gpt-4o", *INPUTS, *SMALL, "--votes", "2", "--plan")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert re.search(r"the whole study: at most \$\d", done.stderr)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_half_done(graded: Shell, number: signal.Signals) -> None:
    slow = ("--llm", "sim/biased,latency=30,qrels=qrels.txt")
    process = graded.start("bias", *slow, *INPUTS, *SMALL, "--out", "bias")
    assert process.stderr is not None
    while "the whole study" not in process.stderr.readline():
        assert process.poll() is None
    while not (graded.folder / "bias" / "trace.jsonl.partial").exists():
        assert process.poll() is None
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "interrupted; the same command goes on from here" in said
    assert "Traceback" not in said
    assert not list((graded.folder / "bias").iterdir())


def test_a_real_server_that_repeats_what_it_is_shown(graded: Shell) -> None:
    def echo(asked: Asked) -> str:
        return " > ".join(f"[{at}]" for at in range(1, len(re.findall(r"^\[\d+\] text", asked.prompt, re.M)) + 1))

    with ScriptedServer(echo) as server:
        model = ("--llm", "openai/gpt-4o", "--base-url", server.base_url)
        (study,) = studies(graded, *model, *INPUTS, *SMALL, "--qrels", "qrels.txt")
    assert study["simulated"] is False
    assert study["habits"]["echoed"]["value"] == 1
    assert study["positions"][0]["effects"]["slope"]["value"] == pytest.approx(1)


def test_the_trace_of_a_rerank_with_votes_is_a_study(graded: Shell) -> None:
    rerank = (
        "--strategy",
        "single",
        "--window",
        "6",
        "--stride",
        "3",
        "--votes",
        "4",
        "--escalate",
        "always",
        "--local",
        "none",
    )
    graded.run("rerank", *INPUTS, *SIMULATED, *rerank, "--out", "out.trec", "--trace", "trace.jsonl")
    (study,) = studies(graded, "--trace", "trace.jsonl")
    (positions,) = study["positions"]
    assert (positions["design"], positions["sets"], positions["windows"]) == ("reordered", QUERIES, 4 * QUERIES)
    assert study["agreement"][0]["sets"] == QUERIES


def test_recorded_answers_are_read_by_model(shell: Shell) -> None:
    docids = [f"d{at}" for at in range(4)]
    answers = {"echo": "[1] > [2] > [3] > [4]", "mute": "4 passages are provided."}
    lines = [
        json.dumps({"model": model, "qid": f"q{at}", "docids": [*docids[:3], None], "response": answer})
        for model, answer in answers.items()
        for at in range(8)
    ]
    (shell.folder / "answers.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (shell.folder / "same.txt").write_text("q0 0 d0 0\n")
    echo, mute = studies(shell, "--answers", "answers.jsonl.gz", "--qrels", "same.txt")
    assert echo["positions"][0]["design"] == "graded"
    assert echo["positions"][0]["effects"]["slope"]["value"] == pytest.approx(1)
    assert any("some of what follows may be quality" in each for each in echo["verdict"])
    assert mute["positions"] == []
    assert mute["habits"]["unreadable"]["value"] == 1
    (only,) = studies(shell, "--answers", "answers.jsonl.gz", "--model", "echo")
    assert only["positions"][0]["design"] == "confounded"
    said = shell.run("bias", "--answers", "answers.jsonl.gz").stdout
    assert "position and quality cannot be told apart" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give --llm"),
        (("--llm", "openai/gpt-4o", "--trace", "trace.jsonl"), "leave one out"),
        ((*SIMULATED, *INPUTS, "--model", "x"), "--model: of no use where a model is asked"),
        ((*SIMULATED, *INPUTS, "--shuffles", "1"), "two orders"),
        ((*SIMULATED, *INPUTS, "--votes", "1"), "votes is 1"),
        ((*SIMULATED, *INPUTS, "--window", "1"), "windows hold"),
        ((*SIMULATED, *INPUTS, "--depth", "5"), "windows hold"),
        ((*SIMULATED, *INPUTS, "--sizes", "ten"), "sizes is 'ten'"),
        ((*SIMULATED, *INPUTS, "--strategies", "slide"), "no strategy 'slide'"),
        ((*SIMULATED, *INPUTS, "--window", str(CANDIDATES + 1)), f"no query has {CANDIDATES + 1} candidates"),
        ((*SIMULATED, *INPUTS, "--qid", "q1", "--window", "4"), "answers to 1 queries"),
        (("--trace", "nowhere.jsonl"), "nowhere.jsonl: cannot be read"),
        (("--trace", "corpus.jsonl"), "corpus.jsonl:1: no docids"),
        (("--trace", "bad.jsonl"), "bad.jsonl:1: the permutation is not one of 2 positions"),
        (("--answers", "bad.jsonl"), "bad.jsonl:1: no recorded answer"),
        (("--trace", "bad.jsonl", "--shuffles", "4"), "--shuffles"),
        (("--trace", "bad.jsonl", "--queries", "queries.tsv"), "--queries: of no use where answers are read"),
        (("--trace", "bad.jsonl", "--run", "run.trec", "--budget-total", "1"), "--run, --budget-total: of no use"),
        (("--trace", "single.jsonl"), "nothing to study"),
    ],
)
def test_what_cannot_be_is_said(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    window = {"model": "m", "qid": "q", "docids": ["a", "b"], "permutation": [0, 2], "answer": "x"}
    (shell.folder / "bad.jsonl").write_text(json.dumps(window) + "\n")
    (shell.folder / "single.jsonl").write_text(json.dumps({**window, "docids": ["a"], "permutation": [0]}) + "\n")
    done = shell.run("bias", *arguments)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
