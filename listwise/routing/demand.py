"""How many queries are still to come today: a profile of earlier days, corrected by the present one.

The day (UTC) is cut into quarters of an hour. The profile is an exponential average over days of the queries in
each. What today's latest hours brought against what they bring by the profile scales the rest of it; a few queries
in a quiet night scale it little, because they are weighed against an hour of average traffic that came as expected.
Without a profile the rest of the day is expected to go on as the hours before, or a little
busier early in the day, and calmer late.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

DAY_S = 86_400
SLOTS = 96
SLOT_S = DAY_S / SLOTS
NEWEST_DAY = 0.3
"""The weight of a day in the profile that it becomes part of."""
FLAT = 0.05
"""The share of the day's queries that may come at any time, whatever the profile says: so traffic at hours that had
none is foreseen as soon as it begins, and little is left over where there is none again."""
HALF_LIFE = 8
"""Slots after which a slot counts half in what today is like."""
FIRST_HALF_LIFE = 16
"""The same on a day without a profile."""
EARLY, LATE = 1.5, 0.75
"""How many times the rate so far the rest of such a day is expected to have, as it begins and as it ends. It is
worse to have spent in a quiet night what a rush lacks, or to keep for a quiet evening what that cannot use, than to
have foreseen in vain that a day has quiet ends."""
TRUST = 4.0
"""Average slots that are taken to have come as the profile has it."""
FIRST_MINUTE = 1 / 15
"""Slots that a day without a profile is watched at least before its rate is believed."""


def day_of(now: float) -> int:
    """The UTC day of a Unix time, counted from 1970."""
    return int(now // DAY_S)


@dataclass(slots=True)
class Demand:
    """The queries of a day so far, and the profile of those before. Days are those of `day_of`."""

    day: int
    since: float = 0.0
    """Slots of the day that had passed when it began to be watched."""
    counts: list[float] = field(default_factory=lambda: [0.0] * SLOTS)
    profile: list[float] | None = None
    """Queries in each slot of an average day; None before the first day is over."""
    _before: tuple[int, float, float, float] | None = field(default=None, repr=False, compare=False)

    @property
    def today(self) -> float:
        """Queries so far."""
        return sum(self.counts)

    def note(self, now: float) -> None:
        """Count a query."""
        self.counts[int(self.slots(now))] += 1

    def left(self, now: float) -> float:
        """Queries expected from now to midnight. The one that asks has to be noted before."""
        passed = self.slots(now)
        slot = int(passed)
        if self._before is None or self._before[0] != slot:
            self._before = slot, *self._around(slot)
        _, seen, expected, later = self._before
        seen += self.counts[slot]
        expected += self._usual(slot) * (passed - max(slot, min(self.since, passed)))
        later += self._foreseen(slot) * (slot + 1 - passed)
        if self.profile is None:
            trend = EARLY + (LATE - EARLY) * passed / SLOTS
            return later * trend * seen / (expected + FIRST_MINUTE)
        prior = TRUST * sum(self.profile) / SLOTS
        return later * (seen + prior) / (expected + prior) if prior else 0.0

    def add(self, other: Demand) -> None:
        """Count what another process saw of the same day."""
        self.since = min(self.since, other.since)
        self.counts = [mine + more for mine, more in zip(self.counts, other.counts, strict=True)]
        self._before = None

    def turn(self, day: int) -> None:
        """Let a later day begin: the one that ends becomes part of the profile."""
        watched = self.counts[ceil(self.since) :]
        if any(watched):
            usual = sum(watched) / len(watched)
            today = [usual if slot < self.since else self.counts[slot] for slot in range(SLOTS)]
            before = self.profile or today
            self.profile = [old + NEWEST_DAY * (new - old) for old, new in zip(before, today, strict=True)]
        self.day, self.since, self.counts, self._before = day, 0.0, [0.0] * SLOTS, None

    def _around(self, slot: int) -> tuple[float, float, float]:
        """What the slots before brought and usually bring, the latest weighing most, and what those after bring."""
        seen = expected = 0.0
        half_life = HALF_LIFE if self.profile else FIRST_HALF_LIFE
        for earlier in range(slot):
            weight = 0.5 ** ((slot - earlier) / half_life)
            seen += weight * self.counts[earlier]
            expected += weight * self._usual(earlier) * (earlier + 1 - max(earlier, min(self.since, earlier + 1)))
        return seen, expected, sum(map(self._foreseen, range(slot + 1, SLOTS)))

    def _usual(self, slot: int) -> float:
        """Queries in a slot by the profile; 1 without one."""
        return self.profile[slot] if self.profile else 1.0

    def _foreseen(self, slot: int) -> float:
        """The same, but something may come at any time."""
        return (1 - FLAT) * self._usual(slot) + FLAT * (sum(self.profile) / SLOTS if self.profile else 1.0)

    def slots(self, now: float) -> float:
        """Slots that have passed, just under `SLOTS` at most."""
        return min(max((now - self.day * DAY_S) / SLOT_S, 0.0), SLOTS - 1e-9)
