"""The picture of cost and quality as files, SVG and PNG, by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from listwise.errors import ConfigError, MissingExtra
from listwise.eval.report.findings import QUERIES, Findings
from listwise.eval.report.folder import KINDS
from listwise.eval.report.plane import HEIGHT, WIDTH, Plane, labels

MARKS = {"first_stage": "o", "local": "s", "recorded": "D", "vote": "^", "llm": "v"}
COLOURS = {"first_stage": "#5b6472", "local": "#0f766e", "recorded": "#b45309", "vote": "#7c3aed", "llm": "#1d4ed8"}
"""As the page has them on white."""
INCH = 100
"""Pixels of the page's plane."""
BEHIND = {"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 0.6}
"""Keeps lines off names."""
FORMS = (".svg", ".png")


def draw_frontier(real: Findings, made_up: Findings, folder: Path) -> list[Path]:
    """Draw a collection's entries into ``folder``; the same places as in the page.

    Returns:
        The files.

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigError: a file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("drawing figures", "eval") from error
    plane = Plane([*real.ranked, *made_up.ranked], real.measure)
    figure = Figure(figsize=(WIDTH / INCH, HEIGHT / INCH), dpi=INCH)
    panel = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    panel.axis("off")
    _axes(panel, plane)
    for findings, dashes in ((real, "-"), (made_up, (0, (3, 2)))):
        _steps(panel, plane, findings, dashes)
    for point in plane.points():
        colour = COLOURS[point.entry.first.kind]
        panel.plot([point.x, point.x], [point.low, point.high], color=colour, lw=1, alpha=0.6)
        panel.plot(
            *(point.x, point.y),
            MARKS[point.entry.first.kind],
            color=colour,
            mfc="white" if point.entry.simulated else colour,
            ms=8,
        )
    for label in labels(plane.points()):
        if label.apart:
            panel.plot([label.point.x, label.x], [label.point.y, label.y - 4], color="0.7", lw=0.7)
        side = "left" if label.anchor == "start" else "right"
        name = _plain(label.point.entry.name)
        panel.text(label.x, label.y, name, ha=side, va="baseline", fontsize=8, bbox=BEHIND)
    _legend(panel, plane)
    return _save(figure, [folder / f"frontier-{real.collection}{form}" for form in FORMS])


def _axes(panel: Any, plane: Plane) -> None:
    from listwise.eval.report.plane import BOTTOM, LANE, LEFT, RIGHT, TOP

    bottom = HEIGHT - BOTTOM
    for value in plane.qualities():
        panel.plot([LEFT, WIDTH - RIGHT], [plane.y(value)] * 2, color="0.9", lw=0.8, zorder=0)
        panel.text(LEFT - 8, plane.y(value) + 4, f"{value:.2f}", ha="right", fontsize=8, color="0.35")
    for usd in plane.dollars():
        panel.plot([plane.x_of(usd)] * 2, [bottom, bottom + 5], color="0.5", lw=0.8)
        panel.text(plane.x_of(usd), bottom + 20, f"\\${usd:g}", ha="center", fontsize=8, color="0.35")
    for there, x, words in (
        (plane.free, LEFT, "no API cost"),
        (plane.unknown, WIDTH - RIGHT - LANE, "cost not known"),
    ):
        if there:
            panel.fill_between([x, x + LANE], TOP, bottom, color="0.96", zorder=0, lw=0)
            panel.text(x + LANE / 2, bottom + 20, words, ha="center", fontsize=8, color="0.35")
    panel.text(LEFT - 42, TOP - 16, plane.measure, fontsize=9)
    if plane.priced:
        panel.text(
            (plane.start + plane.end) / 2, bottom + 40, f"dollars for {QUERIES:,} queries", ha="center", fontsize=9
        )


def _steps(panel: Any, plane: Plane, findings: Findings, dashes: Any) -> None:
    points = [
        (plane.x(entry), plane.y(entry.scores[findings.measure].interval.mean)) for entry in findings.frontier
    ]
    if points:
        points.append((plane.end, points[-1][1]))
        xs, ys = zip(*points, strict=True)
        panel.step(xs, ys, where="post", color="0.55", lw=1.2, ls=dashes, zorder=1)


def _legend(panel: Any, plane: Plane) -> None:
    from matplotlib.lines import Line2D

    kinds = dict.fromkeys(entry.first.kind for entry in plane.entries)
    keys = [Line2D([], [], marker=MARKS[kind], color=COLOURS[kind], ls="", label=KINDS[kind]) for kind in kinds]
    if any(entry.simulated for entry in plane.entries):
        keys.append(Line2D([], [], marker="v", color=COLOURS["llm"], mfc="white", ls="", label="hollow: simulated"))
    panel.legend(handles=keys, loc="upper right", ncols=len(keys), frameon=False, fontsize=8, borderpad=0)


def _plain(name: str) -> str:
    """A name that matplotlib does not take for mathematics."""
    return name.replace("$", r"\$")


def _save(figure: Any, paths: Sequence[Path]) -> list[Path]:
    from matplotlib import rc_context

    for path in paths:
        try:
            path.parent.mkdir(exist_ok=True)
            with rc_context({"svg.hashsalt": "listwise", "svg.fonttype": "none"}):
                figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=2 * INCH)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be drawn: {error}") from error
    return list(paths)
