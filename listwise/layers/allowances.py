"""How much may be sent in a minute: what the user set, and what the provider lets on. Pure.

Times are seconds on any clock that only goes forward; amounts are requests or tokens.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from listwise.pace import Quota

MINUTE_S = 60.0


@dataclass(slots=True)
class Portion:
    """What one call takes of an allowance."""

    at: float
    amount: int


@dataclass(slots=True)
class Window:
    """Never more than ``limit`` in any 60 seconds: a log of what was sent in the last ones.

    A token bucket would let through up to twice the limit in its first minute; this is exact, and so always within
    the bucket that a provider may keep. A portion larger than the limit goes alone.
    """

    limit: int
    _sent: deque[Portion] = field(default_factory=deque)
    _sum: int = 0

    def wait_s(self, amount: int, now: float) -> float:
        """Seconds until so much may be sent; 0 for now."""
        self._forget(now)
        excess = self._sum + amount - self.limit
        if excess <= 0 or not self._sent:
            return 0.0
        for portion in self._sent:
            excess -= portion.amount
            if excess <= 0:
                break
        return portion.at + MINUTE_S - now

    def take(self, amount: int, now: float) -> Portion:
        """Send so much."""
        portion = Portion(now, amount)
        self._sent.append(portion)
        self._sum += amount
        return portion

    def correct(self, portion: Portion, amount: int) -> None:
        """A portion proved to be of another size."""
        if not self._sent or portion.at < self._sent[0].at:
            return
        self._sum += amount - portion.amount
        portion.amount = amount

    def _forget(self, now: float) -> None:
        while self._sent and now - self._sent[0].at >= MINUTE_S:
            self._sum -= self._sent.popleft().amount


@dataclass(slots=True)
class Bucket:
    """The provider's own count, as far as it is known: unlimited until the provider says something.

    What it says was true when it looked at a certain call. What we sent after that call it had not seen; what has
    come back since, and what other processes took since, we do not know. So the level is what it said, less what
    we sent since, plus what comes back from when we heard it.
    """

    sent: int = 0
    """All that was ever sent."""
    _limit: int = 0
    _level: float = 0.0
    _rate: float = 0.0
    _at: float = 0.0
    _seen: int = -1

    def wait_s(self, amount: int, now: float) -> float:
        """Seconds until so much may be sent; 0 for now."""
        if not self._limit:
            return 0.0
        missing = min(amount, self._limit) - min(self._limit, self._level + self._rate * (now - self._at))
        return max(0.0, missing / self._rate)

    def take(self, amount: int) -> int:
        """Send so much; the number returned stands for it."""
        self.sent += amount
        self._level -= amount
        return self.sent

    def give_back(self, amount: int) -> None:
        """So much was not sent after all."""
        self.sent -= amount
        self._level += amount

    def learn(self, quota: Quota, sent: int, now: float) -> None:
        """The provider said this with the answer to the call that ``take`` gave the number ``sent``.

        What came with an older call than what is known already is old news.
        """
        if sent < self._seen:
            return
        gone = quota.limit - quota.remaining
        self._rate = gone / quota.reset_s if gone and quota.reset_s > 0 else quota.limit / MINUTE_S
        self._limit, self._level = quota.limit, quota.remaining - (self.sent - sent)
        self._seen, self._at = sent, now
