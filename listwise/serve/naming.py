"""What clients are told of where things lie: pure."""

from __future__ import annotations

from pathlib import PurePath


def shown_scorer(scorers: str) -> str:
    """Scorers (``A > B``), local models without the folders in which they lie."""
    return " > ".join(map(_name, scorers.split(" > ")))


def _name(scorer: str) -> str:
    return PurePath(scorer).name if scorer.startswith(("/", ".", "~")) else scorer
