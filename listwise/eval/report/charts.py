"""Heat maps and curves of the page, as SVG, each with the same figures as a table."""

from __future__ import annotations

from collections.abc import Sequence

from listwise.eval.report.markup import Markup, tag
from listwise.eval.report.plane import tick_step

CELL, WIDTH, HEIGHT, EDGE = 20, 560, 220, 46
"""Pixels: a cell of a heat map; a curve, and the room for its ticks."""


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
    return _figure(name, drawing, f"{described} Darker is more often.", matrix)


def curve(name: str, points: Sequence[tuple[float, tuple[float, float] | None]]) -> Markup:
    """A figure by position, with its interval where it has one."""
    centres = [value for value, _ in points]
    reaches = [reach or (value, value) for value, reach in points]
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
    return _figure(name, drawing, described, rows)


def _figure(name: str, drawing: Markup, described: str, rows: Sequence[Sequence[float]]) -> Markup:
    lines = [
        tag("tr", tag("th", str(place), scope="row"), [tag("td", f"{cell:.3g}", class_="number") for cell in row])
        for place, row in enumerate(rows, 1)
    ]
    table = tag("div", tag("table", tag("tbody", lines), aria_label=name), class_="scroll")
    return tag(
        "figure",
        tag("figcaption", tag("b", name), tag("span", described)),
        tag("div", drawing, class_="scroll", tabindex="0", role="region", aria_label=f"Picture: {name}"),
        tag("details", tag("summary", "The same as a table"), table),
    )
