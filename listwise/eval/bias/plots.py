"""Draws studies, as SVG or whatever else matplotlib makes of a file's name; a panel for each model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from listwise.eval.bias.positions import Positions
from listwise.eval.bias.study import Study
from listwise.eval.drawing import panels_of, save

COLOUR, PALE = "#0b5fa5", "#a9c8e3"


def draw_curve(studies: Sequence[Study], path: Path) -> None:
    """What each position does to the rank given, with its 95 % interval and the band for all; for windows that came
    in one order only, without judgements: the mean rank given.

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigError: the file cannot be written, or its name ends in no form that can be drawn.
    """

    def draw(panel: Any, each: Positions) -> None:
        effects = each.effects
        curve = each.mean_rank if effects is None else effects.curve
        places = range(1, each.size + 1)
        if effects is None:
            panel.text(0.03, 0.95, "confounded: mean rank given", transform=panel.transAxes, fontsize=8, va="top")
        else:
            panel.axhline(0, color="0.7", lw=1)
            panel.fill_between(places, *zip(*effects.band, strict=True), color=PALE, alpha=0.45, lw=0)
        means = [at.value for at in curve]
        reach = [[at.value - at.low for at in curve], [at.high - at.value for at in curve]]
        panel.errorbar(places, means, reach, color=COLOUR, marker="o", ms=3, lw=1.6, elinewidth=1)
        panel.invert_yaxis()

    _draw(studies, path, draw, "position shown", "ranks lost (up: the place is favoured)")


def draw_matrix(studies: Sequence[Study], path: Path) -> None:
    """How often a passage that is shown at one position gets each rank.

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigError: the file cannot be written, or its name ends in no form that can be drawn.
    """

    def draw(panel: Any, each: Positions) -> None:
        edges = 0.5, each.size + 0.5
        shares = [[100 * share for share in line] for line in each.matrix]
        image = panel.imshow(shares, cmap="Blues", vmin=0, extent=(*edges, *reversed(edges)), aspect="auto")
        panel.grid(visible=False)
        panel.set_yticks(_ticks(each.size))
        bar = panel.figure.colorbar(image, ax=panel, format="%g%%")
        bar.ax.tick_params(labelsize=8, length=0)
        bar.outline.set_visible(False)

    _draw(studies, path, draw, "rank given", "position shown")


def draw_top(studies: Sequence[Study], path: Path) -> None:
    """Where the passages were shown that came out on top, with 95 % intervals; the line: did position not matter.

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigError: the file cannot be written, or its name ends in no form that can be drawn.
    """

    def draw(panel: Any, each: Positions) -> None:
        places = range(1, each.size + 1)
        means = [100 * at.value for at in each.top.share]
        reach = [
            [100 * max(0.0, at.value - at.low) for at in each.top.share],
            [100 * max(0.0, at.high - at.value) for at in each.top.share],
        ]
        panel.bar(places, means, color=PALE)
        panel.errorbar(places, means, reach, color=COLOUR, ls="none", elinewidth=1)
        panel.plot(places, [100 * at for at in each.top.expected], color="0.4", lw=1, ls=(0, (2, 1.5)))

    _draw(studies, path, draw, "position shown", "on top, % of windows (dashed: by chance)")


PICTURES: Mapping[str, Callable[[Sequence[Study], Path], None]] = {
    "curve": draw_curve,
    "matrix": draw_matrix,
    "top": draw_top,
}
"""By the file's stem."""


def _draw(
    studies: Sequence[Study], path: Path, draw: Callable[[Any, Positions], None], across: str, down: str
) -> None:
    drawn = [study for study in studies if study.positions]
    if not drawn:
        return
    figure, panels = panels_of(len(drawn))
    for study, panel in zip(drawn, panels, strict=False):
        main = study.positions[0]
        draw(panel, main)
        panel.set_xticks(_ticks(main.size))
        label = f"{study.model} (simulated)" if study.simulated else study.model
        title = f"{label}\n{main.windows} windows of {main.size}, {main.design}"
        panel.set_title(title, fontsize=9, loc="left", parse_math=False)
    figure.supxlabel(across, fontsize=10)
    figure.supylabel(down, fontsize=10)
    save(figure, path)


def _ticks(size: int) -> list[int]:
    """Positions that bear their number."""
    return list(range(1, size + 1)) if size < 10 else [1, *range(5, size + 1, 5)]
