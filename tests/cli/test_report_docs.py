"""docs/report.md leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import CHECKOUT
from tests.eval.results_folder import make

PAGE = (CHECKOUT / "docs" / "report.md").read_text(encoding="utf-8")


def test_the_page_names_every_option_and_every_file(tmp_path: Path) -> None:
    from listwise.cli.show_command import command

    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    assert options <= set(re.findall(r"--[a-z-]+", PAGE))
    make(tmp_path, 1)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} <= set(re.findall(r"`(\w+\.\w+)`", PAGE))
