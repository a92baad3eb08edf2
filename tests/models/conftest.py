"""Every test that asks for ``adapter`` runs once over each."""

from __future__ import annotations

import pytest

from tests.models.adapters import ADAPTERS, Adapter


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: adapter.label)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    found: Adapter = request.param
    return found
