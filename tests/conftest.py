"""Fixtures that all tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed does not depend on the terminal that the tests are started from."""
    monkeypatch.delenv("COLUMNS", raising=False)
