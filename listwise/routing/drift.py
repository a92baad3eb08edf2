"""Whether a fitted router still fits: pure.

Three things may move: how the signals are distributed, what escalation gains, what it costs. Signals are compared
with those that the router was fitted on (`Reference`), gains and costs with what it predicted (`realised`).

The log is looked at in windows of so many queries, each once: looking again before a window is full shows the same
one. The k-th window may alarm with probability 5 % / (k (k + 1)), which sums to 5 % over all of them, and Holm's
procedure shares that among the signals, gains and costs. So a router that still fits is called for a refit at most
once in twenty, however often and however long one looks; the price is that late windows must differ more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal

from listwise.routing.disagreement import GAIN_PER_DISAGREEMENT
from listwise.routing.realised import Costs, Gains, costs, gains
from listwise.routing.reference import Reference, Shift
from listwise.routing.significance import holm
from listwise.spend.routes import Routed, RouteNote, as_logged

WINDOW = 200
"""Queries in a window."""
WIDE = 10
"""Windows that gains and costs are looked at in together: only a part of the queries has a label."""
FALSE_ALARMS = 0.05
"""How often a router that still fits may be called for a refit, ever."""
FEWEST_VALUES = 50
"""Values that a signal must have in a window to be compared."""
GAINS, COSTS = "realised gain", "realised cost"

Status = Literal["unchanged", "refit", "too few"]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a router's file keeps of its fit, to be compared with later."""

    router: str
    """The name under which its decisions are in the log."""
    references: Mapping[str, Reference]
    """By signal."""
    gain_error: float
    """Standard error of the mean predicted gain, that of ``gain_per_disagreement`` times the mean disagreement
    included, in nDCG@10: that much gains may be off from the beginning."""
    gain_per_disagreement: float = GAIN_PER_DISAGREEMENT

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fitted:
        """What `to_json` was made of.

        Raises:
            ValueError: it is something else.
        """
        try:
            references = {str(name): Reference.from_json(each) for name, each in data["references"].items()}
            spread, slope = float(data["gain_error"]), float(data["gain_per_disagreement"])
            router = str(data["router"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no record of what a router was fitted on: {error!r}") from error
        if not (references and isfinite(slope) and isfinite(spread) and spread >= 0):
            raise ValueError("a record of what a router was fitted on needs signals, and numbers for the gain")
        return cls(router, references, spread, slope)

    def to_json(self) -> dict[str, Any]:
        """For the router's file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Check:
    """What has moved."""

    status: Status
    queries: int
    """In the log, a query that came again with the same signals counted once."""
    needed: int
    """For a first look at the signals."""
    needed_for_gains: int
    """For a first look at gains and costs; until then their figures are over all queries, and alarm nobody."""
    shifts: Mapping[str, Shift] = field(default_factory=dict)
    """By signal."""
    missing: Sequence[str] = ()
    """Signals that the router was fitted on, and that no query of the window has: what it goes by is not there."""
    gains: Gains | None = None
    """Over the latest wide window; over all queries where there is no whole one yet."""
    costs: Costs | None = None
    moved: Sequence[str] = ()
    """Signals, and `GAINS` and `COSTS`, that no chance accounts for."""

    @property
    def verdict(self) -> str:
        """The same in plain words."""
        if self.status == "too few":
            return f"too few queries to tell ({self.queries}, need about {self.needed})"
        if self.status == "unchanged":
            return "nothing has changed"
        found = [f"{name} {self._how(name)}" for name in self.moved]
        found += [f"{name} is not there any more" for name in self.missing]
        return f"refit: {'; '.join(found)}"

    def _how(self, name: str) -> str:
        if name == GAINS and self.gains:
            off = self.gains.plainest
            side = "above" if off.value > 0 else "below"
            those = "escalated" if off is self.gains.escalated else "all"
            return f"is {side} what was predicted, by {abs(off.value):.3f} nDCG@10 in the mean over {those} queries"
        if name == COSTS and self.costs:
            return f"is {1 + self.costs.excess.value:.2f} times what was predicted"
        return f"has moved: {self.shifts[name].direction} ({self.shifts[name].medians})"

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {"verdict": self.verdict, **asdict(self)}


def check(log: Sequence[Routed], fitted: Fitted, window: int = WINDOW) -> Check:
    """Compare what is in the log with what the router was fitted on.

    Args:
        log: the decisions of this router, oldest first.
        fitted: from the router's file.
        window: queries in a window; a larger one finds smaller shifts, later.
    """
    notes = _first_of_each(log)
    narrow, wide = _latest(len(notes), window), _latest(len(notes), window * WIDE)
    if narrow is None:
        return Check("too few", len(notes), window, window * WIDE)
    seen = [note.signals for note in notes[narrow.start : narrow.end]]
    values = {name: [each[name] for each in seen if name in each] for name in fitted.references}
    shifts = {
        name: fitted.references[name].shift(found)
        for name, found in values.items()
        if sum(as_logged(value) is not None for value in found) >= FEWEST_VALUES
    }
    missing = tuple(name for name, found in values.items() if not found)
    labelled = notes[wide.start : wide.end] if wide else notes
    gained = gains(labelled, fitted.gain_per_disagreement, fitted.gain_error)
    paid = costs(labelled)
    p_values = {name: narrow.adjusted(shift.p_value) for name, shift in shifts.items()}
    if wide is not None:
        p_values |= {GAINS: wide.adjusted(gained.p_value)} if gained else {}
        p_values |= {COSTS: wide.adjusted(paid.p_value)} if paid else {}
    fallen = holm(p_values, FALSE_ALARMS)
    moved = tuple(name for name in p_values if name in fallen)
    status: Status = "refit" if moved or missing else "unchanged" if shifts else "too few"
    return Check(
        status, len(notes), max(window, FEWEST_VALUES), window * WIDE, shifts, missing, gained, paid, moved
    )


def _first_of_each(log: Sequence[Routed]) -> list[RouteNote]:
    """A query that comes again tells nothing new; which window the others are in must not change with it."""
    found: dict[tuple[object, ...], RouteNote] = {}
    for each in log:
        found.setdefault((each.qid, *sorted(each.note.signals.items())), each.note)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Look:
    """The latest whole window."""

    start: int
    end: int
    number: int

    def adjusted(self, p_value: float) -> float:
        """What a tail is worth at the so-and-so-many-th look."""
        return min(1.0, p_value * self.number * (self.number + 1))


def _latest(count: int, size: int) -> _Look | None:
    number = count // size
    return _Look((number - 1) * size, number * size, number) if number else None
