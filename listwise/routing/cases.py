"""What a gain model is fitted to and measured on: queries of which it is known what an LLM would have gained.

A file of cases is JSON lines, one a query and LLM:

    {"qid": "1", "collection": "dl21", "llm": "sim/strong", "signals": {"margin": 0.2, ...}, "local": 0.61,
     "options": [{"tier": "llm", "depth": 20, "votes": 1, "ndcg": 0.72, "nano_usd": 5200000, "disagreement": 0.4},
                 ...]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listwise.errors import InputError
from listwise.routing.offers import FIRST_CHOICE, Option
from listwise.routing.signals import Signals

MOST = 1e12
"""No signal or weight is larger."""
LEAST_WEIGHT = 1e-6
LOG = "the log of routes"
"""The collection of cases whose gains are estimates, and of which nobody knows what they reached."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one option came to."""

    option: Option
    ndcg: float
    nano_usd: int = 0
    disagreement: float | None = None
    """With the local order (`listwise.routing.disagreement`), where it is known."""


@dataclass(frozen=True, slots=True)
class Case:
    """One query, and one LLM's outcomes."""

    qid: str
    signals: Signals
    local: float
    """nDCG@10 of the local order; 0 where outcomes say what was gained, and not what was reached."""
    outcomes: tuple[Outcome, ...]
    collection: str = ""
    llm: str = ""
    weight: float = 1.0
    """How many queries it stands for: one over the probability that its outcome came to be known."""

    @property
    def query(self) -> tuple[str, str]:
        """Whose case it is: several LLMs may have one query's."""
        return self.collection, self.qid

    def gain(self, outcome: Outcome) -> float:
        """nDCG@10 over the local order's."""
        return outcome.ndcg - self.local

    def as_json(self) -> str:
        """A line of a file."""
        options = [
            {
                "tier": each.option.tier,
                "depth": each.option.depth,
                "votes": each.option.votes,
                "ndcg": round(each.ndcg, 6),
                "nano_usd": each.nano_usd,
                **({} if each.disagreement is None else {"disagreement": round(each.disagreement, 6)}),
            }
            for each in self.outcomes
        ]
        told = {name: round(value, 6) for name, value in self.signals.items()}
        line: dict[str, Any] = {"qid": self.qid, "collection": self.collection, "llm": self.llm, "signals": told}
        line |= {"local": round(self.local, 6), "options": options}
        if self.weight != 1:
            line["weight"] = round(self.weight, 6)
        return json.dumps(line, ensure_ascii=False)


def read_cases(path: Path) -> list[Case]:
    """Read a file of cases.

    Raises:
        InputError: it cannot be read, or a line is none; names file and line.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            return list(_parsed(lines, path))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from error


def write_cases(path: Path, cases: Iterable[Case]) -> None:
    """Write a file of cases."""
    path.write_text("".join(case.as_json() + "\n" for case in cases), encoding="utf-8")


def _parsed(lines: Iterable[str], path: Path) -> Iterator[Case]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _case(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
                what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
                raise InputError(f"not a routing case: {what}", path=path, line=number) from None


def _case(line: dict[str, Any]) -> Case:
    outcomes = tuple(map(_outcome, line["options"]))
    if not outcomes or len({each.option for each in outcomes}) < len(outcomes):
        raise ValueError("a case has options, each once")
    return Case(
        str(line["qid"]),
        {str(name): _number(value, name) for name, value in line["signals"].items()},
        _number(line["local"], "local", 0, 1),
        outcomes,
        str(line.get("collection", "")),
        str(line.get("llm", "")),
        _number(line.get("weight", 1.0), "weight", LEAST_WEIGHT),
    )


def _outcome(told: dict[str, Any]) -> Outcome:
    option = Option(
        str(told.get("tier", FIRST_CHOICE)),
        _whole(told["depth"], "depth", 1),
        _whole(told.get("votes", 1), "votes", 1),
    )
    differs = told.get("disagreement")
    return Outcome(
        option,
        _number(told["ndcg"], "ndcg", 0, 1),
        _whole(told.get("nano_usd", 0), "nano_usd", 0),
        None if differs is None else _number(differs, "disagreement", 0, 1),
    )


def _number(value: object, name: str, least: float = -MOST, most: float = MOST) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}: no number from {least:g} to {most:g}")
    return float(value)


def _whole(value: object, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}: no whole number from {least} on")
    return value
