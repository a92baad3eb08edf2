"""Fits a gain model to cases: ridge regression on standardized signals, cross-fitted, calibrated, and honest.

Whether signals tell anything at all is decided on queries that the fit did not see: where the interval of the
correlation of predicted and realised gains includes zero, the model says no more than the mean gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from listwise.errors import InputError
from listwise.routing.cases import Case
from listwise.routing.gain import FURTHEST, GainModel, Line, Signal, Skill, along
from listwise.routing.offers import Option
from listwise.routing.reference import Reference

Floats = NDArray[np.float64]

FOLDS = 10
REPEATS = 5
"""Cross-fittings, each with other folds; a query's prediction is their mean."""
PENALTIES = tuple(float(each) for each in np.geomspace(10, 30_000, 8))
"""Ridge penalties that are tried, in queries; the largest leave a direction in which each signal counts as
much as it correlates by itself, which calibration then scales (one step of partial least squares)."""
CORE = ("margin", "entropy", "skew", "likely", "second_scorer")
"""Signals that are used where few queries are known: those that told gains apart both on DL21 and on DL23. Each of
the others told nothing on one of them, and all together predict worse than these."""
MANY = 1000
"""Queries from which on all signals are used, and predictions are calibrated by a curve of any rising form; of
fewer, by a straight line."""
LEAST_QUERIES = 20
"""With fewer, nothing can be told of signals."""
LEAST_SHARE = 0.5
"""Of the queries that must have a signal for it to count."""
RESAMPLES = 2000
QUANTILES = 21
BLOCKS = 12
"""Groups of predictions whose means make a calibration curve."""


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
    names: tuple[str, ...]
    options: tuple[Option, ...]
    signals: Mapping[str, Signal]
    rows: Floats
    """[queries, signals], standardized."""
    gains: Floats
    """[queries, options]."""
    weights: Floats
    """[queries], of mean 1."""


def fit(
    cases: Sequence[Case],
    *,
    fitted_on: str,
    llm: str,
    scorer: str,
    note: str = "",
    names: Sequence[str] | None = None,
    seed: int = 0,
) -> Fit:
    """Fit a gain model.

    Args:
        cases: all with the same options; several of one query (other LLMs, other seeds) are averaged.
        names: of the signals to use; by default `CORE`, or, of `MANY` queries, all.
        seed: of folds and resamples.

    Raises:
        InputError: there are no cases, or their options differ.
    """
    table = _table(cases, names)
    rng = np.random.default_rng(seed)
    penalty, raw = _cross_fit(table, rng)
    skill = _skill(table, raw, rng)
    told = skill.low > 0
    average = np.average(table.gains, axis=0, weights=table.weights)
    slope = _slope(raw - average, table.gains - average, table.weights) if told else 0.0
    raw = average + slope * (raw - average)
    weights = slope * _ridge(table.rows, table.gains, table.weights, penalty)
    mean = average - np.average(table.rows, axis=0, weights=table.weights) @ weights
    curve = _isotonic(raw.ravel(), table.gains.ravel(), table.weights) if told and len(raw) >= MANY else ()
    lines = tuple(
        Line(
            tier=option.tier,
            depth=option.depth,
            votes=option.votes,
            mean=_kept(float(mean[at])),
            weights=tuple(_kept(float(each)) for each in weights[:, at]) if told else (),
        )
        for at, option in enumerate(table.options)
    )
    model = GainModel(
        fitted_on=fitted_on,
        llm=llm,
        scorer=scorer,
        note=note,
        signals=table.signals,
        options=lines,
        curve=curve,
        skill=skill,
    )
    predicted = _apply(curve, raw)
    best = predicted.argmax(axis=1)
    everywhere = np.arange(len(best))
    pairs = sorted(zip(predicted.max(axis=1).tolist(), table.gains[everywhere, best].tolist(), strict=True))
    mean_gains = table.gains.mean(axis=1)
    model = model.model_copy(
        update={
            "options": tuple(
                line.model_copy(update={"reached": _quantiles(predicted[:, at])}) for at, line in enumerate(lines)
            ),
            "held_out": tuple((_kept(ours), _kept(real)) for ours, real in pairs),
            "gain_error": _kept(float(mean_gains.std(ddof=1) / len(pairs) ** 0.5)) if len(pairs) > 1 else 0.0,
        }
    )
    return Fit(
        model,
        table.queries,
        {option: predicted[:, at] for at, option in enumerate(table.options)},
        {option: table.gains[:, at] for at, option in enumerate(table.options)},
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
    queries = tuple(by_query)
    firsts = [each[0] for each in by_query.values()]
    known = sorted({name for case in firsts for name in case.signals})
    chosen = names or (known if len(queries) >= MANY else [name for name in CORE if name in known] or known)
    signals = {name: told for name in chosen if (told := _signal(firsts, name)) is not None}
    gains = [
        np.mean([[_gain(case, option) for option in options] for case in by_query[query]], 0) for query in queries
    ]
    weights = np.array([np.mean([case.weight for case in by_query[query]]) for query in queries])
    return _Table(
        queries,
        tuple(signals),
        options,
        signals,
        np.array([[told.standard(case.signals.get(name)) for name, told in signals.items()] for case in firsts]),
        np.array(gains),
        weights / weights.mean(),
    )


def _gain(case: Case, option: Option) -> float:
    return next(case.gain(outcome) for outcome in case.outcomes if outcome.option == option)


def _signal(cases: Sequence[Case], name: str) -> Signal | None:
    """How it is distributed; None for one that is too rare, or always the same."""
    values = np.array([case.signals[name] for case in cases if name in case.signals])
    if len(values) < max(2, LEAST_SHARE * len(cases)) or values.std() < 1e-9:
        return None
    middle, spread = float(values.mean()), float(values.std())
    kept = values.clip(middle - FURTHEST * spread, middle + FURTHEST * spread)
    return Signal(
        mean=_kept(float(kept.mean())),
        spread=max(1e-6, _kept(float(kept.std()))),
        reference=Reference.of(values.tolist()),
    )


def _quantiles(values: Floats) -> tuple[float, ...]:
    return tuple(_kept(float(each)) for each in np.quantile(values, np.linspace(0, 1, QUANTILES)))


def _kept(value: float) -> float:
    """To six digits, as files have it."""
    return float(f"{value:.6g}")


def _ridge(rows: Floats, gains: Floats, weights: Floats, penalty: float) -> Floats:
    """Weights [signals, options] that minimise the weighted squared error around the means, plus the penalty."""
    center, middle = np.average(rows, axis=0, weights=weights), np.average(gains, axis=0, weights=weights)
    weighed = (rows - center) * weights[:, None]
    matrix = weighed.T @ (rows - center) + penalty * np.eye(rows.shape[1])
    return np.asarray(np.linalg.solve(matrix, weighed.T @ (gains - middle)), np.float64)


def _cross_fit(table: _Table, rng: np.random.Generator) -> tuple[float, Floats]:
    """The penalty whose predictions for unseen queries correlate best with what was realised, and these
    predictions, [queries, options]."""
    count, average = len(table.queries), np.average(table.gains, axis=0, weights=table.weights)
    predicted = np.tile(average, (len(PENALTIES), count, 1))
    if count < LEAST_QUERIES:
        return PENALTIES[-1], predicted[-1]
    for _ in range(REPEATS):
        fold = rng.permutation(count) % FOLDS
        for each in range(FOLDS):
            seen, unseen = fold != each, fold == each
            middle = np.average(table.rows[seen], axis=0, weights=table.weights[seen])
            for at, penalty in enumerate(PENALTIES):
                weights = _ridge(table.rows[seen], table.gains[seen], table.weights[seen], penalty)
                # From the mean of all: a fold's own is low where what was left out is high, and hides the signals.
                predicted[at, unseen] += (table.rows[unseen] - middle) @ weights / REPEATS
    told = [_correlation(each.mean(axis=1), table.gains.mean(axis=1), table.weights) for each in predicted]
    best = int(np.argmax(np.round(told, 3)[::-1]))  # of equals, the largest
    return PENALTIES[::-1][best], predicted[::-1][best]


def _skill(table: _Table, predicted: Floats, rng: np.random.Generator) -> Skill:
    """Of the mean over options."""
    ours, real = predicted.mean(axis=1), table.gains.mean(axis=1)
    count = len(ours)
    drawn = rng.integers(0, count, (RESAMPLES, count))
    spread = [_correlation(ours[each], real[each], table.weights[each]) for each in drawn]
    low, high = np.quantile(spread, [0.025, 0.975])
    if count < LEAST_QUERIES:
        low = min(low, 0.0)
    return Skill(
        queries=count,
        correlation=round(_correlation(ours, real, table.weights), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        error=round(calibration_error(ours, real), 5),
    )


def calibration_error(predicted: Floats, realised: Floats, bins: int = 5) -> float:
    """Mean absolute distance of what was predicted and what was realised, in bins of equal size."""
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    distances = [abs(predicted[part].mean() - realised[part].mean()) * len(part) for part in parts]
    return float(sum(distances) / max(1, len(predicted)))


def _correlation(ours: Floats, real: Floats, weights: Floats) -> float:
    mine = ours - np.average(ours, weights=weights)
    theirs = real - np.average(real, weights=weights)
    size = np.sqrt((weights * mine**2).sum() * (weights * theirs**2).sum())
    return float((weights * mine * theirs).sum() / size) if size > 1e-12 else 0.0


def _slope(predicted: Floats, real: Floats, weights: Floats) -> float:
    """By which differences between queries, as predicted by fits that did not see them, are to be multiplied to be
    those realised; never below 0. Both are [queries, options], around the mean of each option."""
    every = weights[:, None]
    size = float((every * predicted**2).sum())
    return max(0.0, float((every * predicted * real).sum()) / size) if size > 0 else 0.0


def _isotonic(predicted: Floats, real: Floats, weights: Floats) -> tuple[tuple[float, float], ...]:
    """Realised by predicted gains, never falling, over groups of similar predictions (isotonic regression, Barlow
    et al., 1972). Predictions are [queries x options], weights [queries]."""
    weights = np.repeat(weights, len(predicted) // len(weights))
    blocks: list[tuple[float, float, float]] = []
    for part in np.array_split(np.argsort(predicted, kind="stable"), BLOCKS):
        share = weights[part]
        place, level = np.average(predicted[part], weights=share), np.average(real[part], weights=share)
        blocks.append((float(place), float(level), float(share.sum())))
        while len(blocks) > 1 and blocks[-2][1] >= blocks[-1][1]:
            later, before = blocks.pop(), blocks.pop()
            total = later[2] + before[2]
            merged = [(later[at] * later[2] + before[at] * before[2]) / total for at in (0, 1)]
            blocks.append((merged[0], merged[1], total))
    return tuple((_kept(place), _kept(level)) for place, level, _ in blocks) if len(blocks) > 1 else ()


def _apply(curve: tuple[tuple[float, float], ...], predicted: Floats) -> Floats:
    calibrate = np.vectorize(lambda each: along(curve, each), otypes=[np.float64])
    return np.asarray(calibrate(predicted))
