"""``listwise data``."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec

import pytest

from tests.cli.conftest import CANDIDATES, QUERIES, Shell


def test_a_folder_is_shown(shell: Shell) -> None:
    shown = shell.run("data", "show", ".").stdout
    lines = [line.split() for line in shown.splitlines()]
    assert lines[1][:4] == ["queries", "4,", "3.0", "words"]
    assert f"judged    {QUERIES} queries; judgements by grade 1: {QUERIES}" in shown
    assert f"passages  {QUERIES * CANDIDATES}, 2.0 words (median 2, 95 % at most 2, longest 2)" in shown
    assert ["run", str(QUERIES), str(CANDIDATES), "1.0000", "0.0000"] in lines
    few = shell.run("data", "show", ".", "--passages", "7").stdout
    assert "passages  more than those read; of the first 7: 2.0 words" in few
    assert "passages  none read" in shell.run("data", "show", ".", "--passages", "0").stdout
    (shell.folder / "corpus.jsonl").unlink()
    (shell.folder / "qrels.txt").unlink()
    (shell.folder / "run.trec").unlink()
    bare = shell.run("data", "show", ".").stdout
    assert "judged    0 queries\npassages  none read (--passages N)\nruns      none" in bare


def test_json_holds_the_same(shell: Shell) -> None:
    told = json.loads(shell.run("data", "show", ".", "--json").stdout)
    assert (told["queries"], told["judged"], told["grades"]) == (QUERIES, QUERIES, {"1": QUERIES})
    assert told["runs"] == [{"name": "run", "queries": QUERIES, "depth": CANDIDATES, "recall": 1.0, "ndcg": 0.0}]


def test_a_copy_can_be_re_ranked_and_measured(shell: Shell) -> None:
    assert shell.run("data", "copy", ".", "small", "--depth", "5").returncode == 0
    inputs = ("--queries", "small", "--corpus", "small", "--run", "small/run.trec.gz")
    done = shell.run("rerank", *inputs, "--out", "out.trec", "--local", "none")
    assert done.returncode == 0, done.stderr
    assert "at most 5 a query; R@5 0.0000" in shell.run("eval", "out.trec", "--qrels", "small/qrels.txt").stdout
    again = shell.run("data", "copy", ".", "small")
    assert (again.returncode, "small: it exists already" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "./nowhere"], "no such folder"),
        (["show", "."], "queries.tsv:1: expected"),
        (["copy", ".", "small", "--run", "bm52"], "no run 'bm52': there is run"),
        (["show", ".", "--split", "dev"], "no split 'dev': there is none"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, arguments: list[str], words: str) -> None:
    if "expected" in words:
        (shell.folder / "queries.tsv").write_text("no tab\n")
    done = shell.run("data", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_name_without_a_network_or_the_extra_fails_soon(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """All requests would go to a proxy on a closed port."""
    own = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
    home = {"IR_DATASETS_HOME": str(shell.folder / "home"), "IR_DATASETS_TMP": str(shell.folder / "tmp")}
    monkeypatch.setattr(Shell, "environment", lambda self: {**os.environ, **own, **home})
    done = shell.run("data", "show", "beir/scifact")
    assert done.returncode == 2
    installed = find_spec("ir_datasets") is not None
    assert ("Is there a network?" if installed else "pip install 'listwise[collections]'") in done.stderr
