"""Studies of positional bias, drawn from whatever JSON ``listwise bias --json`` printed.

What a value is goes by its shape, so that a study may hold other figures than it does today: a dict with ``low``
and ``high`` is an estimate, a list of estimates a curve, a list of lists of numbers a heat map
``[shown][given]``, a list of flat dicts a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from listwise.eval.report.markup import Content, Markup, tag
from listwise.eval.report.plane import tick_step

CENTRES = ("value", "mean", "effect")
"""How an estimate may call its figure."""
FEWEST = 3
"""Points that make a curve, and lines and columns that make a heat map."""
DEEPEST = 4
"""Levels of headings."""
CELL, WIDTH, HEIGHT, EDGE = 20, 560, 220, 46
"""Pixels: a cell of a heat map; a curve, and the room for its ticks."""


def study(name: str, value: Any) -> Markup:
    """One file of ``bias/``."""
    simulated = isinstance(value, Mapping) and bool(value.get("simulated"))
    badge = [tag("span", "simulated", class_="badge simulated")] * simulated
    return tag("section", tag("h3", tag("span", words(name)), *badge), list(_parts(value, "", 0)), class_="study")


def words(name: str) -> str:
    """A key as people write it."""
    plain = name.replace("_", " ").strip()
    return plain[:1].upper() + plain[1:]


def is_estimate(value: Any) -> bool:
    """Whether it is a figure with an interval."""
    return isinstance(value, Mapping) and {"low", "high"} <= set(value) and _centre(value) is not None


def _centre(value: Mapping[str, Any]) -> float | None:
    return next((number for key in CENTRES if (number := _number(value.get(key))) is not None), None)


def _number(value: Any) -> float | None:
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) else None
    )


def is_matrix(value: Any) -> bool:
    """Whether it is lines of numbers, all of one length."""
    return (
        isinstance(value, list)
        and len(value) >= FEWEST
        and all(isinstance(line, list) and len(line) == len(value[0]) >= FEWEST for line in value)
        and all(_number(cell) is not None for line in value for cell in line)
    )


def is_curve(value: Any) -> bool:
    """Whether it is points, with or without intervals."""
    return (
        isinstance(value, list)
        and len(value) >= FEWEST
        and (all(map(is_estimate, value)) or all(_number(each) is not None for each in value))
    )


def _is_flat(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float) or is_estimate(value) or _is_names(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _parts(value: Any, name: str, level: int) -> Iterator[Markup]:
    """A value with all that is in it."""
    if is_matrix(value):
        yield heat_map(name, value)
    elif is_curve(value):
        yield curve(name, value)
    elif isinstance(value, Mapping):
        facts = {key: each for key, each in value.items() if _is_flat(each)}
        if facts:
            yield _facts(facts)
        for key, each in value.items():
            if not _is_flat(each):
                yield from _under(key, each, level)
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        if all(_is_flat(cell) for each in value for cell in each.values()):
            yield _table(value)
        else:
            for number, each in enumerate(value, 1):
                yield from _under(_called(each) or f"{name} {number}", each, level)


def _under(key: str, value: Any, level: int) -> Iterator[Markup]:
    parts = list(_parts(value, words(key), level + 1))
    if not parts:
        return
    drawn = is_matrix(value) or is_curve(value)
    yield tag("div", *([] if drawn else [tag(f"h{min(4 + level, 6)}", words(key))]), parts)


def _called(record: Mapping[str, Any]) -> str:
    """What tells a part from the others like it: its short texts and whole numbers."""
    told = [
        f"{key.replace('_', ' ')} {each}"
        for key, each in record.items()
        if isinstance(each, str | int) and len(str(each)) < 30
    ]
    return ", ".join(told[:3])


def _facts(facts: Mapping[str, Any]) -> Markup:
    rows = [
        tag("tr", tag("th", words(key), scope="row"), tag("td", _cell(each)))
        for key, each in facts.items()
        if each is not None
    ]
    table = tag("table", tag("tbody", rows), class_="facts", aria_label="Figures")
    return tag("div", table, class_="scroll")


def _table(records: Sequence[Mapping[str, Any]]) -> Markup:
    columns = list(dict.fromkeys(key for record in records for key in record))
    head = tag("tr", [tag("th", words(column), scope="col") for column in columns])
    rows = [tag("tr", [tag("td", _cell(record.get(column))) for column in columns]) for record in records]
    table = tag("table", tag("thead", head), tag("tbody", rows), aria_label="Figures")
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Table of figures")


def _cell(value: Any) -> Content:
    if isinstance(value, Mapping):
        low, high = (_number(value[end]) for end in ("low", "high"))
        told = [f"{_centre(value):.3g}"]
        if low is not None and high is not None:
            told.append(f"({low:.3g} to {high:.3g})")
        p = _number(value.get("p"))
        if p is not None:
            told.append("p < 0.001" if p < 0.001 else f"p = {p:.3f}")
        return " ".join(told)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    number = _number(value)
    return "" if value is None else str(value) if number is None or isinstance(value, int) else f"{number:.3g}"


def heat_map(name: str, matrix: Sequence[Sequence[float]]) -> Markup:
    """How often a passage shown at one place (lines) was given another (columns); darker is more often."""
    most = max((cell for line in matrix for cell in line), default=0) or 1
    cells = [
        tag(
            "rect",
            tag("title", f"shown {shown + 1}, given {given + 1}: {cell:.3g}"),
            x=EDGE + given * CELL,
            y=EDGE + shown * CELL,
            width=CELL - 1,
            height=CELL - 1,
            fill_opacity=f"{max(0.0, cell) / most:.3f}",
        )
        for shown, line in enumerate(matrix)
        for given, cell in enumerate(line)
    ]
    wide, high = EDGE + CELL * len(matrix[0]), EDGE + CELL * len(matrix)
    ticks = [
        tag("text", str(at + 1), x=EDGE + at * CELL + CELL / 2, y=EDGE - 6, text_anchor="middle", class_="tick")
        for at in range(len(matrix[0]))
        if at == 0 or (at + 1) % 5 == 0
    ]
    ticks += [
        tag("text", str(at + 1), x=EDGE - 6, y=EDGE + at * CELL + 14, text_anchor="end", class_="tick")
        for at in range(len(matrix))
        if at == 0 or (at + 1) % 5 == 0
    ]
    axes = [
        tag("text", "rank given →", x=EDGE, y=16, class_="axis"),
        tag("text", "place shown →", x=-high, y=14, transform="rotate(-90)", class_="axis"),
    ]
    diagonal = sum(line[at] for at, line in enumerate(matrix) if at < len(line)) / (sum(map(sum, matrix)) or 1)
    described = (
        f"{len(matrix)} places shown by {len(matrix[0])} ranks given; {diagonal:.0%} of it lies on the diagonal."
    )
    drawing = tag(
        "svg",
        tag("title", name),
        tag("desc", described),
        cells,
        ticks,
        axes,
        viewBox=f"0 0 {wide} {high}",
        width=wide,
        role="img",
        class_="heat",
    )
    return _figure(name, drawing, f"{name}: {described} Darker is more often.", matrix)


def curve(name: str, points: Sequence[Any]) -> Markup:
    """A figure by position, with its interval where it has one."""
    centres = [(_centre(each) or 0.0) if isinstance(each, Mapping) else float(each) for each in points]
    reaches = [
        (_number(each["low"]) or 0.0, _number(each["high"]) or 0.0) if isinstance(each, Mapping) else (at, at)
        for each, at in zip(points, centres, strict=True)
    ]
    bottom = min([0.0, *(low for low, _ in reaches)])
    top = max([0.0, *(high for _, high in reaches)])
    step = tick_step((top - bottom) or 1.0)
    span = (top - bottom) or 1.0

    def x(at: int) -> float:
        return EDGE + 10 + at * (WIDTH - EDGE - 20) / (len(points) - 1)

    def y(value: float) -> float:
        return 12 + (top - value) / span * (HEIGHT - 48)

    ticks: list[Markup] = []
    at = -int(-bottom / step) * step if bottom < 0 else 0.0
    while at <= top + step / 10:
        ticks.append(
            tag(
                "line",
                x1=EDGE,
                x2=WIDTH,
                y1=f"{y(at):.1f}",
                y2=f"{y(at):.1f}",
                class_="zero" if abs(at) < step / 10 else "grid",
            )
        )
        ticks.append(tag("text", f"{at:.3g}", x=EDGE - 6, y=f"{y(at) + 4:.1f}", text_anchor="end", class_="tick"))
        at += step
    ticks += [
        tag("text", str(place + 1), x=f"{x(place):.1f}", y=HEIGHT - 18, text_anchor="middle", class_="tick")
        for place in range(len(points))
        if place == 0 or (place + 1) % 5 == 0 or len(points) <= 10
    ]
    bars = [
        tag(
            "line",
            x1=f"{x(place):.1f}",
            x2=f"{x(place):.1f}",
            y1=f"{y(low):.1f}",
            y2=f"{y(high):.1f}",
            class_="reach",
        )
        for place, (low, high) in enumerate(reaches)
        if low != high
    ]
    line = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(centres))
    dots = [
        tag("circle", tag("title", f"{place + 1}: {value:.3g}"), cx=f"{x(place):.1f}", cy=f"{y(value):.1f}", r=3.5)
        for place, value in enumerate(centres)
    ]
    described = f"from {min(centres):.3g} to {max(centres):.3g} over {len(points)} positions."
    drawing = tag(
        "svg",
        tag("title", name),
        tag("desc", described),
        ticks,
        bars,
        tag("polyline", points=line),
        dots,
        tag("text", "position →", x=EDGE + 10, y=HEIGHT - 2, class_="axis"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        role="img",
        class_="curve",
    )
    rows = [
        [value, *reach] if reach[0] != reach[1] else [value] for value, reach in zip(centres, reaches, strict=True)
    ]
    return _figure(name, drawing, f"{name}: {described}", rows)


def _figure(name: str, drawing: Markup, caption: str, rows: Sequence[Sequence[float]]) -> Markup:
    lines = [
        tag("tr", tag("th", str(place), scope="row"), [tag("td", f"{cell:.3g}", class_="number") for cell in row])
        for place, row in enumerate(rows, 1)
    ]
    return tag(
        "figure",
        tag("div", drawing, class_="scroll", tabindex="0", role="region", aria_label=f"Picture: {name}"),
        tag("figcaption", caption[:1].upper() + caption[1:]),
        tag(
            "details",
            tag("summary", "The same as a table"),
            tag("div", tag("table", tag("tbody", lines), aria_label=name), class_="scroll"),
        ),
    )
