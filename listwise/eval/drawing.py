"""What all our pictures share: the look of their panels, and files that are the same for the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from listwise.errors import ConfigError, MissingExtra

COLUMNS = 3
PANEL = 3.6, 3.1
"""Inches."""


def panels_of(count: int) -> tuple[Any, list[Any]]:
    """A figure, and its panels, of which the first ``count`` are seen.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("drawing curves", "eval") from error
    columns = min(COLUMNS, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(max(2, columns) * PANEL[0], lines * PANEL[1] + 0.7), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for panel in panels:
        panel.grid(color="0.92", lw=0.8)
        panel.set_axisbelow(True)
        panel.tick_params(labelsize=8, length=0)
        panel.spines[:].set_visible(False)
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels


def save(figure: Any, path: Path) -> None:
    """Write a figure in the form that the file's name says.

    Raises:
        ConfigError: the file cannot be written, or its name ends in no form that can be drawn.
    """
    from matplotlib import rc_context

    try:
        with rc_context({"svg.hashsalt": "listwise", "svg.fonttype": "none"}):
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=150)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be drawn: {error}") from error
