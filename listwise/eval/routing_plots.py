"""Pictures of what a router is worth, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from listwise.errors import MissingExtra
from listwise.eval.routing import RULES, Bin, Known

COLOURS = {"router": "#c2410c", "margin": "#0f766e", "random": "#6b7280", "oracle": "#1d4ed8"}
GRID = "#e5e7eb"
WIDTH, HEIGHT = 4.2, 3.4
"""Inches of one panel."""
COLUMNS = 3


def draw_curves(known: Sequence[Known], path: Path) -> None:
    """nDCG@10 against dollars a query, a panel for each LLM."""
    plot = _plot()
    figure, panels = _panels(plot, len(known))
    for panel, each in zip(panels, known, strict=True):
        _frame(panel, each.llm + (" (simulated)" if each.simulated else ""))
        for rule in RULES:
            usd, ndcg = each.curve(rule)
            line = {"linestyle": "--"} if rule == "random" else {}
            panel.plot(usd * 1000, ndcg, color=COLOURS[rule], linewidth=1.8 if rule == "router" else 1.2, **line)
            at = len(usd) * {"oracle": 3, "router": 5, "margin": 7, "random": 4}[rule] // 10
            panel.annotate(
                rule,
                (usd[at] * 1000, ndcg[at]),
                xytext=(0, {"oracle": 6, "router": 6, "margin": -12, "random": -12}[rule]),
                textcoords="offset points",
                color=COLOURS[rule],
                fontsize=8,
                ha="center",
            )
        panel.set_xlabel("dollars for 1,000 queries")
        panel.set_ylabel("nDCG@10")
    _save(figure, path, plot)


def draw_calibration(bins: Sequence[tuple[str, Sequence[Bin]]], path: Path) -> None:
    """Predicted against realised gain, a panel for each LLM."""
    plot = _plot()
    figure, panels = _panels(plot, len(bins))
    for panel, (llm, found) in zip(panels, bins, strict=True):
        _frame(panel, llm)
        places, real = [each.predicted for each in found], [each.realised for each in found]
        spread = [[each.realised - each.low for each in found], [each.high - each.realised for each in found]]
        ends = [min(places), max(places)]
        panel.plot(ends, ends, color=COLOURS["random"], linewidth=1, linestyle="--")
        panel.errorbar(places, real, yerr=spread, fmt="o", color=COLOURS["router"], markersize=4, linewidth=1.2)
        panel.axhline(0, color=GRID, linewidth=1)
        panel.set_xlabel("predicted gain, nDCG@10")
        panel.set_ylabel("realised (95 % interval)")
    _save(figure, path, plot)


def _plot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise MissingExtra("drawing", "eval") from error
    matplotlib.use("svg")
    import matplotlib.pyplot as plot

    plot.rcParams.update({"font.family": "sans-serif", "font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "0"})
    return plot


def _panels(plot: Any, count: int) -> tuple[Any, list[Any]]:
    """So many, in rows."""
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    figure, grid = plot.subplots(rows, columns, figsize=(WIDTH * columns, HEIGHT * rows), squeeze=False)
    panels = list(grid.flat)
    for empty in panels[count:]:
        empty.set_visible(False)
    return figure, panels[:count]


def _frame(panel: Any, title: str) -> None:
    panel.set_title(title, fontsize=10, loc="left")
    panel.grid(color=GRID, linewidth=0.7)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _save(figure: Any, path: Path, plot: Any) -> None:
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plot.close(figure)
