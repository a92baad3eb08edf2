"""An application that traces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.telemetry.tracing import Kept, kept


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    with kept(monkeypatch) as keeping:
        yield keeping
