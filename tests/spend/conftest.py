"""A ledger in a file, scopes with caps, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from listwise.spend.history import History
from listwise.spend.ledger import Entry, Scope
from listwise.spend.sqlite import SqliteLedger

RUN = Scope("run", "r", 1000)
ACCOUNT = Scope("account", "a", 5000)
ENTRY = Entry(run="r", account="a", qid="q1", model="m")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[SqliteLedger]:
    opened = SqliteLedger(path)
    yield opened
    opened.close()


def held(path: Path, scope: Scope) -> int:
    return int(History(path).held(scope.kind, scope.name) * 10**9)
