"""`python -m eval.benchmarks.restarts` in short: a service that is stopped, or killed, over and over under load."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest

from eval.benchmarks.loopback import Figures
from eval.benchmarks.restarts import HEADINGS, Found, Trial, run
from eval.benchmarks.retrying import Heard
from listwise.spend.history import Line
from tests.cli.conftest import Shell
from tests.serve.test_commands import answers, serving
from tests.serve.test_staying_up import until


@pytest.mark.slow
@pytest.mark.parametrize(
    "trial",
    [
        Trial(100, 1.0, signal.SIGTERM, clients=16, when_ready=True, cap_usd=Decimal("0.2")),
        Trial(100, 1.0, signal.SIGKILL, clients=16, when_ready=True),
    ],
    ids=["stopped, and over the cap", "killed"],
)
def test_every_question_is_answered_once_and_the_ledger_has_the_bill(trial: Trial, tmp_path: Path) -> None:
    found = run(trial, tmp_path)
    assert found.broken() == []
    assert found.exits
    assert found.heard.by_llm > 0
    capped = trial.cap_usd < 1
    assert (found.heard.over_cap > 0) == capped
    assert found.heard.by_llm + found.heard.over_cap == trial.requests
    assert not capped or found.bill_usd > Decimal("0.15")


@pytest.mark.slow
def test_workers_go_when_their_parent_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTWISE_KEYS", str(tmp_path / "keys.json"))
    with serving(Shell(tmp_path), "--workers", "2") as (process, url):
        until(lambda: answers(url))
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
        process.kill()
        process.wait()
        try:
            until(lambda: is_free(int(url.rpartition(":")[2])))
        finally:
            for worker in workers:
                with suppress(ProcessLookupError):
                    os.kill(int(worker), signal.SIGKILL)


def is_free(port: int) -> bool:
    """Whether another service could listen there."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def found(**changed: object) -> Found:
    """A trial of two questions that went well, but for what is changed."""
    heard = Heard(Counter({"q0": 1, "q1": 1}))
    billed = Figures(2, 0, 1, 1.0, 0.1, input_tokens=1000, output_tokens=50)
    books = Line("load", answered=2, usd=Decimal("0.003"))
    good: dict[str, object] = {
        **{"trial": Trial(2), "heard": heard, "billed": billed, "books": books, "held_usd": Decimal("0.003")},
        **{"served": Counter({"q0": 1, "q1": 1}), "exits": Counter({0: 1}), "signals": 1, "seconds": 1.0},
    }
    return Found(**{**good, **changed})  # type: ignore[arg-type]


def test_what_breaks_the_contract_is_seen() -> None:
    assert found().broken() == []
    less = Line("load", answered=2, usd=Decimal("0.002"))
    for changed, said in (
        ({"heard": Heard(Counter({"q0": 1}))}, "1 questions were not answered exactly once"),
        ({"heard": Heard(Counter({"q0": 1, "q1": 1}), wrong=["q1: 500"])}, "1 wrong answers"),
        ({"books": less, "held_usd": less.usd}, "below the provider's bill"),
        ({"held_usd": Decimal("0.001")}, "the caps count something else"),
        ({"trial": Trial(2, cap_usd=Decimal("0.001"))}, "above the cap"),
        ({"served": Counter({"q0": 2, "q1": 1})}, "answered twice"),
        ({"exits": Counter({1: 1})}, "processes ended with {1: 1}"),
        ({"exits": Counter()}, "no process was ended"),
    ):
        assert any(said in what for what in found(**changed).broken()), said
    killed = {"trial": Trial(2, signal=signal.SIGKILL), "exits": Counter({-9: 1})}
    open_too = Line("load", answered=2, open=1, usd=Decimal("0.003"), reserved_usd=Decimal("0.001"))
    assert found(**killed, books=open_too, held_usd=Decimal("0.004")).broken() == []


def test_the_table_has_a_cell_for_each_heading() -> None:
    assert found().row().count("|") == len(HEADINGS) + 1
