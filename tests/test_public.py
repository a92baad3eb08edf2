"""What users may rely on: names, import cost, and the files of the wheel."""

from __future__ import annotations

import subprocess
import sys

import pytest

import listwise

NAMES = [
    "AnswerError",
    "Budget",
    "BudgetExceeded",
    "CallError",
    "Candidate",
    "ConfigError",
    "InputError",
    "ListwiseError",
    "Policy",
    "Query",
    "Ranking",
    "Receipt",
    "Request",
    "Reranker",
    "StepTrace",
    "Usage",
    "WindowTrace",
]


def test_the_public_names() -> None:
    assert listwise.__all__ == NAMES
    for name in NAMES:
        assert getattr(listwise, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Rerank'"):
        _ = listwise.Rerank


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("code", ["import listwise", "import listwise.cli\nlistwise.cli.cli.get_help"])
def test_importing_loads_nothing_heavy(code: str) -> None:
    heavy = {
        "openai",
        "anthropic",
        "onnxruntime",
        "numpy",
        "pydantic",
        "diskcache",
        "httpx",
        "rich",
        "tokenizers",
        "asyncio",
    }
    assert not heavy & modules_after(code)


def test_help_imports_no_command() -> None:
    code = """
from click.testing import CliRunner
from listwise.cli import cli
assert "rerank" in CliRunner().invoke(cli, ["--help"]).output
"""
    assert not {"listwise.cli.rerank_command", "listwise.reranker", "openai", "pydantic"} & modules_after(code)


def test_the_library_needs_no_torch() -> None:
    assert "torch" not in modules_after("from listwise import Reranker\nReranker()")
