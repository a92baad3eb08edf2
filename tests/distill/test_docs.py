"""docs/distill.md is played with torch, from a tiny model with random weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra listwise[train]")

from tests.conftest import CHECKOUT
from tests.docs_play import play
from tests.docs_player import player
from tests.docs_prepared import prepare

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]


def test_the_page_does_what_it_shows(bert: Path, tmp_path: Path) -> None:
    path = CHECKOUT / "docs" / "distill.md"
    prepare(path, tmp_path)
    shutil.copytree(bert, tmp_path / "cross-encoder")
    page = path.read_text(encoding="utf-8")
    with player(tmp_path, page) as playing:
        assert play(page, playing) >= 6
    assert (tmp_path / "exported" / "model.onnx").is_file()
