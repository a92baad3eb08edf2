"""docs/report.md is played as it stands, from top to bottom."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.conftest import CHECKOUT
from tests.eval.results_folder import make

PAGE = (CHECKOUT / "docs" / "report.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


def commands() -> list[tuple[list[str], str]]:
    """Arguments and what the page shows of their output."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.replace("\\\n", " "), re.DOTALL)
    return [(shlex.split(line), shown) for block in blocks for line, shown in COMMAND.findall(block)]


def tidy(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_every_command_prints_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``cat`` makes the file; a command without output shown must only succeed."""
    shell = Shell(tmp_path)
    own = shell.environment()
    monkeypatch.setattr(Shell, "environment", lambda self: {**own, "COLUMNS": "80"})
    make(tmp_path / "results" / "made-up", 3)
    played = 0
    for (program, *arguments), shown in commands():
        if program == "cat":
            (tmp_path / arguments[0]).write_text(shown)
            continue
        assert program == "listwise"
        done = shell.run(*arguments)
        assert done.returncode == 0, done.stderr
        if shown:
            assert tidy(done.stdout) == tidy(shown), arguments
        played += 1
    assert played == 4
    written = tmp_path / "results" / "made-up"
    assert (written / "report.html").is_file()
    assert {path.suffix for path in (written / "figures").iterdir()} == {".svg", ".png"}


def test_the_page_names_every_option_and_every_file(tmp_path: Path) -> None:
    from listwise.cli.show_command import command

    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", PAGE))
    make(tmp_path, 1)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} <= set(re.findall(r"`(\w+\.\w+)`", PAGE))
