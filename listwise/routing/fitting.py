"""Fits a gain model to cases: few signals, cross-fitted, calibrated, and honest.

Whether signals tell anything at all is decided on queries that the fit did not see: where predicted gains go with
realised ones no better than chance, the model says no more than the mean gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from listwise.errors import InputError
from listwise.routing.cases import Case
from listwise.routing.crossfit import (
    FOLDS,
    LEAST_QUERIES,
    Data,
    Floats,
    calibration_error,
    correlation,
    cross_fit,
    interval,
    ridge,
)
from listwise.routing.disagreement import GAIN_PER_DISAGREEMENT
from listwise.routing.gain import FURTHEST, GainModel, Line, Signal, Skill, along
from listwise.routing.offers import Option
from listwise.routing.reference import Reference

CORE = ("margin", "entropy", "skew", "likely", "second_scorer")
"""Signals that are used where few queries are known: those that told gains apart both on DL21 and on DL23. Each of
the others told nothing on one of them, and all together predict worse than these."""
MANY = 1000
"""Queries from which on all signals are used."""
LEAST_SHARE = 0.5
"""Of the queries that must have a signal for it to count."""
MOST_CHANCE = 0.025
"""How often signals that say nothing may come out as saying something."""
ISOTONIC_FROM = 500
"""Queries from which on the calibration curve may have any rising form; with fewer, it is a straight line."""
BLOCKS = 12
"""Groups of predictions whose means make a curve."""
CLOSE = 0.1
"""Standard deviations of all predictions within which two groups are one."""

Curve = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted model, and what it was fitted to."""

    model: GainModel
    queries: tuple[tuple[str, str], ...]
    predicted: Mapping[Option, Floats]
    """[queries], cross-fitted and calibrated: each by models that did not see the query."""
    realised: Mapping[Option, Floats]
    """[queries], mean over LLMs."""


@dataclass(frozen=True, slots=True)
class _Table:
    """Cases as numbers: one row a query, the mean over its cases."""

    queries: tuple[tuple[str, str], ...]
    options: tuple[Option, ...]
    signals: Mapping[str, Signal]
    data: Data


def fit(
    cases: Sequence[Case],
    *,
    fitted_on: str,
    llm: str,
    scorer: str,
    note: str = "",
    names: Sequence[str] | None = None,
    gain_per_disagreement: float | None = None,
    seed: int = 0,
) -> Fit:
    """Fit a gain model.

    Args:
        cases: all with the same options; several of one query (other LLMs, other seeds) are averaged.
        names: of the signals to use; by default `CORE`, or, of `MANY` queries, all.
        gain_per_disagreement: kept for `listwise.routing.drift`, which tells by it what queries gain later; by
            default what the cases say, as far as their disagreement is known.
        seed: of folds and resamples.

    Raises:
        InputError: there are no cases, or their options differ.
    """
    table = _table(cases, names)
    data, rng = table.data, np.random.default_rng(seed)
    crossed, real = cross_fit(data, rng), data.gains.mean(axis=1)
    ours = crossed.predicted.mean(axis=1)
    low, high = interval(ours, real, data.weights, rng)
    told = low > 0 and crossed.chance <= MOST_CHANCE
    stretch = _slope(crossed.predicted, data) if told else 0.0
    # More queries are shrunk less by the same penalty, and the stretch was measured on folds that lack a part.
    weights = stretch * ridge(data, crossed.penalty * FOLDS / (FOLDS - 1))
    means = data.means - np.average(data.rows, axis=0, weights=data.weights) @ weights
    raw = data.means + stretch * (crossed.predicted - data.means)
    curve = _curve(raw, data) if told and len(raw) >= ISOTONIC_FROM else ()
    predicted = np.vectorize(lambda each: along(curve, each), otypes=[np.float64])(raw)
    model = GainModel(
        fitted_on=fitted_on,
        llm=llm,
        scorer=scorer,
        note=note,
        signals=table.signals,
        options=tuple(
            Line(
                tier=option.tier,
                depth=option.depth,
                votes=option.votes,
                mean=_kept(means[at]),
                weights=tuple(map(_kept, weights[:, at])) if told else (),
                held_out=_pairs(predicted[:, at], data.gains[:, at]),
            )
            for at, option in enumerate(table.options)
        ),
        curve=curve,
        skill=Skill(
            queries=len(real),
            correlation=round(float(correlation(ours, real, data.weights)), 4),
            low=round(low, 4),
            high=round(high, 4),
            chance=crossed.chance,
            error=round(calibration_error(predicted.mean(axis=1), real), 5),
        ),
        gain_error=_kept(_standard_error(data)),
        gain_per_disagreement=_kept(_worth(cases) if gain_per_disagreement is None else gain_per_disagreement),
    )
    return Fit(
        model,
        table.queries,
        {option: predicted[:, at] for at, option in enumerate(table.options)},
        {option: data.gains[:, at] for at, option in enumerate(table.options)},
    )


def _table(cases: Sequence[Case], names: Sequence[str] | None) -> _Table:
    if not cases:
        raise InputError("there are no routing cases to fit to")
    options = tuple(sorted(outcome.option for outcome in cases[0].outcomes))
    by_query: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        if tuple(sorted(outcome.option for outcome in case.outcomes)) != options:
            raise InputError(f"its options are not those of query {cases[0].qid!r}", qid=case.qid)
        by_query.setdefault(case.query, []).append(case)
    firsts = [each[0] for each in by_query.values()]
    known = sorted({name for case in firsts for name in case.signals})
    chosen = names or (known if len(firsts) >= MANY else [name for name in CORE if name in known] or known)
    signals = {name: told for name in chosen if (told := _signal(firsts, name)) is not None}
    rows = [[told.standard(case.signals.get(name)) for name, told in signals.items()] for case in firsts]
    gains = [np.mean([_gains(case, options) for case in each], axis=0) for each in by_query.values()]
    weights = np.array([np.mean([case.weight for case in each]) for each in by_query.values()])
    data = Data(np.array(rows), np.array(gains), weights / weights.mean())
    return _Table(tuple(by_query), options, signals, data)


def _gains(case: Case, options: Sequence[Option]) -> list[float]:
    gained = {outcome.option: case.gain(outcome) for outcome in case.outcomes}
    return [gained[option] for option in options]


def _signal(cases: Sequence[Case], name: str) -> Signal | None:
    """How it is distributed; None for one that is too rare, or always the same."""
    values = np.array([case.signals[name] for case in cases if name in case.signals])
    if len(values) < max(2, LEAST_SHARE * len(cases)) or values.std() < 1e-9:
        return None
    middle, spread = float(values.mean()), float(values.std())
    kept = values.clip(middle - FURTHEST * spread, middle + FURTHEST * spread)
    return Signal(
        mean=_kept(kept.mean()), spread=max(1e-6, _kept(kept.std())), reference=Reference.of(values.tolist())
    )


def _pairs(predicted: Floats, realised: Floats) -> tuple[tuple[float, float], ...]:
    return tuple((_kept(ours), _kept(real)) for ours, real in zip(predicted, realised, strict=True))


def _kept(value: float) -> float:
    """To six digits, as files have it."""
    return float(f"{value:.6g}")


def _standard_error(data: Data) -> float:
    """Of the weighted mean of the gains' means over options; 0 for a single query, of which none can be told."""
    gains, weights = data.gains.mean(axis=1), data.weights
    if (count := len(gains)) < 2:
        return 0.0
    squares = (weights * (gains - np.average(gains, weights=weights))) ** 2
    return float(np.sqrt(squares.sum() / (count - 1) / count))


def _worth(cases: Sequence[Case]) -> float:
    """What a unit of disagreement gains: the ratio of the means, by which what is told from disagreement has the
    mean that was measured; `GAIN_PER_DISAGREEMENT` where too few queries are known to tell."""
    known = [
        (case.weight * case.gain(outcome), case.weight * outcome.disagreement)
        for case in cases
        for outcome in case.outcomes
        if outcome.disagreement is not None
    ]
    queries = {case.query for case in cases if any(each.disagreement is not None for each in case.outcomes)}
    gained, differed = (sum(column) for column in zip(*known, strict=True)) if known else (0.0, 0.0)
    if len(queries) < LEAST_QUERIES or differed <= 0:
        return GAIN_PER_DISAGREEMENT
    return min(1.0, max(0.0, gained / differed))


def _slope(predicted: Floats, data: Data) -> float:
    """How much more, or less, gains differ from query to query than predictions do: least squares within options
    (as Platt calibrates, for a number in place of a class)."""
    ours, real = predicted - np.average(predicted, 0, data.weights), data.gains - data.means
    weights = data.weights[:, None]
    size = float((weights * ours**2).sum())
    return max(0.0, float((weights * ours * real).sum()) / size) if size > 0 else 0.0


def _curve(predicted: Floats, data: Data) -> Curve:
    """Realised gains by cross-fitted ones, never falling: isotonic regression (Barlow et al., 1972) over groups of
    similar predictions."""
    flat, real = predicted.ravel(), data.gains.ravel()
    every, least = np.repeat(data.weights, predicted.shape[1]), CLOSE * float(flat.std())
    blocks: list[tuple[float, float, float]] = []
    for part in np.array_split(np.argsort(flat, kind="stable"), BLOCKS):
        share = every[part]
        block = [float(np.average(each[part], weights=share)) for each in (flat, real)]
        blocks.append((_kept(block[0]), _kept(block[1]), float(share.sum())))
        while len(blocks) > 1 and (blocks[-2][1] >= blocks[-1][1] or blocks[-1][0] - blocks[-2][0] <= least):
            later, before = blocks.pop(), blocks.pop()
            total = later[2] + before[2]
            block = [(later[at] * later[2] + before[at] * before[2]) / total for at in (0, 1)]
            blocks.append((_kept(block[0]), _kept(block[1]), total))
    return tuple((place, level) for place, level, _ in blocks) if len(blocks) > 1 else ()
