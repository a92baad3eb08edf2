"""``listwise spend``, and budgets over runs, as a user meets them."""

from __future__ import annotations

import csv
import io
import json
import signal
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.conftest import Shell, last_first
from tests.cli.test_rerank import wait_for
from tests.loopback import Hang, ScriptedServer, failure

PRICES = '["openai/gpt-4o"]\ninput = 2.5\noutput = 10\n'


@pytest.fixture
def priced(shell: Shell) -> Shell:
    (shell.folder / "prices.toml").write_text(PRICES)
    return shell


def rerank(shell: Shell, url: str, *more: str) -> tuple[str | Path, ...]:
    return shell.rerank(url, "--prices", "prices.toml", "--receipts", "receipts.jsonl", *more)


def billed(server: ScriptedServer) -> Decimal:
    return sum((Decimal(i) * 5 / 2 + Decimal(o) * 10 for i, o in server.billed), Decimal(0)) / 10**6


def lines(shell: Shell, *options: str) -> list[dict[str, object]]:
    done = shell.run("spend", *options, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_the_bill_is_what_the_server_billed_however_it_is_cut(priced: Shell) -> None:
    failures = iter([failure(500, retry_after="0")])
    with ScriptedServer(lambda asked: next(failures, None) or last_first(asked)) as server:
        assert (
            priced.run(*rerank(priced, server.base_url, "--run-id", "monday", "--account", "team")).returncode == 0
        )
        assert priced.run(*rerank(priced, server.base_url, "--run-id", "tuesday")).returncode == 0
        bill = billed(server)
    for by in ("day", "run", "account", "model", "route"):
        cut = lines(priced, "--by", by)
        assert sum(Decimal(str(line["usd"])) for line in cut) == bill, by
    runs = {str(line["name"]): line for line in lines(priced, "--by", "run")}
    assert (runs["monday"]["rejected"], runs["monday"]["retries"], runs["monday"]["cached"]) == (1, 1, 0)
    assert (runs["tuesday"]["answered"], runs["tuesday"]["cached"]) == (0, runs["monday"]["answered"])
    assert [line["name"] for line in lines(priced, "--by", "account")] == ["default", "team"]
    assert lines(priced, "--since", "2999-01-01") == []
    table = priced.run("spend", "--by", "model").stdout
    assert "openai/gpt-4o" in table
    rows = list(csv.DictReader(io.StringIO(priced.run("spend", "--by", "run", "--format", "csv").stdout)))
    assert [row["name"] for row in rows] == ["monday", "tuesday"]


def test_a_cap_for_the_run_holds_over_restarts(priced: Shell) -> None:
    with ScriptedServer(last_first) as server:
        options = ("--budget-total", "0.02", "--run-id", "r", "--cache", "off")
        done = priced.run(*rerank(priced, server.base_url, *options))
        assert done.returncode == 0, done.stderr
        once = billed(server)
        again = priced.run(*rerank(priced, server.base_url, *options))
        assert again.returncode == 0
        assert Decimal(0) < once <= billed(server) <= Decimal("0.02")
    receipts = priced.records("receipts.jsonl")
    assert any("run r: USD budget of 0.02 reached" in str(receipt["degraded"]) for receipt in receipts)
    assert len(priced.lines("out.trec")) == 4 * 30


@pytest.mark.parametrize("option", ["--budget-day", "--budget-account"])
def test_caps_of_an_account_hold_over_runs(priced: Shell, option: str) -> None:
    with ScriptedServer(last_first) as server:
        for _ in range(2):
            priced.run(*rerank(priced, server.base_url, option, "0.02", "--cache", "off", "--account", "team"))
        capped = billed(server)
        assert Decimal(0) < capped <= Decimal("0.02")
        priced.run(*rerank(priced, server.base_url, option, "0.02", "--cache", "off", "--account", "other"))
        assert billed(server) > capped


def test_a_kept_cap_holds_for_those_who_do_not_ask_for_one(priced: Shell) -> None:
    shown = priced.run("spend", "cap", "team", "--total", "0.02", "--day", "5")
    assert shown.stdout.splitlines()[0].startswith("team: at most $0.02 in all")
    with ScriptedServer(last_first) as server:
        priced.run(*rerank(priced, server.base_url, "--account", "team"))
        assert Decimal(0) < billed(server) <= Decimal("0.02")
        unpriced = priced.run(*priced.rerank(server.base_url, "--account", "team"))
        assert unpriced.returncode == 2
        assert "no price is known" in unpriced.stderr
    assert (
        priced.run("spend", "cap", "team", "--total", "none", "--day", "none").stdout == "team: no caps are kept\n"
    )


def test_what_a_killed_run_left_is_said_and_can_be_closed(priced: Shell) -> None:
    with ScriptedServer(Hang()) as server:
        process = priced.start(*rerank(priced, server.base_url))
        wait_for(lambda: len(server.asked) == 4)
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    assert "4 attempts of processes that died still count as spent" in priced.run("spend").stderr
    assert len(priced.run("spend", "reconcile").stdout.splitlines()) == 6
    one = priced.run("spend", "reconcile", "--release", "--id", "1")
    assert one.stdout == "1 attempts closed; they count as $0\n"
    assert priced.run("spend", "reconcile", "--usd", "0.001").stdout == "3 attempts closed; they count as $0.003\n"
    assert priced.run("spend", "reconcile").stdout == "nothing was left behind\n"
    (line,) = lines(priced, "--by", "account")
    assert (line["usd"], line["open"]) == ("0.003", 0)


def test_an_interrupted_run_settles_what_was_in_flight(priced: Shell) -> None:
    with ScriptedServer(Hang()) as server:
        process = priced.start(*rerank(priced, server.base_url))
        wait_for(lambda: len(server.asked) == 4)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    (line,) = lines(priced, "--by", "run")
    assert (line["unknown"], line["open"], line["queries"]) == (4, 0, 4)
    assert Decimal(str(line["usd"])) > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("spend", "--run", "nowhere"), "no run 'nowhere'"),
        (("spend", "--ledger", "no.db"), "nothing was spent"),
        (("spend", "reconcile", "--usd", "much"), "no amount"),
        (("spend", "reconcile", "--charge", "--release"), "one of"),
        (("spend", "cap", "--total", "3"), "whose cap"),
        (("rerank", "--query", "a", "--passages", "-", "--ledger", "off", "--budget-day", "3"), "needs a ledger"),
    ],
)
def test_what_cannot_be_is_said(priced: Shell, arguments: tuple[str, ...], words: str) -> None:
    with ScriptedServer(last_first) as server:
        priced.run(*rerank(priced, server.base_url))
    done = priced.run(*arguments, stdin="a\nb\n")
    assert done.returncode == 2
    assert words in done.stderr
