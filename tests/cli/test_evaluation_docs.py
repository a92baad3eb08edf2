"""docs/evaluation.md is played as it stands, from top to bottom."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from listwise.cli import cli
from tests.conftest import CHECKOUT

PAGE = (CHECKOUT / "docs" / "evaluation.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
SECONDS = re.compile(r" +\d+\.\d\d(?= +\$)")
"""The only figure that differs from run to run."""


def commands() -> list[tuple[list[str], str]]:
    """Arguments and what the page shows of their output."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.replace("\\\n", " "), re.DOTALL)
    return [(shlex.split(line), shown) for block in blocks for line, shown in COMMAND.findall(block)]


def tidy(text: str) -> list[str]:
    return [line.rstrip() for line in SECONDS.sub(" s", text).splitlines()]


def test_every_command_prints_what_the_page_shows_and_the_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``cat`` makes the file; a command without output shown must only succeed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    played = 0
    for (program, *arguments), shown in commands():
        if program == "cat":
            path = Path(arguments[0])
            path.parent.mkdir(exist_ok=True)
            path.write_text(shown)
            continue
        assert program == "listwise"
        done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
        if shown:
            assert tidy(done.stdout) == tidy(shown), arguments
        played += 1
    assert played >= 8
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "evaluation.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.split() == re.findall(r"^print\(.*\) +# (.*)$", code, re.MULTILINE)
