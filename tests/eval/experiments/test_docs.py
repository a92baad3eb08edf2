"""What docs/experiments.md shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from listwise.cli import cli
from listwise.eval.experiments.definition import Definition, Recorded, Reranked, Vote, read_definition
from listwise.eval.experiments.systems import systems_of
from tests.conftest import CHECKOUT
from tests.docs_play import blocks_of, commands_of

EXAMPLE = CHECKOUT / "eval" / "experiments" / "example.toml"
PAGE = (CHECKOUT / "docs" / "experiments.md").read_text(encoding="utf-8")


def test_the_example_gives_the_table_shown(tmp_path: Path) -> None:
    pytest.importorskip("ir_measures", reason="needs the extra listwise[eval]")
    command, *_ = commands_of(blocks_of(PAGE)[0].text)
    shown = command.shown.splitlines()
    assert command.words == ("listwise", "experiment", "run", "eval/experiments/example.toml")
    arguments = [sys.executable, "-m", *command.words, "--out", str(tmp_path / "example")]
    env = {**os.environ}  # not that of the C library, in which readline puts a width
    done = subprocess.run(
        arguments, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    printed = [line.rstrip() for line in done.stdout.splitlines()]
    assert len(printed) == len(shown)
    for line, said in zip(shown, printed, strict=True):
        if "model" not in line:  # whose scores depend on the processor in the last place
            assert line == said


def test_the_file_shown_is_read_as_it_is_said_to_be(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "trial.toml"
    file.write_text(text)
    names = [system.name for system in systems_of(read_definition(file))]
    assert len(names) == 2 + 2 + 1 + 2 + 4 + 6 + 3
    assert "our server votes=1 seed=1" in names
    assert "small LLMs openai-gpt-4o-mini topdown" in names
    assert "embedded model over SPLADE++" in names


@pytest.mark.parametrize("model", [Definition, Recorded, Vote, Reranked])
def test_every_key_is_explained(model: type[Definition] | type[Recorded] | type[Vote] | type[Reranked]) -> None:
    for key in model.model_fields:
        assert f"`{key}`" in PAGE or f"`[{key}]`" in PAGE or f"[{key}." in PAGE, key


@pytest.mark.parametrize(
    "file", sorted((CHECKOUT / "eval" / "experiments").glob("*.toml")), ids=lambda file: file.stem
)
def test_shipped_experiments_are_valid(file: Path) -> None:
    assert systems_of(read_definition(file))


def test_a_page_can_be_made_of_the_folder(tmp_path: Path) -> None:
    pytest.importorskip("ir_measures", reason="needs the extra listwise[eval]")
    folder = tmp_path / "example"
    for command in (["run", str(EXAMPLE), "--out", str(folder)], ["report", str(folder), "--no-figures"]):
        done = CliRunner().invoke(cli, ["experiment", *command])
        assert done.exit_code == 0, done.output
    page = (folder / "report.html").read_text(encoding="utf-8")
    for system in ("words", "embedded model", "words and model", "strong LLM topdown"):
        assert system in page
    again = CliRunner().invoke(cli, ["experiment", "run", str(EXAMPLE), "--out", str(folder)])
    assert again.exit_code == 0, again.output  # the page in the folder is not in the way
    assert (folder / "report.html").is_file()
