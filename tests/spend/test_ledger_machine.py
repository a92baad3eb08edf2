"""Ledgers against a model in plain Python: whatever is done in whatever order, caps hold and sums agree.

A crash is what `kill -9` leaves: the files as they are at some moment, with the last settlements written or not.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from listwise.errors import BudgetExceeded
from listwise.spend.history import History
from listwise.spend.ledger import Ledger, MemoryLedger, Reservation, Scope
from listwise.spend.money import nano_usd_up, usd_of
from listwise.spend.owner import Owner
from listwise.spend.sqlite import SqliteLedger

SCOPES = (
    *(Scope("query", "q0"), Scope("query", "q1"), Scope("run", "r0"), Scope("run", "r1")),
    *(Scope("day", "d"), Scope("account", "a")),
)
AMOUNTS = st.integers(0, 400)
Edge = Literal["fits", "too much", "may yet fit", "never fits"]
EDGES: st.SearchStrategy[Edge] = st.sampled_from(get_args(Edge))
CAPS = st.one_of(st.none(), st.integers(0, 1500))
PATIENCE_S = 100.0


@dataclass
class Attempt:
    """A reservation as the model sees it."""

    reservation: Reservation
    expires: float
    owner: Literal["alive", "dead", "elsewhere"] = "alive"
    state: Literal["open", "settled", "reconciled"] = "open"
    spent: int = 0

    @property
    def id(self) -> int:
        return self.reservation.id

    @property
    def reserved(self) -> int:
        return self.reservation.nano_usd if self.state == "open" else 0

    @property
    def held(self) -> int:
        return self.spent + self.reserved

    def touches(self, scope: Scope) -> bool:
        return scope.key in {each.key for each in self.reservation.scopes}


class LedgerMachine(RuleBasedStateMachine):
    """Reserve, settle, release and forget, as every ledger must do them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.now = 1_700_000_000.0
        self.attempts: list[Attempt] = []
        self.forgotten: dict[str, int] = {}
        """How many of the first attempts a scope has forgotten."""
        self.overrun: set[str] = set()
        """Scopes in which something came out dearer than it was thought to be."""
        self.caps: dict[str, int | None] = {}
        self.ledger: Ledger = self.begin()

    def begin(self) -> Ledger:
        return MemoryLedger()

    def held_by_ledger(self, scope: Scope) -> int:
        assert isinstance(self.ledger, MemoryLedger)
        return self.ledger.held(scope)

    def pending(self, scope: Scope, cap: int, asked: int) -> bool:
        """Whether a refused amount would fit if what is on its way came out free."""
        return self.held(scope) - sum(each.reserved for each in self.under_way(scope)) + asked <= cap

    def under_way(self, scope: Scope) -> list[Attempt]:
        return [each for each in self.in_scope(scope) if each.state == "open"]

    def in_scope(self, scope: Scope) -> list[Attempt]:
        return [each for each in self.attempts[self.forgotten.get(scope.key, 0) :] if each.touches(scope)]

    def held(self, scope: Scope) -> int:
        return sum(each.held for each in self.in_scope(scope))

    def mine(self) -> list[Attempt]:
        """Attempts that this process has still to settle."""
        return [each for each in self.attempts if each.state == "open" and each.owner == "alive"]

    def close(self, attempt: Attempt, nano_usd: int, state: Literal["settled", "reconciled"]) -> None:
        if nano_usd > attempt.held:
            self.overrun |= {scope.key for scope in attempt.reservation.scopes}
        attempt.state, attempt.spent = state, nano_usd

    def amount_at(self, edge: Edge, scopes: tuple[Scope, ...]) -> int:
        """An amount that just fits, or just does not: now, or if all that is under way came out free."""
        rooms = [(s.cap - self.held(s), s) for s in scopes if s.cap is not None]
        if not rooms:
            return 400
        room, tightest = min(rooms, key=lambda pair: pair[0])
        if edge in ("may yet fit", "never fits"):
            room += sum(each.reserved for each in self.under_way(tightest))
        return max(0, room + (edge in ("too much", "never fits")))

    async def ask(self, scopes: tuple[Scope, ...], nano_usd: int) -> Reservation | BudgetExceeded:
        try:
            return await self.ledger.reserve(scopes, nano_usd, patience_s=PATIENCE_S)
        except BudgetExceeded as refusal:
            return refusal

    def wrote(self) -> None:
        """All that was told to the ledger so far is on the disk."""

    def writes(self) -> None:
        """The ledger is going to write, and to wait for the disk."""

    def flush(self) -> None:
        self.writes()
        self.runner.run(self.ledger.flush())
        self.wrote()

    def tells(self, attempt: Attempt) -> None:
        """The ledger is going to be told something about an attempt, and does not wait for the disk."""

    @initialize(caps=st.tuples(*[CAPS] * len(SCOPES)))
    def choose_caps(self, caps: tuple[int | None, ...]) -> None:
        self.caps = {scope.key: cap for scope, cap in zip(SCOPES, caps, strict=True)}

    @rule(query=st.sampled_from((None, 0, 1)), run=st.sampled_from((2, 3)), asked=st.one_of(AMOUNTS, EDGES))
    def reserve(self, query: int | None, run: int, asked: int | Edge) -> None:
        places = (*(() if query is None else (query,)), run, 4, 5)
        scopes = tuple(Scope(SCOPES[at].kind, SCOPES[at].name, self.caps[SCOPES[at].key]) for at in places)
        nano_usd = asked if isinstance(asked, int) else self.amount_at(asked, scopes)
        full = next((s for s in scopes if s.cap is not None and self.held(s) + nano_usd > s.cap), None)
        self.writes()
        answer = self.runner.run(self.ask(scopes, nano_usd))
        if isinstance(answer, Reservation):
            assert full is None, f"granted although it does not fit {full}"
            assert answer.nano_usd == nano_usd
            self.attempts.append(Attempt(answer, self.now + PATIENCE_S))
        else:
            assert full is not None, f"refused although it fits: {answer}"
            assert full.cap is not None
            assert str(answer).startswith(f"{full.kind} {full.name}: USD")
            assert answer.pending == self.pending(full, full.cap, nano_usd)
        self.wrote()

    @precondition(lambda self: self.mine())
    @rule(data=st.data(), share=st.sampled_from((0.0, 0.3, 0.9, 1.0, 1.0, 1.7)))
    def settle(self, data: st.DataObject, share: float) -> None:
        attempt = data.draw(st.sampled_from(self.mine()))
        nano_usd = round(attempt.reserved * share)
        self.tells(attempt)
        self.ledger.settle(attempt.reservation, nano_usd, outcome="answered" if share != 1 else "unknown")
        self.close(attempt, nano_usd, "settled")

    @precondition(lambda self: self.mine())
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        attempt = data.draw(st.sampled_from(self.mine()))
        self.tells(attempt)
        self.ledger.release(attempt.reservation)
        self.close(attempt, 0, "settled")

    @rule(query=st.sampled_from((0, 1)))
    def forget(self, query: int) -> None:
        scope = SCOPES[query]
        if any(each.state != "settled" for each in self.in_scope(scope)):
            return  # nobody forgets a query that is not done
        self.writes()
        self.ledger.forget(scope)
        self.forgotten[scope.key] = len(self.attempts)
        self.overrun.discard(scope.key)
        self.runner.run(self.ledger.flush())
        self.wrote()

    @rule()
    def audit(self) -> None:
        self.flush()
        assert {s.key: self.held_by_ledger(s) for s in SCOPES} == {s.key: self.held(s) for s in SCOPES}

    @invariant()
    def caps_hold(self) -> None:
        for scope in SCOPES:
            cap = self.caps.get(scope.key)
            assert cap is None or scope.key in self.overrun or self.held(scope) <= cap

    def teardown(self) -> None:
        try:
            self.audit()
        finally:
            self.ledger.close()
            self.runner.close()


class SqliteMachine(LedgerMachine):
    """The same, and what a file brings: others who write to it, time that runs out, crashes, and putting the books
    in order after them."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "0", "ledger.db")
        self.crashes = 0
        self.in_doubt: list[tuple[Attempt, Literal["open", "settled", "reconciled"], int]] = []
        """What was told and is not on the disk, with the state before it."""
        self.stalled: sqlite3.Connection | None = None
        """Keeps the ledger from writing."""
        super().__init__()
        self.other = self.begin()

    def begin(self) -> Ledger:
        return SqliteLedger(self.path, clock=lambda: self.now)

    def held_by_ledger(self, scope: Scope) -> int:
        return nano_usd_up(History(self.path).held(scope.kind, scope.name))

    def under_way(self, scope: Scope) -> list[Attempt]:
        """Of dead processes nothing is on its way; of others not after the time that they set themselves."""
        return [each for each in super().under_way(scope) if each.owner != "dead" and each.expires > self.now]

    def wrote(self) -> None:
        self.in_doubt.clear()

    def writes(self) -> None:
        if self.stalled is not None:
            self.stalled.execute("ROLLBACK")
            self.stalled.close()
            self.stalled = None

    def tells(self, attempt: Attempt) -> None:
        if self.stalled is not None:
            self.in_doubt.append((attempt, attempt.state, attempt.spent))

    @precondition(lambda self: self.stalled is None)
    @rule()
    def stall(self) -> None:
        """The disk takes nothing for a while: what is told from now on is lost in a crash."""
        self.runner.run(self.ledger.flush())
        self.stalled = sqlite3.connect(self.path, isolation_level=None)
        self.stalled.execute("BEGIN IMMEDIATE")

    @rule()
    def change_hands(self) -> None:
        """From now on another ledger is told, which has the same file open."""
        self.flush()
        self.ledger, self.other = self.other, self.ledger

    @rule(seconds=st.sampled_from((1.0, 60.0, 150.0)))
    def expire(self, seconds: float) -> None:
        self.now += seconds

    @rule(left=st.sampled_from(("dead", "elsewhere")))
    def crash(self, left: Literal["dead", "elsewhere"]) -> None:
        """The process is killed, here or on a machine that shares the file; another opens what it left."""
        if self.stalled is None:
            self.runner.run(self.ledger.flush())
        self.crashes += 1
        survivor = self.path.parent.parent / str(self.crashes) / self.path.name
        survivor.parent.mkdir()
        for suffix in ("", "-wal"):  # between two transactions, as a journal makes any moment look
            shutil.copy(f"{self.path}{suffix}", f"{survivor}{suffix}")
        self.writes()
        self.ledger.close()
        self.other.close()
        self.path = survivor
        self._disown(left)
        self._take_stock(left)
        self.ledger, self.other = self.begin(), self.begin()

    def _disown(self, left: Literal["dead", "elsewhere"]) -> None:
        here = Owner.of_this_process()
        owner = here._replace(started="1") if left == "dead" else here._replace(host="elsewhere")
        with closing(sqlite3.connect(self.path)) as db, db:
            db.execute("UPDATE attempt SET owner = ? WHERE owner = ?", (str(owner), str(here)))

    def _take_stock(self, left: Literal["dead", "elsewhere"]) -> None:
        """Nothing that was reserved is lost, only what was told since the disk took nothing more."""
        with closing(sqlite3.connect(self.path)) as db:
            outcomes = dict(db.execute("SELECT id, outcome FROM attempt WHERE outcome != 'cached'").fetchall())
            spent = dict(db.execute("SELECT id, spent FROM attempt").fetchall())
        assert outcomes.keys() == {each.id for each in self.attempts}
        for attempt, state, before in reversed(self.in_doubt):
            attempt.state, attempt.spent = state, before
        assert spent == {each.id: each.spent for each in self.attempts}
        self.in_doubt.clear()
        for attempt in self.mine():
            attempt.owner = left

    @rule(share=st.sampled_from((None, 0, 50)))
    def reconcile(self, share: int | None) -> None:
        """Close what dead processes left behind, at its worst case or at a known amount."""
        self.flush()
        expected = {
            each.id: each
            for each in self.attempts
            if each.state == "open"
            and (each.owner == "dead" or (each.owner == "elsewhere" and each.expires < self.now))
        }
        history = History(self.path)
        leftovers = history.leftovers(datetime.fromtimestamp(self.now, UTC))
        assert {each.id: nano_usd_up(each.usd) for each in leftovers} == {
            number: each.reserved for number, each in expected.items()
        }
        each_usd = None if share is None else usd_of(share)
        closed = history.reconcile(leftovers, each_usd)
        for attempt in expected.values():
            self.close(attempt, attempt.reserved if share is None else share, "reconciled")
        assert closed == (len(expected), sum((usd_of(each.spent) for each in expected.values()), Decimal(0)))

    @precondition(lambda self: any(each.state == "reconciled" for each in self.attempts))
    @rule(data=st.data(), nano_usd=AMOUNTS)
    def settle_late(self, data: st.DataObject, nano_usd: int) -> None:
        """A process that was given up for dead lives, and says what its attempt did cost."""
        attempt = data.draw(st.sampled_from([each for each in self.attempts if each.state == "reconciled"]))
        self.tells(attempt)
        self.ledger.settle(attempt.reservation, nano_usd)
        self.close(attempt, nano_usd, "settled")

    def teardown(self) -> None:
        self.writes()
        super().teardown()
        self.other.close()
        self.folder.cleanup()


TestMemoryLedger = LedgerMachine.TestCase
TestMemoryLedger.settings = settings(max_examples=80, stateful_step_count=40)
TestSqliteLedger = SqliteMachine.TestCase
TestSqliteLedger.settings = settings(
    max_examples=50, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow]
)
