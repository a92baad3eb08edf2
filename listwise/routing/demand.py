"""How many queries are still to come today: a profile of earlier days, corrected by the present one.

The day (UTC) is cut into quarters of an hour. The profile is an exponential average over days of the queries in
each. What today's latest hours brought, against what they bring by the profile, scales the rest of it; a few
queries in a quiet night scale it little, because they are weighed against an hour of average traffic that came as
expected. A part of the rest is expected to go on as the latest hours instead: a small one, unless today does not
look like the profile at all. Without a profile all of it is, or a little busier early in the day, and calmer late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import NamedTuple

DAY_S = 86_400
SLOTS = 96
SLOT_S = DAY_S / SLOTS
NEWEST_DAY = 0.3
"""The weight of a day in the profile that it becomes part of."""
FLAT = 0.05
"""The part that is expected to go on as the latest hours even on a day like those before."""
MISFIT = 0.25
"""The share of today's queries that may come at other times than by the profile before it is believed less."""
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


class _Past(NamedTuple):
    """What is known once a slot begins; slots before it weigh less the longer they are ago."""

    seen: float
    """Queries."""
    expected: float
    """Queries by the profile."""
    watched: float
    """Slots."""
    flat: float
    """The part of what is to come that goes on as what was seen."""
    ahead: float
    """Queries by the profile in the slots after this one, unscaled."""


@dataclass(slots=True)
class Demand:
    """The queries of a day so far, and the profile of those before. Days are those of `day_of`."""

    day: int
    since: float = 0.0
    """Slots of the day that had passed when it began to be watched."""
    counts: list[float] = field(default_factory=lambda: [0.0] * SLOTS)
    profile: list[float] | None = None
    """Queries in each slot of an average day; None before the first day is over."""
    _before: tuple[int, _Past] | None = field(default=None, repr=False, compare=False)

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
            self._before = slot, self._past(slot)
        past = self._before[1]
        now_watched = passed - max(slot, min(self.since, passed))
        seen = past.seen + self.counts[slot]
        going_on = seen / (past.watched + now_watched + FIRST_MINUTE) * (SLOTS - passed)
        if self.profile is None:
            return going_on * (EARLY + (LATE - EARLY) * passed / SLOTS)
        prior = TRUST * sum(self.profile) / SLOTS
        scale = (seen + prior) / (past.expected + self.profile[slot] * now_watched + prior)
        usual = past.ahead + self.profile[slot] * (slot + 1 - passed)
        return (1 - past.flat) * scale * usual + past.flat * going_on

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

    def _past(self, slot: int) -> _Past:
        half_life = HALF_LIFE if self.profile else FIRST_HALF_LIFE
        weights = [
            0.5 ** ((slot - at) / half_life) * (at + 1 - max(at, min(self.since, at + 1))) for at in range(slot)
        ]
        seen, watched = _sum(weights, self.counts), sum(weights)
        if self.profile is None:
            return _Past(seen, 0.0, watched, 1.0, 0.0)
        expected, ahead = _sum(weights, self.profile), sum(self.profile[slot + 1 :])
        scaled = [each * seen / expected if expected else 0.0 for each in self.profile]
        amiss = [
            max(0.0, abs(count - usual) - sqrt(usual)) for count, usual in zip(self.counts, scaled, strict=True)
        ]
        misfit = _sum(weights, amiss) / (2 * seen) if seen else 0.0
        flat = FLAT + (1 - FLAT) * max(0.0, misfit - MISFIT) / (1 - MISFIT)
        return _Past(seen, expected, watched, flat, ahead)

    def slots(self, now: float) -> float:
        """Slots that have passed, just under `SLOTS` at most."""
        return min(max((now - self.day * DAY_S) / SLOT_S, 0.0), SLOTS - 1e-9)


def _sum(weights: Sequence[float], values: Sequence[float]) -> float:
    """Of the values, each with its weight, as far as there are weights."""
    return sum(weight * value for weight, value in zip(weights, values, strict=False))
