"""The ledger in a file: over tasks, threads, processes, forks, crashes, full disks and files that are none."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path

import pytest

from listwise.errors import BudgetExceeded, ConfigError, InputError, LedgerFailed
from listwise.spend.history import GROUPINGS, UNFINISHED, Filter, History
from listwise.spend.ledger import Entry, Scope
from listwise.spend.money import usd_of
from listwise.spend.owner import Owner
from listwise.spend.purse import Caps, Purse
from listwise.spend.sqlite import SqliteLedger
from listwise.spend.tab import Budget, Tab
from listwise.types import Receipt, Route, Usage
from tests.spend.conftest import ACCOUNT, ENTRY, RUN, held


async def test_it_settles_releases_and_is_private(ledger: SqliteLedger, path: Path) -> None:
    first = await ledger.reserve((RUN, ACCOUNT), 600, ENTRY)
    second = await ledger.reserve((RUN, ACCOUNT), 400, ENTRY)
    ledger.settle(first, 250, usage=Usage(20, output_tokens=5))
    ledger.release(second)
    await ledger.flush()
    assert held(path, RUN) == held(path, ACCOUNT) == 250
    (line,) = History(path).report("run")
    assert (line.answered, line.rejected, line.input_tokens, line.usd) == (1, 1, 20, Decimal("0.00000025"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_what_does_not_fit_one_scope_is_held_in_none(ledger: SqliteLedger, path: Path) -> None:
    with pytest.raises(BudgetExceeded, match=r"run r: USD budget of 0\.000001 reached"):
        await ledger.reserve((ACCOUNT, RUN), 1001, ENTRY)
    assert held(path, RUN) == held(path, ACCOUNT) == 0


async def test_a_cost_above_the_reservation_counts_in_full(ledger: SqliteLedger, path: Path) -> None:
    ledger.settle(await ledger.reserve((RUN,), 600, ENTRY), 1500)
    with pytest.raises(BudgetExceeded) as refusal:
        await ledger.reserve((RUN,), 1, ENTRY)
    assert not refusal.value.pending
    assert held(path, RUN) == 1500


async def test_kept_caps_hold_whatever_the_asker_says(ledger: SqliteLedger, path: Path) -> None:
    History(path).keep_cap("a", "account", Decimal("0.0000003"))
    assert ledger.caps("a") == {"account": 300}
    with pytest.raises(BudgetExceeded, match="account a"):
        await ledger.reserve((RUN, Scope("account", "a")), 301, ENTRY)
    await ledger.reserve((RUN, Scope("account", "a")), 300, ENTRY)
    History(path).keep_cap("a", "account", None)
    await ledger.reserve((RUN, Scope("account", "a")), 301, ENTRY)


def test_threads_and_loops_cannot_overdraw(ledger: SqliteLedger, path: Path) -> None:
    async def spend() -> int:
        with suppress(BudgetExceeded):
            ledger.settle(await ledger.reserve((RUN,), 30, ENTRY), 30)
            return 30
        return 0

    async def often() -> int:
        return sum(await asyncio.gather(*(spend() for _ in range(20))))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: asyncio.run(often()), range(4))) == 990
    ledger.close()
    assert held(path, RUN) == 990


async def test_a_cancelled_reservation_is_given_back(ledger: SqliteLedger, path: Path) -> None:
    for pause in (0.0, 0.0002, 0.0005, 0.001):
        tasks = [asyncio.create_task(ledger.reserve((RUN,), 10, ENTRY)) for _ in range(20)]
        await asyncio.sleep(pause)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(outcome, BaseException):
                ledger.release(outcome)
        async with asyncio.timeout(10):
            while held(path, RUN):
                await asyncio.sleep(0.02)
                await ledger.flush()


WORKER = """
import asyncio, sys
from contextlib import suppress
from pathlib import Path
from listwise.errors import BudgetExceeded
from listwise.spend.ledger import Entry, Scope
from listwise.spend.sqlite import SqliteLedger

async def main():
    ledger = SqliteLedger(Path(sys.argv[1]))
    async def spend():
        with suppress(BudgetExceeded):
            while True:
                held = await ledger.reserve((Scope("run", "r", 10_000),), 30, Entry(run="r"))
                await asyncio.sleep(0.001)
                ledger.settle(held, 20)
    await asyncio.gather(*(spend() for _ in range(8)))
    await ledger.flush()
    ledger.close()

asyncio.run(main())
"""


def test_processes_that_begin_it_together_cannot_overdraw(path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER, str(path)]) for _ in range(4)]
    assert [worker.wait(timeout=60) for worker in workers] == [0] * 4
    assert 10_000 - 4 * 8 * 30 <= held(path, Scope("run", "r")) <= 10_000
    (line,) = History(path).report("run")
    assert line.usd * 10**9 == 20 * line.answered
    assert line.open == 0


HOLDER = """
import asyncio, sys, time
from pathlib import Path
from listwise.spend.ledger import Entry, Scope
from listwise.spend.sqlite import SqliteLedger

async def main():
    ledger = SqliteLedger(Path(sys.argv[1]))
    entry = Entry(run="r", account="a", qid="q9")
    await ledger.reserve((Scope("run", "r", 1000), Scope("account", "a")), 700, entry)
    print("held", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def killed(path: Path) -> Path:
    """A ledger in which a killed process had 700 reserved."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert History(path).leftovers() == []  # it lives
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return path


async def test_what_a_killed_process_reserved_counts_until_it_is_reconciled(killed: Path) -> None:
    with closing(SqliteLedger(killed)) as ledger:
        with pytest.raises(BudgetExceeded) as refusal:
            await ledger.reserve((RUN,), 301, ENTRY)
        assert not refusal.value.pending  # nobody is going to settle it
        (leftover,) = History(killed).leftovers()
        assert (leftover.qid, leftover.usd, leftover.why) == ("q9", Decimal("0.0000007"), "its process is dead")
        assert History(killed).reconcile([leftover], Decimal("0.0000001")) == (1, Decimal("0.0000001"))
        assert History(killed).leftovers() == []
        assert held(killed, RUN) == held(killed, ACCOUNT) == 100
        await ledger.reserve((RUN,), 900, ENTRY)


def test_reconciled_in_full_it_stays_spent(killed: Path) -> None:
    history = History(killed)
    assert history.reconcile(history.leftovers()) == (1, Decimal("0.0000007"))
    (line,) = history.report("run")
    assert (line.unknown, line.open, line.usd) == (1, 0, Decimal("0.0000007"))


async def test_a_settlement_after_a_reconciliation_corrects_it(ledger: SqliteLedger, path: Path) -> None:
    reservation = await ledger.reserve((RUN,), 700, ENTRY)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE attempt SET owner = 'elsewhere|b|1|2|', expires = 0")
    history = History(path)
    (leftover,) = history.leftovers()
    assert "another machine" in leftover.why
    history.reconcile([leftover])
    ledger.settle(reservation, 200)
    await ledger.flush()
    assert held(path, RUN) == 200


async def test_what_was_settled_since_it_was_listed_stays_as_it_is(ledger: SqliteLedger, path: Path) -> None:
    reservation = await ledger.reserve((RUN,), 700, ENTRY)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE attempt SET owner = 'elsewhere|b|1|2|', expires = 0")
    listed = History(path).leftovers()
    ledger.settle(reservation, 200, usage=Usage(20))
    await ledger.flush()
    assert History(path).reconcile(listed) == (0, Decimal(0))
    (line,) = History(path).report("run")
    assert (line.answered, line.unknown, line.input_tokens) == (1, 0, 20)
    assert held(path, RUN) == 200


@pytest.mark.parametrize("usd", ["1e30", "NaN", "-1"])
async def test_amounts_that_cannot_be_counted_are_refused(ledger: SqliteLedger, path: Path, usd: str) -> None:
    for change in (
        lambda: History(path).keep_cap("a", "day", Decimal(usd)),
        lambda: History(path).reconcile([], Decimal(usd)),
    ):
        with pytest.raises(InputError, match="no amount"):
            change()


async def test_more_than_the_ledger_can_count_is_refused_as_a_whole(ledger: SqliteLedger, path: Path) -> None:
    for _ in range(10):
        await ledger.reserve((RUN,), 1, ENTRY)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE attempt SET owner = 'elsewhere|b|1|2|', expires = 0")
    history = History(path)
    with pytest.raises(InputError, match="more than the ledger can count"):
        history.reconcile(history.leftovers(), Decimal(10**9))
    assert held(path, RUN) == len(history.leftovers()) == 10


def test_a_forked_child_goes_on(ledger: SqliteLedger, path: Path) -> None:
    asyncio.run(ledger.reserve((RUN,), 100, ENTRY))
    code = textwrap.dedent(
        f"""
        import asyncio, os, sys
        from pathlib import Path
        from listwise.spend.ledger import Entry, Scope
        from listwise.spend.sqlite import SqliteLedger
        ledger = SqliteLedger(Path({str(path)!r}))
        asyncio.run(ledger.reserve((Scope("run", "r", 1000),), 100, Entry(run="r")))
        child = os.fork()
        if child == 0:
            asyncio.run(ledger.reserve((Scope("run", "r", 1000),), 100, Entry(run="r")))
            ledger.close()
            os._exit(0)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=30, check=False)
    assert done.returncode == 0
    assert held(path, RUN) == 300


async def test_a_disk_that_is_full_stops_spending_and_nothing_else(
    ledger: SqliteLedger, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reservation = await ledger.reserve((RUN,), 100, ENTRY)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        pages = ledger._writer._connection.execute(
            "PRAGMA max_page_count = 1"
        ).fetchone()  # as if no page were left
        assert pages
        ledger._writer._connection.execute("PRAGMA temp_store = 2")
        big = Entry(run="r", qid="q" * 100_000)
        with pytest.raises(LedgerFailed, match="full"):
            await ledger.reserve((RUN,), 100, big)
        ledger._writer._connection.execute("PRAGMA max_page_count = 1000000")
        ledger.settle(reservation, 40)
        await ledger.flush()
        assert other.execute("SELECT settled, reserved FROM scope WHERE key = 'run r'").fetchone() == (40, 0)


async def test_an_entry_that_cannot_be_written_harms_no_other(ledger: SqliteLedger, path: Path) -> None:
    outcomes = await asyncio.gather(
        ledger.reserve((RUN,), 10, ENTRY),
        ledger.reserve((RUN,), 10, Entry(run="r", qid="\ud800")),
        ledger.reserve((RUN,), 10, ENTRY),
        return_exceptions=True,
    )
    assert [isinstance(outcome, LedgerFailed) for outcome in outcomes] == [False, True, False]
    assert held(path, RUN) == 20


async def test_after_closing_nothing_can_be_spent(ledger: SqliteLedger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerFailed, match="closed"):
        await ledger.reserve((RUN,), 1, ENTRY)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"garbage that is no database" * 100, "cannot be used"), (b"", None)],
)
def test_a_file_that_is_no_ledger_is_not_replaced(tmp_path: Path, content: bytes, words: str | None) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(content)
    if words is None:
        SqliteLedger(file).close()
        return
    with pytest.raises(ConfigError, match=words):
        SqliteLedger(file)
    assert file.read_bytes() == content


def test_other_programs_databases_and_newer_ledgers_are_refused(tmp_path: Path, path: Path) -> None:
    foreign = tmp_path / "f.db"
    with closing(sqlite3.connect(foreign)) as db:
        db.execute("CREATE TABLE t (a)")
    with pytest.raises(ConfigError, match="another program's"):
        SqliteLedger(foreign)
    SqliteLedger(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="newer listwise"):
        SqliteLedger(path)


def test_the_running_process_lives_and_one_with_its_number_before_it_does_not() -> None:
    here = Owner.of_this_process()
    assert Owner.parse(str(here)) == here
    assert here.lives(here) is True
    assert here._replace(started="1").lives(here) is False
    assert here._replace(space="pid:[1]", pid=2**22).lives(here) is None, "a container sees only its own"
    assert here._replace(boot="other").lives(here) is False
    assert here._replace(host="other").lives(here) is None
    assert here._replace(pid=2**22 + os.getpid()).lives(here) is False


async def test_days_and_accounts_count_over_runs(ledger: SqliteLedger, path: Path) -> None:
    moment = [1_700_000_000.0]
    caps = Caps(day=Decimal("0.000001"), account=Decimal("0.0000015"))

    async def spend(run: str) -> None:
        tab = Tab("q", Budget(), Purse(ledger, run, "team", caps, lambda: moment[0]))
        tab.settle(await tab.reserve(10, 900), Usage(10), 900)

    await spend("first")
    with pytest.raises(BudgetExceeded, match="day team 2023-11-14"):
        await spend("second")
    moment[0] += 86_400
    with pytest.raises(BudgetExceeded, match="account team"):
        await spend("third")


async def test_a_report_shows_attempts_as_what_they_were(ledger: SqliteLedger, path: Path) -> None:
    tab = Tab("q1", Budget(), Purse(ledger, "r1"))
    entry = Entry(model="openai/m", passages=20)
    tab.settle(await tab.reserve(10, 900, entry), Usage(100, output_tokens=7), 500)
    tab.release(await tab.reserve(10, 900, entry))
    tab.release(await tab.reserve(10, 900, entry), sent=False)
    tab.charge(await tab.reserve(10, 900, entry), 10, 900)
    tab.cached(entry, Usage(100, output_tokens=7))
    await tab.reserve(10, 300, entry)
    await ledger.flush()
    (line,) = History(path).report("model", Filter(run="r1"))
    assert (line.name, line.answered, line.rejected, line.unknown, line.cached, line.open) == (
        *("openai/m", 1, 1, 1),
        *(1, 1),
    )
    assert (line.input_tokens, line.output_tokens) == (100, 7)
    assert (int(line.usd * 10**9), int(line.reserved_usd * 10**9)) == (1400, 300)
    assert History(path).report("model", Filter(run="other")) == []


async def test_by_route_it_adds_up_to_the_same_dollars(path: Path) -> None:
    now = [1000.0]
    with closing(SqliteLedger(path, clock=lambda: now[0])) as ledger:

        async def attempt(run: str, qid: str, spent: int | None, route: Route | None = None) -> None:
            entry = Entry(run=run, qid=qid, model="m")
            reservation = await ledger.reserve((Scope("run", run),), 1000, entry)
            now[0] += 1
            if spent is not None:
                ledger.settle(reservation, spent)
            if route is not None:
                ledger.ranked(entry, Receipt(qid, route, "", 1, usd=usd_of(spent or 0)))
            await ledger.flush()
            now[0] += 1

        await attempt("r", "q1", 1, "llm")
        await attempt("r", "q2", 10)  # its process was killed before the query was ranked
        await attempt("r", "q3", None)
        await attempt("r", "q4", 100)  # as it was, but the run went on
        await attempt("r", "q4", 1000, "local")
        await attempt("r", "q1", 10_000)  # killed when it was about to rank it once more
        await attempt("other", "q2", 100_000, "llm")
        await ledger.reserve((), 7, ENTRY)
        await ledger.flush()
    history = History(path)
    lines = {line.name: line for line in history.report("route")}
    assert {name: (int(line.usd * 10**9), line.queries) for name, line in lines.items()} == {
        "llm": (100_001, 2),
        "local": (1100, 1),
        UNFINISHED: (10_010, 0),
    }
    assert (lines[UNFINISHED].answered, lines[UNFINISHED].open) == (2, 2)
    for by in GROUPINGS:
        cut = history.report(by)
        assert sum(line.usd for line in cut) * 10**9 == 111_111
        assert sum(line.reserved_usd for line in cut) * 10**9 == 1007
    (line,) = history.report("route", Filter(run="other"))
    assert (line.name, line.queries, line.answered) == ("llm", 1, 1)


async def test_what_was_written_off_is_among_what_cost_nothing(killed: Path) -> None:
    history = History(killed)
    history.reconcile(history.leftovers(), Decimal(0))
    (line,) = history.report("run")
    assert (line.rejected, line.unknown, line.open) == (1, 0, 0)
    assert not line.usd


def test_a_run_keeps_the_plan_that_was_known_when_it_began(ledger: SqliteLedger, path: Path) -> None:
    history = History(path)
    history.keep_plan("work", {"expected_usd": 1})
    history.keep_run("first", "a", {}, "work")
    history.keep_plan("work", {"expected_usd": 2})
    history.keep_run("first", "a", {}, "work")
    history.keep_run("second", "a", {}, "work")
    history.keep_run("third", "a", {}, "other work")
    records = [history.run(name) for name in ("first", "second", "third")]
    assert [record and record.plan for record in records] == [{"expected_usd": 1}, {"expected_usd": 2}, None]


def test_a_ledger_behind_a_link_to_nowhere_is_private(tmp_path: Path) -> None:
    link, file = tmp_path / "link.db", tmp_path / "new" / "real.db"
    link.symlink_to(file)
    SqliteLedger(link).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert History(link).report("day") == []


def test_of_an_empty_file_nothing_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    file.write_bytes(b"")
    with pytest.raises(InputError, match="nothing was spent"):
        History(file).report("day")
    assert file.read_bytes() == b""


REPORT = """
import encodings.ascii, os, sys  # while the interpreter's files can be read
from listwise.errors import ConfigError
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
history = History(Path(sys.argv[1]))
try:
    print(int(history.held("run", "r") * 10**9), len(history.report("route")), len(history.leftovers()))
    history.keep_cap("a", "day", None)
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("left_in_the_log", [False, True])
async def test_where_nothing_can_be_written_it_can_be_reported(left_in_the_log: bool) -> None:
    with tempfile.TemporaryDirectory() as name:  # where every user can go
        folder = Path(name)
        file = folder / "a %20? ledger.db"
        with closing(SqliteLedger(folder / "l.db")) as ledger:
            ledger.settle(await ledger.reserve((RUN,), 600, ENTRY), 250)
            await ledger.flush()
            if left_in_the_log:
                shutil.copy(folder / "l.db-wal", f"{file}-wal")
                shutil.copy(folder / "l.db", file)
        if not left_in_the_log:
            shutil.move(folder / "l.db", file)
        for each in folder.iterdir():
            each.chmod(0o444)
        folder.chmod(0o555)
        reported = await asyncio.to_thread(python, REPORT, str(file))
        folder.chmod(0o755)
    first, *rest = reported.splitlines()
    if left_in_the_log:
        assert "its latest entries are still in a %20? ledger.db-wal" in first
    else:
        assert (first, len(rest)) == ("250 1 0", 1)
        assert "cannot be" in rest[0]


async def test_a_report_beside_the_writer_takes_no_locks_away(ledger: SqliteLedger, path: Path) -> None:
    """SQLite deletes the log when the last process goes, and knows who is left by their locks."""
    await ledger.reserve((RUN,), 100, ENTRY)
    assert held(path, RUN) == 100
    SqliteLedger(path).close()
    await asyncio.to_thread(python, f"SqliteLedger(Path({str(path)!r})).close()")
    await ledger.reserve((RUN,), 200, ENTRY)
    seen = await asyncio.to_thread(python, f"print(History(Path({str(path)!r})).held('run', 'r'))")
    assert Decimal(seen) * 10**9 == 300


def test_a_report_leaves_no_files_behind(path: Path) -> None:
    SqliteLedger(path).close()
    assert History(path).report("day") == []
    assert list(path.parent.iterdir()) == [path]


def python(code: str, *arguments: str) -> str:
    """What some code prints in a process of its own."""
    imports = "from pathlib import Path; from listwise.spend.history import History; "
    imports += "from listwise.spend.sqlite import SqliteLedger; "
    done = subprocess.run(
        [sys.executable, "-c", imports + code, *arguments], timeout=30, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
