"""Which ledger is used, and when there may be none."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from listwise import Reranker
from listwise.errors import ConfigError
from listwise.spend.opening import open_ledger
from listwise.spend.purse import Caps
from listwise.spend.sqlite import SqliteLedger
from tests.layers.models import MemoryModel

RUN_CAP = Caps(run=Decimal(1))


@pytest.fixture
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The usual place."""
    monkeypatch.delenv("LISTWISE_LEDGER", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "listwise" / "ledger.db"


def test_where_none_can_be_made_memory_does_unless_a_cap_must_last(usual: Path) -> None:
    usual.parents[1].write_text("a file where a folder should be")
    assert not open_ledger(None, RUN_CAP).keeps
    for chosen, caps, resumed in (
        (None, Caps(day=Decimal(1)), None),
        (None, RUN_CAP, "monday"),
        (str(usual), Caps(), None),
    ):
        with pytest.raises(ConfigError, match="cannot be opened"):
            open_ledger(chosen, caps, resumed=resumed)


def test_one_that_the_environment_names_is_chosen(usual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual.parents[1].write_text("")
    monkeypatch.setenv("LISTWISE_LEDGER", str(usual))
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_ledger(None, Caps())


def test_one_that_is_there_and_broken_may_hold_caps_and_is_not_passed_over(usual: Path) -> None:
    usual.parent.mkdir(parents=True)
    usual.write_bytes(b"garbage" * 1000)
    with pytest.raises(ConfigError, match="it is not replaced, because caps depend on it"):
        open_ledger(None, Caps())


def test_one_that_is_locked_is_not_passed_over(usual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteLedger(usual).close()
    monkeypatch.setattr("listwise.spend.schema.BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(usual, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigError, match="locked"):
            open_ledger(None, Caps())


def test_a_run_that_goes_on_needs_a_ledger_for_its_cap(usual: Path) -> None:
    settings = {"model": MemoryModel(), "local": "none", "price": ("memory/model=1,1",), "budget_total_usd": "1"}
    with pytest.raises(ConfigError, match="shares with other processes needs a ledger"):
        Reranker(run_id="monday", ledger="off", **settings)  # type: ignore[arg-type]
    Reranker(ledger="off", **settings).close()  # type: ignore[arg-type]
    Reranker(run_id="monday", **settings).close()  # type: ignore[arg-type]
    assert usual.is_file()
