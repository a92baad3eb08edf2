"""Gain models with weights set by hand."""

from __future__ import annotations

from collections.abc import Mapping

from listwise.routing.gain import GainModel, Line, Signal, Skill
from listwise.routing.reference import Reference

SKILL = Skill(queries=0, correlation=0.0, low=0.0, high=0.0, chance=1.0, error=0.0)
UNIT = Signal(mean=0.0, spread=1.0, reference=Reference.of([-1.0, 0.0, 1.0]))
"""A signal that is standard as it is."""


def line(depth: int, mean: float, *weights: float, tier: str = "llm", votes: int = 1, **more: object) -> Line:
    return Line.model_validate(
        {"tier": tier, "depth": depth, "votes": votes, "mean": mean, "weights": weights, **more}
    )


def gain_model(*lines: Line, signals: Mapping[str, Signal] | None = None, **more: object) -> GainModel:
    """Of these lines over signals, by default the margin."""
    told = {"margin": UNIT} if signals is None else signals
    settings = {"fitted_on": "nothing", "llm": "none", "scorer": "hand", "skill": SKILL, **more}
    return GainModel.model_validate({"signals": told, "options": lines, **settings})


def by_margin(*depths: int, mean: float = 0.1, held_out: int = 10) -> GainModel:
    """Ten points less gain for each standard deviation of margin, and one more for each option that reads deeper;
    of queries with margins from 0 on, in steps of a tenth, that gained as predicted."""
    pairs = [(mean - at / 100, mean - at / 100) for at in range(held_out)]
    lines = [
        line(depth, mean + at / 100, -0.1, held_out=[(one + at / 100, two + at / 100) for one, two in pairs])
        for at, depth in enumerate(depths or (20,))
    ]
    return gain_model(*lines)
