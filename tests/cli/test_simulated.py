"""Simulated models, votes and strategies from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import CANDIDATES, QUERIES, Shell


@pytest.fixture
def simulated(shell: Shell) -> tuple[str | Path, ...]:
    """Arguments that send every query to a simulated model."""
    run = [line.split() for line in (shell.folder / "run.trec").read_text().splitlines()]
    grades = "".join(f"{line[0]} 0 {line[2]} {int(line[3]) % 4}\n" for line in run)
    (shell.folder / "qrels.txt").write_text(grades)
    return (
        *("rerank", "--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--run", "run.trec"),
        *("--out", "out.trec", "--local", "none", "--llm", "sim/perfect,qrels=qrels.txt", "--escalate", "always"),
        *("--receipts", "receipts.jsonl", "--trace", "trace.jsonl"),
    )


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_simulated_is_labelled_everywhere(shell: Shell, simulated: tuple[str | Path, ...]) -> None:
    done = shell.run(*simulated)
    assert done.returncode == 0
    assert f"simulation, {QUERIES} queries" in done.stderr
    run = (shell.folder / "out.trec").read_text().splitlines()
    assert len(run) == QUERIES * CANDIDATES
    assert all(line.endswith(" listwise-simulated") for line in run)
    assert all(receipt["simulated"] is True for receipt in lines(shell.folder / "receipts.jsonl"))
    assert all(window["served_by"] == "simulated" for window in lines(shell.folder / "trace.jsonl"))
    assert not (shell.folder / "ledger.db").exists()
    measured = shell.run("eval", "out.trec", "run.trec", "--qrels", "qrels.txt").stdout
    assert "out.trec (simulated)" in measured
    assert "run.trec (simulated)" not in measured
    assert "out.trec (simulated)\t" in shell.run("eval", "out.trec", "--qrels", "qrels.txt", "--per-query").stdout
    shell.run(*simulated, "--format", "jsonl", "--out", "out.jsonl")
    assert all(record["simulated"] is True for record in lines(shell.folder / "out.jsonl"))


def test_votes_are_replicates_in_the_trace_and_cost_as_many_calls(
    shell: Shell, simulated: tuple[str | Path, ...]
) -> None:
    shell.run(*simulated)
    once = lines(shell.folder / "receipts.jsonl")
    done = shell.run(*simulated, "--votes", "3", "--shuffle", "random", "--aggregate", "kemeny", "--seed", "5")
    assert done.returncode == 0
    thrice = lines(shell.folder / "receipts.jsonl")
    assert [each["calls"] for each in thrice] == [3 * int(str(each["calls"])) for each in once]
    windows = lines(shell.folder / "trace.jsonl")
    assert {window["sample"] for window in windows} == {0, 1, 2}
    assert len({window["prompt_sha256"] for window in windows}) == len(windows)


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_shuffles(
    shell: Shell, simulated: tuple[str | Path, ...]
) -> None:
    def shown(seed: str) -> list[object]:
        shell.run(*simulated, "--votes", "2", "--shuffle", "random", "--seed", seed)
        return [window["docids"] for window in lines(shell.folder / "trace.jsonl")]

    first = shown("1")
    assert shown("1") == first
    assert shown("2") != first


def test_a_plan_bounds_what_votes_and_adaptive_cost(shell: Shell, simulated: tuple[str | Path, ...]) -> None:
    inputs = ("--queries", "queries.tsv", "--corpus", "corpus.jsonl", "--run", "run.trec")
    chosen = ("--local", "none", "--llm", "sim/weak,qrels=qrels.txt", "--escalate", "always", "--window", "8")
    sizes = ("--stride", "4", "--top", "4")
    for strategy in ("adaptive", "topdown", "sliding"):
        more = (*chosen, *sizes, "--strategy", strategy, "--votes", "auto")
        plan = json.loads(shell.run("plan", *inputs, *more, "--json").stdout)
        shell.run("rerank", *inputs, *more, "--out", "out.trec", "--receipts", "receipts.jsonl")
        bill = sum(float(str(each["usd"])) for each in lines(shell.folder / "receipts.jsonl"))
        assert 0 < bill <= plan["strategies"][0]["usd"]["high"]


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--votes", "0", "votes"),
        ("--votes", "many", "votes"),
        ("--trust", "1.5", "trust"),
        ("--top", "0", "top"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    shell: Shell, simulated: tuple[str | Path, ...], option: str, value: str, said: str
) -> None:
    done = shell.run(*simulated, option, value)
    assert done.returncode == 2
    assert said in done.stderr
