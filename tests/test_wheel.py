"""The wheel, built and installed in an empty environment, works from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(CHECKOUT))
    (built,) = folder.glob("listwise-*.whl")
    return built


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_what_it_should_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    ours = {f"listwise/{path.relative_to(CHECKOUT / 'listwise')}" for path in _files(CHECKOUT / "listwise")}
    for folder in ("prompts", "routing"):
        ours |= {f"listwise/_data/{folder}/{path.name}" for path in _files(CHECKOUT / folder)}
    assert {name for name in names if ".dist-info/" not in name} == ours
    assert "listwise/_data/prompts/rankgpt.yaml" in ours
    assert "listwise/_data/routing/balanced.toml" in ours
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def test_installed_in_an_empty_environment_the_demo_runs(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", str(wheel))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {"PATH": os.defpath, "HOME": str(elsewhere), "COLUMNS": "120"}
    listwise = str(tmp_path / "venv" / "bin" / "listwise")
    shown = run(listwise, "demo", cwd=elsewhere, env=env)
    assert "why is the sky blue" in shown
    assert "route: local" in shown
    assert "receipt: $0" in shown
    assert "rankgpt" in run(listwise, "prompts", "list", cwd=elsewhere, env=env)
    passages = elsewhere / "passages.txt"
    passages.write_text("Paint is blue.\nAir scatters short waves of sunlight, so the sky looks blue.\n")
    ranked = run(
        listwise, "rerank", "--query", "why is the sky blue", "--passages", str(passages), cwd=elsewhere, env=env
    )
    assert ranked.index("Air scatters") < ranked.index("Paint is")
