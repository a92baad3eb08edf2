"""The least supervisor: starts a command again whenever it ends, and sends it a signal every so often."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

PAUSE_S = 0.05
"""Before a command that ended is started again."""


class Supervisor:
    """Keeps one command running, in a session of its own so that nothing else hears its signals.

    Attributes:
        exits: how often the command ended with each status; that of a signal is negative.
        signals: how many were sent to a command that ran.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """``log`` gets the command's standard error, of one run after the other."""
        self._command, self._environment, self._log = command, environment, log
        self._process: asyncio.subprocess.Process | None = None
        self.exits: Counter[int] = Counter()
        self.signals = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Until the end of the block, at which the command is told to stop and waited for."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await self._stop()

    async def send(
        self, number: signal.Signals, every_s: float, ready: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Send the signal every so many seconds, for ever; with ``ready``, so long after that returned."""
        while True:
            if ready is not None:
                await ready()
            await asyncio.sleep(every_s)
            if self._process is not None and self._process.returncode is None:
                self._process.send_signal(number)
                self.signals += 1
                if ready is not None:
                    await self._process.wait()

    async def _keep(self) -> None:
        with self._log.open("ab") as log:
            while True:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, env=dict(self._environment), stderr=log, start_new_session=True
                )
                self.exits[await self._process.wait()] += 1
                await asyncio.sleep(PAUSE_S)

    async def _stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
