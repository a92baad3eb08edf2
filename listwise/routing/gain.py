"""What an LLM is expected to gain on a query: a linear model of the query's signals, for each option, calibrated.

It predicts E[nDCG@10 with the option - nDCG@10 of the local order], not how difficult the query is. It is fitted by
`listwise.routing.fitting` and kept as JSON; using it takes no numpy and some microseconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from math import inf, isfinite
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from listwise.errors import ConfigError
from listwise.resources import shipped_or_own
from listwise.routing.disagreement import GAIN_PER_DISAGREEMENT
from listwise.routing.drift import Fitted
from listwise.routing.offers import Option
from listwise.routing.reference import Reference
from listwise.routing.signals import Signals
from listwise.spend.rates import first_problem

FURTHEST = 3.0
"""Standard deviations from its mean at which a signal's influence ends."""

Pairs = tuple[tuple[float, Annotated[float, Field(ge=-1, le=1)]], ...]
"""A predicted and a realised gain, of each query."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Signal(_Frozen):
    """How a signal was distributed where the model was fitted."""

    mean: float
    spread: float = Field(gt=0)
    reference: Reference
    """By which drift is noticed."""

    def standard(self, value: float | None) -> float:
        """In standard deviations from the mean, at most `FURTHEST`; 0 for one that is missing or no number."""
        if value is None or not isfinite(value):
            return 0.0
        return min(FURTHEST, max(-FURTHEST, (value - self.mean) / self.spread))


class Line(_Frozen):
    """One option's expected gain, as a sum over standardized signals."""

    tier: str
    depth: int = Field(ge=1)
    votes: int = Field(ge=1)
    mean: float
    """Expected gain of a query of which nothing is known."""
    weights: tuple[float, ...] = ()
    """One a signal of the model; empty where signals tell nothing."""
    held_out: Pairs = ()
    """What was predicted and what was realised, of the queries that the model was fitted on, each predicted by
    models that were not fitted to it; in the same order for all options. Thresholds and guarantees go by them."""

    @property
    def option(self) -> Option:
        """Whose line it is."""
        return Option(self.tier, self.depth, self.votes)


class Skill(_Frozen):
    """How well gains are predicted for queries that the model was not fitted to (cross-fitted)."""

    queries: int
    correlation: float
    """Of predicted and realised gains over queries."""
    low: float
    high: float
    """95 % bootstrap interval of the correlation, over queries."""
    chance: float = Field(ge=0, le=1)
    """How often signals that say nothing would seem to predict as well (permutation test)."""
    error: float
    """Mean absolute distance of predicted and realised gains, in bins of equal size."""


class GainModel(_Frozen):
    """A fitted router, as it is kept in ``routing/*.json``."""

    version: Literal[1] = 1
    fitted_on: str
    """Names of the judged collections, or what else gave the labels."""
    llm: str
    """Whose gains they are."""
    scorer: str
    """Whose scores the signals were read from."""
    note: str = ""
    """What a user should know of it."""
    signals: Mapping[str, Signal]
    options: tuple[Line, ...] = Field(min_length=1)
    curve: tuple[tuple[float, float], ...] = ()
    """Calibration: what was realised where so much was predicted, never falling, as straight lines from point to
    point, the outer ones without end. Empty: as predicted."""
    skill: Skill
    gain_error: float = Field(default=0.0, ge=0)
    """Standard error of the mean gain."""
    gain_per_disagreement: float = GAIN_PER_DISAGREEMENT
    """What makes a gain of the disagreement of an LLM with the local order, where nobody judges."""

    @cached_property
    def name(self) -> str:
        """Under which its decisions are logged: another fit has another name."""
        digest = blake2b(self.model_dump_json().encode(), digest_size=4).hexdigest()
        return f"{'-'.join(self.scorer.split())}-{digest}"

    @property
    def fitted(self) -> Fitted:
        """What drift is measured against."""
        references = {name: known.reference for name, known in self.signals.items()}
        return Fitted(self.name, references, self.gain_error, self.gain_per_disagreement)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(line.weights and len(line.weights) != len(self.signals) for line in self.options):
            raise ValueError(f"a line has one weight for each of the {len(self.signals)} signals, or none")
        if len({len(line.held_out) for line in self.options}) > 1:
            raise ValueError("the options were held out of different numbers of queries")
        if len(self.curve) == 1 or any(not (a < c and b <= d) for (a, b), (c, d) in pairwise(self.curve)):
            raise ValueError("a curve has at least two points, from left to right, and never falls")
        return self

    def line(self, option: Option) -> Line:
        """The line that speaks for an option; for one that reads less than any, because there is less to read, the
        one that reads least of those that read as much.

        Raises:
            KeyError: there is none.
        """
        lines = [one for one in self.options if (one.tier, one.votes) == (option.tier, option.votes)]
        deep = [one for one in lines if one.depth >= option.depth]
        if not deep:
            raise KeyError(option)
        return min(deep, key=lambda one: one.depth)

    def best_of(self, options: Iterable[Option]) -> list[tuple[float, float]]:
        """The gain predicted for the best of some options, and the one that it realised, of each query that the
        model was fitted on, by rising prediction."""
        lines = [self.line(option) for option in options]
        by_query = zip(*(line.held_out for line in lines), strict=True)
        return sorted(max(each, key=lambda pair: pair[0]) for each in by_query)

    @cached_property
    def held_out(self) -> list[tuple[float, float]]:
        """The same for the best of all options."""
        return self.best_of(line.option for line in self.options)

    def threshold(self, share: float, options: Iterable[Option]) -> float:
        """What the gain predicted for the best of some options reaches for so large a share of the queries that
        the model was fitted on; infinite for none of them, or all."""
        known = self.best_of(options)
        count = round(share * len(known))
        if 0 < count < len(known):
            return known[-count][0]
        return -inf if count else inf

    @cached_property
    def told(self) -> bool:
        """Whether the signals say anything; otherwise every query is expected to gain the mean."""
        return any(any(line.weights) for line in self.options)

    def predict(self, signals: Signals) -> dict[Option, float]:
        """Expected gain in nDCG@10 of each option."""
        standard = self._standard(signals)
        return {line.option: along(self.curve, _sum(line, standard)) for line in self.options}

    def reasons(self, signals: Signals, option: Option) -> list[tuple[str, float]]:
        """What each signal adds to the expected gain of an option, in nDCG@10, the largest first; together what is
        expected beyond the gain of a query of which nothing is known."""
        line = self.line(option)
        parts = zip(self.signals, line.weights, self._standard(signals), strict=False)
        told = [(name, weight * value) for name, weight, value in parts]
        beyond = sum(added for _, added in told)
        if abs(beyond) > 1e-12:
            steep = (along(self.curve, line.mean + beyond) - along(self.curve, line.mean)) / beyond
            told = [(name, added * steep) for name, added in told]
        return sorted(told, key=lambda each: -abs(each[1]))

    def leaning(self) -> list[tuple[str, float]]:
        """By how much each signal moves the deepest option's gain, a standard deviation up and before calibration;
        strongest first."""
        deepest = max(self.options, key=lambda line: (line.depth, line.votes))
        return sorted(zip(self.signals, deepest.weights, strict=False), key=lambda each: -abs(each[1]))

    def _standard(self, signals: Signals) -> list[float]:
        return [known.standard(signals.get(name)) for name, known in self.signals.items()]

    @classmethod
    def read(cls, name: str | Path) -> GainModel:
        """A shipped router by name, or a file.

        Raises:
            ConfigError: there is none, or it cannot be read as one.
        """
        path = shipped_or_own("routing", ".json", name, "router")
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ConfigError(f"{path}: no fitted router: {first_problem(error)}") from None

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def along(curve: Sequence[tuple[float, float]], place: float) -> float:
    """The height of a curve of straight lines at a place; the place itself where there is no curve."""
    if not curve:
        return place
    at = min(max(1, bisect_right(curve, place, key=lambda point: point[0])), len(curve) - 1)
    (left, low), (right, high) = curve[at - 1], curve[at]
    return low + (high - low) * (place - left) / (right - left)


def _sum(line: Line, standard: list[float]) -> float:
    return line.mean + sum(weight * value for weight, value in zip(line.weights, standard, strict=False))
