"""The README's Python runs as it stands."""

from __future__ import annotations

import re

import pytest

from tests.conftest import CHECKOUT

EXAMPLES = re.findall(r"```python\n(.*?)```", (CHECKOUT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    shown = capsys.readouterr().out
    for line, comment in re.findall(r"^print\(.*?\)\s+# (.*?)(?::.*)?$()", code, re.MULTILINE):
        assert line in shown, comment


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3
