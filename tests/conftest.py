"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Timings live in benchmarks. `pytest --hypothesis-profile thorough` looks longer.
settings.register_profile("listwise", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile("listwise")

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: many tests wait, for processes and for time to pass."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + cores // 2


@pytest.fixture(scope="session")
def data() -> Path:
    """Judged research data, which is not part of this repository."""
    folder = Path(os.environ.get("LISTWISE_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("needs the judged data: set LISTWISE_DATA to its folder")
    return folder


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache and ledger, sees the user's keys, or how wide the terminal is."""
    monkeypatch.setenv("LISTWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LISTWISE_LEDGER", str(tmp_path / "ledger.db"))
    for provider in ("OPENAI", "ANTHROPIC", "VLLM", "COHERE", "JINA", "VOYAGE", "TEI"):
        monkeypatch.delenv(f"{provider}_BASE_URL", raising=False)
        monkeypatch.delenv(f"{provider}_API_KEY", raising=False)
    monkeypatch.delenv("CO_API_KEY", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
