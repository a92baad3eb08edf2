"""Draws what `listwise.eval.routing` finds, as SVG or whatever else matplotlib makes of a file's name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from listwise.eval.drawing import panels_of, save
from listwise.eval.routing import SHARES, Curve, Sample, calibration, curves
from listwise.eval.routing_budgets import by_budget

STYLES = {
    "oracle": ("#7a7a7a", "-", 1.2),
    "random": ("#b5b5b5", "-", 1.2),
    "random, any depth": ("#8f8f8f", (0, (2, 1.5)), 1.2),
    "margin": ("#d98200", "-", 1.6),
    "router": ("#0b5fa5", "-", 2.2),
    "router, any depth": ("#0b5fa5", (0, (2, 1.5)), 1.4),
}
"""Colour, dashes and width of a curve; the later are drawn over the earlier."""
NAMES = {"margin": "margin rule", "random": "random"}


def draw_curves(found: Sequence[Sample], path: Path) -> None:
    """nDCG@10 against dollars, a panel for each LLM; dots are the shares at which orders are compared.

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigError: the file cannot be written, or its name ends in no form that can be drawn.
    """
    figure, panels = panels_of(len(found))
    for sample, panel in zip(found, panels, strict=False):
        told = {each.name: each for each in (*curves(sample), *by_budget(sample))}
        for name, (colour, dashes, width) in STYLES.items():
            curve = told[name]
            panel.plot(curve.usd, curve.ndcg, color=colour, ls=dashes, lw=width, label=NAMES.get(name, name))
        _dots(panel, next(each for each in curves(sample, SHARES) if each.name == "router"))
        _titled(panel, sample)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper left",
        ncols=len(STYLES),
        frameon=False,
        labelcolor="linecolor",
    )
    figure.supxlabel("dollars for 1000 queries", fontsize=10)
    figure.supylabel("nDCG@10", fontsize=10)
    save(figure, path)


def draw_calibration(found: Sequence[Sample], path: Path) -> None:
    """Realised against predicted gain in groups of equal size, with 95 % intervals, a panel for each LLM.

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigError: the file cannot be written, or its name ends in no form that can be drawn.
    """
    figure, panels = panels_of(len(found))
    for sample, panel in zip(found, panels, strict=False):
        told = calibration(sample)
        places = [place for place, _ in told.bins]
        means = [gain.mean for _, gain in told.bins]
        reach = [[gain.mean - gain.low for _, gain in told.bins], [gain.high - gain.mean for _, gain in told.bins]]
        panel.axline((0, 0), slope=1, color="0.7", lw=1)
        panel.axhline(0, color="0.85", lw=0.8)
        panel.errorbar(places, means, reach, color="#0b5fa5", marker="o", ms=4, lw=1.6, elinewidth=1)
        panel.text(0.03, 0.95, f"off by {told.error:.3f}", transform=panel.transAxes, fontsize=8, va="top")
        _titled(panel, sample)
    figure.supxlabel("predicted gain in nDCG@10 (the grey line: as predicted)", fontsize=10)
    figure.supylabel("realised gain", fontsize=10)
    save(figure, path)


def _dots(panel: Any, router: Curve) -> None:
    panel.plot(router.usd, router.ndcg, "o", color=STYLES["router"][0], ms=3.5)
    for share, usd, ndcg in zip(router.shares, router.usd, router.ndcg, strict=True):
        panel.annotate(
            f"{share:.0%}",
            (usd, ndcg),
            xytext=(3, -9),
            textcoords="offset points",
            fontsize=7,
            color=STYLES["router"][0],
            bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 0.6},
        )


def _titled(panel: Any, sample: Sample) -> None:
    panel.set_title(f"{sample.label}\n{sample.collections}, {len(sample.rows)} queries", fontsize=9, loc="left")
