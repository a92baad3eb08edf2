"""The picture of cost and quality, as SVG within the page, and as a table for those who do not see it."""

from __future__ import annotations

from collections.abc import Iterator

from listwise.eval.report.findings import QUERIES, Findings, usd_of, usd_words
from listwise.eval.report.folder import KINDS
from listwise.eval.report.markup import Markup, tag
from listwise.eval.report.plane import BOTTOM, HEIGHT, LANE, LEFT, RADIUS, RIGHT, TOP, WIDTH, Plane, Point, labels


def frontier(real: Findings, made_up: Findings) -> Markup:
    """Quality against dollars: all entries of a collection, and the best for the money.

    Args:
        real: about the systems that are not simulated.
        made_up: about those that are.
    """
    shown = [*real.ranked, *made_up.ranked]
    if not shown:
        return Markup()
    plane = Plane(shown, real.measure)
    name = f"frontier-{real.collection}"
    drawing = tag(
        "svg",
        tag("title", f"{real.measure} against cost on {real.collection}", id=f"{name}-title"),
        tag("desc", " ".join(_described(real, made_up)), id=f"{name}-desc"),
        list(_axes(plane)),
        _line(plane, real, "real"),
        _line(plane, made_up, "made-up"),
        list(_points(plane)),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_="frontier",
    )
    return tag(
        "figure",
        tag("div", drawing, class_="scroll", tabindex="0", role="region", aria_label="Picture of cost and quality"),
        tag("figcaption", list(_legend(plane, real, made_up))),
        tag("details", tag("summary", "The same as a table"), _table(real, made_up)),
    )


def _described(real: Findings, made_up: Findings) -> Iterator[str]:
    for findings, what in ((real, "Best for the money"), (made_up, "Best for the money among simulated systems")):
        if findings.frontier:
            steps = [
                f"{entry.name} {entry.scores[findings.measure].interval.mean:.3f} for "
                f"{usd_words((usd_of(entry) or 0) * QUERIES)}"
                for entry in findings.frontier
            ]
            yield f"{what}: {', '.join(steps)}."
    yield "A table with all figures follows."


def _axes(plane: Plane) -> Iterator[Markup]:
    bottom = HEIGHT - BOTTOM
    for value in plane.qualities():
        y = plane.y(value)
        yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=_px(y), y2=_px(y), class_="grid")
        yield tag("text", f"{value:.2f}", x=LEFT - 8, y=_px(y + 4), class_="tick", text_anchor="end")
    yield tag("text", plane.measure, x=LEFT - 42, y=TOP - 16, class_="axis")
    for usd in plane.dollars():
        x = plane.x_of(usd)
        yield tag("line", x1=_px(x), x2=_px(x), y1=bottom, y2=bottom + 5, class_="mark")
        yield tag("text", usd_words(usd), x=_px(x), y=bottom + 20, class_="tick", text_anchor="middle")
    if plane.priced:
        middle = (plane.start + plane.end) / 2
        yield tag(
            "text",
            f"dollars for {QUERIES:,} queries",
            x=_px(middle),
            y=HEIGHT - 14,
            class_="axis",
            text_anchor="middle",
        )
    for there, x, words in (
        (plane.free, LEFT, "no API cost"),
        (plane.unknown, WIDTH - RIGHT - LANE, "cost not known"),
    ):
        if there:
            yield tag("rect", x=x, y=TOP, width=LANE, height=bottom - TOP, class_="lane")
            yield tag("text", words, x=x + LANE / 2, y=bottom + 20, class_="tick", text_anchor="middle")


def _line(plane: Plane, findings: Findings, style: str) -> Markup:
    """Steps: the best that can be had for so much or less."""
    if not findings.frontier:
        return Markup()
    path, end = "", plane.end
    for entry in findings.frontier:
        x, y = plane.x(entry), plane.y(entry.scores[findings.measure].interval.mean)
        path += f"H{_px(x)}V{_px(y)}" if path else f"M{_px(x)} {_px(y)}"
    return tag("path", d=f"{path}H{_px(end)}", class_=f"best {style}")


def _points(plane: Plane) -> Iterator[Markup]:
    points = plane.points()
    names = labels(points)
    for label in names:
        if label.apart:
            ends = {"x1": label.point.x, "y1": label.point.y, "x2": label.x, "y2": label.y - 4}
            yield tag("line", **{end: _px(value) for end, value in ends.items()}, class_="lead")
    for point in points:
        interval = point.entry.scores[plane.measure].interval
        words = f"{point.entry.name}: {interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})"
        yield tag(
            "g",
            tag("title", words),
            tag("line", x1=_px(point.x), x2=_px(point.x), y1=_px(point.low), y2=_px(point.high), class_="reach"),
            shape(point.entry.first.kind, point.x, point.y),
            class_=_classes(point),
        )
    for label in names:
        where = {"x": _px(label.x), "y": _px(label.y), "text_anchor": label.anchor}
        yield tag("text", label.point.entry.name, **where, class_="name")


def _classes(point: Point) -> str:
    return f"point {point.entry.first.kind}{' simulated' if point.entry.simulated else ''}"


def shape(kind: str, x: float, y: float) -> Markup:
    """The mark of a kind of system, so that colour is not all that tells them apart."""
    r = RADIUS
    match kind:
        case "first_stage":
            return tag("circle", cx=_px(x), cy=_px(y), r=r)
        case "local":
            return tag("rect", x=_px(x - r), y=_px(y - r), width=2 * r, height=2 * r)
        case "recorded":
            return tag("path", d=f"M{_px(x)} {_px(y - r - 2)}l{r + 2} {r + 2}l{-r - 2} {r + 2}l{-r - 2} {-r - 2}z")
        case "vote":
            return tag("path", d=f"M{_px(x)} {_px(y - r - 1)}l{r + 2} {2 * r + 1}h{-2 * r - 4}z")
        case _:
            return tag("path", d=f"M{_px(x)} {_px(y + r + 1)}l{r + 2} {-2 * r - 1}h{-2 * r - 4}z")


def _legend(plane: Plane, real: Findings, made_up: Findings) -> Iterator[Markup]:
    kinds = dict.fromkeys(entry.first.kind for entry in plane.entries)
    for kind in kinds:
        mark = tag(
            "svg", tag("g", shape(kind, 9, 9), class_=f"point {kind}"), viewBox="0 0 18 18", aria_hidden="true"
        )
        yield tag("span", mark, KINDS[kind], class_="key")
    if made_up.ranked:
        mark = tag(
            "svg",
            tag("g", shape("llm", 9, 9), class_="point llm simulated"),
            viewBox="0 0 18 18",
            aria_hidden="true",
        )
        yield tag("span", mark, "hollow: simulated, says nothing of a real model", class_="key")
    yield tag(
        "span",
        "Bars are 95 % intervals; stepped lines are the best for the money, dashed among simulated systems.",
        class_="key",
    )


def _table(real: Findings, made_up: Findings) -> Markup:
    best = {id(entry) for findings in (real, made_up) for entry in findings.frontier}
    rows = [
        tag(
            "tr",
            tag("th", entry.name, scope="row"),
            tag("td", "not known" if (usd := usd_of(entry)) is None else usd_words(usd * QUERIES), class_="number"),
            tag("td", f"{entry.scores[real.measure].interval.mean:.3f}", class_="number"),
            tag("td", "yes" if id(entry) in best else ""),
        )
        for entry in (*real.ranked, *made_up.ranked)
    ]
    headings = ("System", f"Dollars for {QUERIES:,} queries", real.measure, "Best for the money")
    head = tag("thead", tag("tr", [tag("th", heading, scope="col") for heading in headings]))
    return tag("div", tag("table", head, tag("tbody", rows), aria_label="Cost and quality"), class_="scroll")


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
