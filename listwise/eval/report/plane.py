"""Where entries stand in the plane of cost and quality: pure geometry, which the page and the figures share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from listwise.eval.report.entries import Entry
from listwise.eval.report.findings import QUERIES, usd_of

WIDTH, HEIGHT = 900, 470
TOP, BOTTOM, LEFT, RIGHT = 34, 64, 58, 16
LANE = 120
"""Pixels for entries that cost nothing, and for those whose cost is not known."""
CHARACTER, LINE = 6.6, 15
"""Pixels of a label's character and line."""
RADIUS = 6
INSET = 18
"""Pixels from the left of a lane to its points."""
BESIDE, COLUMNS = 22, 4
"""Pixels from a point in a lane to the next one at about the same height, and how many there may be."""
CLEAR = 24
"""Pixels at the ends of the axis of dollars that are left to the lanes beside it."""


@dataclass(frozen=True, slots=True)
class Point:
    """An entry in the plane; pixels from the upper left."""

    entry: Entry
    x: float
    y: float
    low: float
    high: float
    """Where the interval of its quality begins and ends."""


@dataclass(frozen=True, slots=True)
class Label:
    """Where a point's name stands."""

    point: Point
    x: float
    y: float
    anchor: str
    """``start`` or ``end``."""
    apart: bool
    """Whether it stands so far from its point that a line must lead there."""


@dataclass(frozen=True)
class Plane:
    """Axes that hold all entries of a collection."""

    entries: Sequence[Entry]
    measure: str

    @property
    def free(self) -> bool:
        """Whether some cost nothing: they have a lane of their own, as no logarithm holds them."""
        return any(usd_of(entry) == 0 for entry in self.entries)

    @property
    def unknown(self) -> bool:
        """Whether the cost of some is not known."""
        return any(usd_of(entry) is None for entry in self.entries)

    @property
    def priced(self) -> list[float]:
        """Dollars for 1,000 queries of those that have a price."""
        return [usd * QUERIES for entry in self.entries if (usd := usd_of(entry))]

    @property
    def start(self) -> float:
        """Where the axis of dollars begins."""
        return LEFT + LANE * self.free

    @property
    def end(self) -> float:
        """Where it ends."""
        return WIDTH - RIGHT - LANE * self.unknown

    @property
    def decades(self) -> tuple[float, float]:
        """The ends of the axis of dollars, as logarithms."""
        low, high = log10(min(self.priced)), log10(max(self.priced))
        middle, half = (low + high) / 2, max((high - low) / 2 * 1.15, 0.35)
        return middle - half, middle + half

    @property
    def reach(self) -> tuple[float, float]:
        """The ends of the axis of quality."""
        intervals = [entry.scores[self.measure].interval for entry in self.entries]
        low, high = min(each.low for each in intervals), max(each.high for each in intervals)
        step = tick_step(high - low)
        return floor(low / step) * step, ceil(high / step) * step if high > low else low + step

    def x(self, entry: Entry) -> float:
        """Of an entry's cost."""
        usd = usd_of(entry)
        if usd is None:
            return WIDTH - RIGHT - LANE + INSET
        return LEFT + INSET if usd == 0 else self.x_of(usd * QUERIES)

    def x_of(self, usd: float) -> float:
        """Of dollars for 1,000 queries."""
        low, high = self.decades
        return self.start + (log10(usd) - low) / (high - low) * (self.end - self.start)

    def y(self, value: float) -> float:
        """Of a quality."""
        low, high = self.reach
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - TOP)

    def points(self) -> list[Point]:
        """All entries, best first; in a lane those that would lie over one another stand beside one another."""
        found: list[Point] = []
        for entry in sorted(self.entries, key=lambda each: -each.scores[self.measure].interval.mean):
            interval = entry.scores[self.measure].interval
            x, y = self.x(entry), self.y(interval.mean)
            if not usd_of(entry):
                room = {
                    x + at * BESIDE: min(
                        (abs(point.y - y) for point in found if point.x == x + at * BESIDE), default=HEIGHT
                    )
                    for at in range(COLUMNS)
                }
                x = next((at for at in room if room[at] > 2 * RADIUS + 4), max(room, key=room.__getitem__))
            found.append(Point(entry, x, y, self.y(interval.low), self.y(interval.high)))
        return found

    def dollars(self) -> Iterator[float]:
        """Where ticks stand on the axis of dollars: at 1, 2 and 5 times powers of ten."""
        if not self.priced:
            return
        low, high = self.decades
        for power in range(floor(low), ceil(high) + 1):
            for digit in (1, 2, 5) if high - low < 2.5 else (1,):
                usd = digit * 10.0**power
                if low <= log10(usd) <= high and self.start + CLEAR <= self.x_of(usd) <= self.end - CLEAR:
                    yield usd

    def qualities(self) -> Iterator[float]:
        """Where ticks stand on the axis of quality."""
        low, high = self.reach
        step = tick_step(high - low)
        for at in range(round((high - low) / step) + 1):
            yield low + at * step


def tick_step(span: float) -> float:
    """A round distance of which about six make the span."""
    rough = max(span, 1e-6) / 6
    power = 10.0 ** floor(log10(rough))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough * 0.999)


def labels(points: Sequence[Point]) -> list[Label]:
    """Names beside their points, each at the first place where it covers no point and no other name."""
    taken = [(point.x - RADIUS, point.y - RADIUS, point.x + RADIUS, point.y + RADIUS) for point in points]
    found = []
    for point in points:
        label = next((each for each in _places(point) if _is_free(each, taken)), None)
        if label is not None:
            taken.append(_box(label))
            found.append(label)
    return found


def _places(point: Point) -> Iterator[Label]:
    """Right and left of the point, then further down and up. Those whose cost is not known have their names in one
    column beside their lane, each below the better ones, so that the lines that lead there do not cross."""
    if usd_of(point.entry) is None:
        edge = WIDTH - RIGHT - LANE + INSET - RADIUS - 5
        for dy in (*range(0, 300, 2), *range(-2, -200, -2)):
            yield Label(point, edge, point.y + 4 + dy, "end", dy != 0 or point.x > edge + 2 * RADIUS)
        return
    for distance in range(0, 200, LINE):
        for dy in (distance, -distance) if distance else (0,):
            for anchor, dx in (("start", RADIUS + 5), ("end", -RADIUS - 5)):
                yield Label(point, point.x + dx, point.y + 4 + dy, anchor, distance > LINE)


def _box(label: Label) -> tuple[float, float, float, float]:
    width = CHARACTER * len(label.point.entry.name)
    left = label.x - (width if label.anchor == "end" else 0)
    return left, label.y - LINE + 3, left + width, label.y + 3


def _is_free(label: Label, taken: Sequence[tuple[float, float, float, float]]) -> bool:
    left, top, right, bottom = _box(label)
    inside = left >= LEFT and right <= WIDTH and top >= 4 and bottom <= HEIGHT - BOTTOM
    return inside and not any(left < r and right > x and top < b and bottom > y for x, y, r, b in taken)
