"""One service that most tests can share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.serving import Served, served, settings


@pytest.fixture(scope="module")
def local() -> Iterator[Served]:
    """The local tier alone."""
    with served(settings()) as service:
        yield service
