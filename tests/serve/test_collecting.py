"""The garbage collector of a process that serves."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from listwise.serve.collecting import YOUNG, settle, uncollected


@pytest.fixture
def as_it_was() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_a_start_is_not_interrupted_and_then_left_alone(as_it_was: None) -> None:
    with uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    settle()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold()[0] == YOUNG
