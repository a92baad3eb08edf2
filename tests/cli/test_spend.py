"""``listwise spend``, and budgets over runs, as a user meets them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import signal
import sqlite3
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from listwise.spend.ledger import Entry, Scope
from listwise.spend.sqlite import SqliteLedger
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
        (("spend", "reconcile", "--usd", "1e30"), "more than the ledger counts"),
        (("spend", "cap", "--total", "3"), "whose cap"),
        (("spend", "cap", "x", "--total", "9223372037"), "at most 1000000000"),
        (("spend", "cap", "x", "--day", "-1"), "no amount"),
        (("spend", "cap", "x", "--day", "nan"), "no amount"),
        (("spend", "cap", "a b", "--day", "1"), "account"),
        (("spend", "cap", "", "--day", "1"), "account"),
        (("plan", "--query", "a", "--passages", "-", "--budget", "1e500000"), "budget_usd"),
        (("rerank", "--query", "a", "--passages", "-", "--ledger", "off", "--budget-day", "3"), "needs a ledger"),
    ],
)
def test_what_cannot_be_is_said(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    asyncio.run(filled(shell.folder / "ledger.db", Entry(run="r", qid="q", model="m")))
    done = shell.run(*arguments, stdin="a\nb\n")
    assert done.returncode == 2
    assert words in done.stderr


ODD = Entry(run="[/x]", account="=1+1", qid="[/q]", model="[link=x]:smile:")


async def filled(path: Path, entry: Entry) -> None:
    """A ledger with an attempt that was answered, and one that nobody will settle."""
    with closing(SqliteLedger(path)) as ledger:
        scopes = (Scope("run", entry.run), Scope("account", entry.account))
        ledger.settle(await ledger.reserve(scopes, 9, entry), 2)
        await ledger.reserve(scopes, 100, entry)
        await ledger.flush()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE attempt SET owner = 'elsewhere|b|1|2|', expires = 0 WHERE outcome = 'open'")


async def test_names_may_look_like_anything(shell: Shell) -> None:
    await filled(shell.folder / "ledger.db", ODD)
    assert "[/x]" in shell.run("spend", "--by", "run").stdout
    assert "[link=x]:smile:" in shell.run("spend", "--run", "[/x]").stdout
    listed = shell.run("spend", "reconcile").stdout
    assert "[/q]" in listed
    assert "0.0000001 " in listed
    assert "$0.0000001:" in listed
    (row,) = csv.DictReader(io.StringIO(shell.run("spend", "--by", "account", "--format", "csv").stdout))
    assert (row["name"], row["usd"]) == ("'=1+1", "0.000000002")
    (line,) = lines(shell, "--by", "account")
    assert (line["name"], line["usd"]) == ("=1+1", "0.000000002")
    capped = shell.run("spend", "cap", "=1+1", "--total", "0.0000001").stdout
    assert capped == "=1+1: at most $0.0000001 in all; $0.000000102 spent or reserved so far\n"


def test_the_last_of_all_days_is_a_day(priced: Shell) -> None:
    with ScriptedServer(last_first) as server:
        priced.run(*rerank(priced, server.base_url))
    assert len(lines(priced, "--until", "9999-12-31", "--since", "0001-01-01")) == 1


def test_where_nothing_was_spent_that_is_said(priced: Shell) -> None:
    priced.run("spend", "cap", "team", "--total", "1")
    assert "nothing was spent yet" in priced.run("spend").stdout
    assert "fits these options" in priced.run("spend", "--account", "team").stdout
    assert lines(priced) == []


def test_a_run_is_held_against_the_plan_that_was_known_when_it_began(priced: Shell) -> None:
    with ScriptedServer(last_first) as server:
        run = rerank(priced, server.base_url, "--budget-total", "0.02")
        same = [word for word in run[1:] if word not in ("--out", "out.trec", "--receipts", "receipts.jsonl")]
        assert priced.run("plan", *same).returncode == 0
        assert priced.run(*run, "--run-id", "r", "--rpm", "9999").returncode == 0
        assert priced.run("plan", *same).returncode == 0  # of what is left of it: the rest is in the cache
    shown = priced.run("spend", "--run", "r").stdout
    assert "planned $0.0" in shown
    assert "planned $0," not in shown
    assert "it began with a cap of $0.0200, of which $0.0" in shown
