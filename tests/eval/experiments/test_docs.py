"""What docs/experiments.md shows is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from listwise.cli import cli
from listwise.eval.experiments.definition import Definition, Recorded, Reranked, Vote, read_definition
from listwise.eval.experiments.systems import systems_of
from tests.conftest import CHECKOUT
from tests.docs_blocks import blocks_of

EXAMPLE = CHECKOUT / "eval" / "experiments" / "example.toml"
PAGE = (CHECKOUT / "docs" / "experiments.md").read_text(encoding="utf-8")


def test_the_file_shown_is_read_as_it_is_said_to_be(tmp_path: Path) -> None:
    (block,) = [block for block in blocks_of(PAGE) if block.name == "every-kind.toml"]
    file = tmp_path / "trial.toml"
    file.write_text(block.text)
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
