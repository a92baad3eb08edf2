"""How much one key may do: requests in a minute, and at a time.

Each worker counts for itself, and gives a key its share, so that all together never give it more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from listwise.layers.allowances import MINUTE_S, Window
from listwise.serve.keys import Key
from listwise.serve.refusals import busy


@dataclass(slots=True)
class _Use:
    rate: int | None
    window: Window = field(default_factory=lambda: Window(0))
    running: int = 0


class Quotas:
    """What the keys use of what they may."""

    def __init__(self, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers, self._clock = workers, clock
        self._uses: dict[str, _Use] = {}

    @contextmanager
    def used_by(self, key: Key) -> Iterator[None]:
        """One request of a key.

        Raises:
            Refusal: it is one too many.
        """
        use = self._uses.setdefault(key.id, _Use(None))
        self._take(key, use)
        use.running += 1
        try:
            yield
        finally:
            use.running -= 1

    def _take(self, key: Key, use: _Use) -> None:
        if key.concurrency is not None and use.running >= self._share(key.concurrency):
            raise busy(f"this key may run {key.concurrency} requests at a time", 1.0, outcome="over_limit")
        if key.rate is None:
            return
        if use.rate != key.rate:
            use.rate, use.window = key.rate, Window(self._share(key.rate))
        now = self._clock()
        if (wait_s := use.window.wait_s(1, now)) > 0:
            raise busy(
                f"this key may send {key.rate} requests in {MINUTE_S:.0f} seconds", wait_s, outcome="over_limit"
            )
        use.window.take(1, now)

    def _share(self, limit: int) -> int:
        return max(1, limit // self._workers)
