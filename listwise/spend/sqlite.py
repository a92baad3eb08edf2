"""A ledger in an SQLite file: its caps hold over tasks, threads and processes, and after ``kill -9``.

One thread writes for the whole process. It takes all that waits at once into one transaction, so that a thousand
tasks share the price of a commit. A transaction that reserves is on the disk before the caller may spend
(``synchronous = FULL``); settlements only ever lower what counts, and need not wait.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from listwise.errors import BudgetExceeded, LedgerFailed
from listwise.log import get_logger
from listwise.spend.books import Books
from listwise.spend.history import History
from listwise.spend.ledger import PATIENCE_S, Entry, Outcome, Reservation, Sample, Scope, Shared
from listwise.spend.money import nano_usd_down, nano_usd_up
from listwise.spend.owner import Owner
from listwise.spend.routes import Routed, RouteFilter, RouteNote
from listwise.spend.schema import connect
from listwise.spend.standing import Standing
from listwise.types import Receipt, Usage

MOST_AT_ONCE = 512
"""Operations in one transaction."""

_log = get_logger(__name__)

Answer = Reservation | Shared | None
Work = Callable[[Books], Answer]


@dataclass(slots=True)  # to freeze them would take more time than all else that is done with them here
class _Operation:
    """Something to be written; with a ``future``, somebody waits for it."""

    work: Work
    future: asyncio.Future[Answer] | None = None
    durable: bool = False
    settles: int | None = None
    """The attempt that it closes."""


@dataclass(slots=True)
class _Result:
    future: asyncio.Future[Answer]
    answer: Answer = None
    error: BudgetExceeded | LedgerFailed | None = None


class SqliteLedger:
    """See `listwise.spend.ledger.Ledger`. The file must be on a local disk: WAL does not work over a network.

    May be used from any thread and event loop, and goes on in a process that was forked.

    Raises:
        ConfigError: the file cannot be opened or is no ledger.
    """

    keeps = True

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._writer = self._begin()

    def caps(self, account: str) -> dict[str, int]:
        """See `Ledger.caps`."""
        return {kind: nano_usd_down(usd) for kind, usd in History(self.path).caps().get(account, {}).items()}

    def samples(self, model: str) -> list[Sample]:
        """See `Ledger.samples`."""
        return History(self.path).samples(model)

    async def reserve(
        self, scopes: Sequence[Scope], nano_usd: int, entry: Entry = Entry(), *, patience_s: float = PATIENCE_S
    ) -> Reservation:
        """See `Ledger.reserve`."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._put(
            _Operation(lambda books: books.reserve(scopes, nano_usd, entry, patience_s), future, durable=True)
        )
        try:
            reservation = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._undo(future.result())
            raise
        assert isinstance(reservation, Reservation)
        return reservation

    def settle(
        self,
        reservation: Reservation,
        nano_usd: int,
        *,
        usage: Usage = Usage(),
        outcome: Outcome = "answered",
        seconds: float = 0.0,
    ) -> None:
        """See `Ledger.settle`."""
        number = reservation.id
        self._put(_Operation(lambda books: books.settle(number, nano_usd, usage, outcome, seconds), settles=number))

    def release(self, reservation: Reservation, *, outcome: Outcome = "rejected") -> None:
        """See `Ledger.release`."""
        self.settle(reservation, 0, outcome=outcome)

    def cached(self, entry: Entry, usage: Usage) -> None:
        """See `Ledger.cached`."""
        self._put(_Operation(lambda books: books.cached(entry, usage)))

    def ranked(self, entry: Entry, receipt: Receipt) -> None:
        """See `Ledger.ranked`."""
        self._put(_Operation(lambda books: books.ranked(entry, receipt, nano_usd_up(receipt.usd))))

    async def share(self, account: str, scope: Scope, update: Callable[[str | None], str]) -> Shared:
        """See `Ledger.share`."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._put(_Operation(lambda books: books.share(account, scope, update), future))
        shared = await future
        assert isinstance(shared, Shared)
        return shared

    def held(self, scope: Scope) -> int:
        """See `Ledger.held`."""
        return nano_usd_up(History(self.path).held(scope.kind, scope.name))

    def routed(self, entry: Entry, note: RouteNote) -> None:
        """See `Ledger.routed`."""
        self._put(_Operation(lambda books: books.routed(entry, note)))

    def routes(self, chosen: RouteFilter = RouteFilter()) -> list[Routed]:
        """See `Ledger.routes`."""
        return History(self.path).routes(chosen)

    def forget(self, scope: Scope) -> None:
        """See `Ledger.forget`."""
        self._put(_Operation(lambda books: books.forget(scope)))

    async def flush(self) -> None:
        """See `Ledger.flush`."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._put(_Operation(lambda _: None, future, durable=True))
        await future

    def close(self) -> None:
        """See `Ledger.close`."""
        self._writer.close()

    def _put(self, operation: _Operation) -> None:
        if self._writer.pid != os.getpid():  # a fork: threads and connections stayed behind
            with self._lock:
                if self._writer.pid != os.getpid():
                    self._writer = self._begin()
        self._writer.put(operation)

    def _begin(self) -> _Writer:
        writer = _Writer(self.path, connect(self.path), self._clock, self._undo)
        weakref.finalize(self, writer.close)
        return writer

    def _undo(self, answer: Answer) -> None:
        """Nobody waits for this answer any more. In a ledger that is being closed, a reservation stays."""
        if isinstance(answer, Reservation):
            with suppress(LedgerFailed):
                self.release(answer, outcome="unsent")


class _Writer:
    """The thread that writes, and its queue."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        clock: Callable[[], float],
        undo: Callable[[Answer], None],
    ) -> None:
        self.pid = os.getpid()
        self._path = path
        self._connection = connection
        self._file = _identity(path)
        self._standing = Standing(connection)
        self._clock = clock
        self._undo = undo
        self._owner = Owner.of_this_process()
        self._queue: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="listwise-ledger", daemon=True)
        self._thread.start()

    def put(self, operation: _Operation) -> None:
        if self._closed:
            raise LedgerFailed(f"the ledger {self._path} is closed")
        self._queue.put(operation)

    def close(self) -> None:
        with self._closing:
            if self._closed or self.pid != os.getpid():
                return
            self._closed = True
            self._queue.put(None)
            self._thread.join()
            self._connection.close()

    def _run(self) -> None:
        kept: list[_Operation] = []
        ending = False
        while not ending:
            batch, ending = self._next_batch()
            results, kept = self._written([*kept, *batch])
            _deliver(results, self._undo)
        if kept:
            _log.warning("settlements could not be written: their worst case counts", count=len(kept))

    def _next_batch(self) -> tuple[list[_Operation], bool]:
        """All that waits, but at least one operation; and whether the end has come."""
        batch: list[_Operation] = []
        following = self._queue.get()
        while following is not None:
            batch.append(following)
            if len(batch) >= MOST_AT_ONCE:
                return batch, False
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _written(self, batch: list[_Operation]) -> tuple[list[_Result], list[_Operation]]:
        """What comes of a batch, and what of it is to be tried again.

        Nothing may end this thread: callers would wait for ever.
        """
        try:
            return self._transact(batch), []
        except sqlite3.OperationalError as error:  # a full disk, a lock: what lowers the count is tried again
            refused = [self._refused(op.future, error) for op in batch if op.future is not None]
            return refused, [op for op in batch if op.future is None]
        except Exception as error:  # noqa: BLE001 - what cannot be stored is found by trying one after the other
            if len(batch) > 1:
                parts = [self._written([operation]) for operation in batch]
                return [each for results, _ in parts for each in results], [op for _, kept in parts for op in kept]
            if (future := batch[0].future) is not None:
                return [self._refused(future, error)], []
            _log.warning("an entry cannot be written into the ledger", ledger=str(self._path), error=str(error))
            return [], []

    def _transact(self, batch: Sequence[_Operation]) -> list[_Result]:
        """All of it, or nothing."""
        connection = self._connection
        results: list[_Result] = []
        if _identity(self._path) != self._file:
            raise sqlite3.OperationalError("its file was moved, removed or replaced")
        connection.execute(f"PRAGMA synchronous = {'FULL' if any(op.durable for op in batch) else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._standing.refresh(op.settles for op in batch if op.settles is not None)
            books = Books(connection, self._standing, self._owner, self._clock())
            for operation in batch:
                if (future := operation.future) is None:
                    operation.work(books)
                    continue
                try:
                    results.append(_Result(future, operation.work(books)))
                except (BudgetExceeded, LedgerFailed) as error:
                    results.append(_Result(future, error=error))
            books.write()
            connection.execute("COMMIT")
        except BaseException:
            self._standing.drop()
            if connection.in_transaction:  # a full disk undoes it by itself
                connection.execute("ROLLBACK")
            raise
        return results

    def _refused(self, future: asyncio.Future[Answer], error: Exception) -> _Result:
        _log.warning("the ledger cannot be written", ledger=str(self._path), error=str(error))
        why = f"the ledger {self._path} cannot be written ({error}), so nothing can be spent"
        return _Result(future, error=LedgerFailed(why))


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file stands at a path."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _deliver(results: Sequence[_Result], undo: Callable[[Answer], None]) -> None:
    """Hand results to those who wait, once a loop; what nobody waits for any more is undone."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[_Result]] = defaultdict(list)
    for result in results:
        by_loop[result.future.get_loop()].append(result)

    def hand_over(those: Sequence[_Result]) -> None:
        for result in those:
            if result.future.done():
                undo(result.answer)
            elif result.error is not None:
                result.future.set_exception(result.error)
            else:
                result.future.set_result(result.answer)

    for loop, those in by_loop.items():
        try:
            loop.call_soon_threadsafe(hand_over, those)
        except RuntimeError:  # the loop is closed
            for result in those:
                undo(result.answer)
