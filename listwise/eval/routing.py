"""What routing by a gain model is worth, on queries of which it is known what an LLM gains: curves from no query
escalated to all of them, against chance, a margin and hindsight; paired intervals; calibration.

A share of the queries is escalated in full, by the deepest option. Where a share is no whole number of queries, or
ends among queries that an order cannot tell apart, the curve is the expectation over chance among these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from listwise.errors import InputError
from listwise.eval.measures import Interval, bootstrap
from listwise.offering import PASSAGE_TOKENS, PROMPT_TOKENS
from listwise.routing.cases import LOG, Case, Outcome
from listwise.routing.crossfit import BINS, calibration_error
from listwise.routing.gain import GainModel
from listwise.routing.offers import Offer, Option
from listwise.routing.signals import Signals

Floats = NDArray[np.float64]

ORDERS = ("router", "random", "margin", "oracle")
"""Largest predicted gain first; by chance; smallest margin first; largest realised gain first."""
SHARES = (0.1, 0.2, 0.3, 0.5)
"""Of the queries, at which orders are compared."""
WINDOW = 20
"""Passages of a prompt, as far as its cost is foreseen."""
GRID = tuple(at / 50 for at in range(51))
RESAMPLES = 4000
TAILS = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Row:
    """One query and one LLM: the mean over the LLM's seeds."""

    case: Case
    """Any one of them: query, signals, local order."""
    options: tuple[Outcome, ...]
    """From the shallowest to the deepest."""
    predicted: tuple[float, ...]
    """Gain, for each of them."""

    @property
    def gains(self) -> tuple[float, ...]:
        """Realised, for each option."""
        return tuple(map(self.case.gain, self.options))

    @property
    def nano_usd(self) -> tuple[int, ...]:
        """What each option did cost."""
        return tuple(outcome.nano_usd for outcome in self.options)

    def offers(self, gains: Sequence[float], nano_usd: Sequence[float]) -> tuple[Offer, ...]:
        """The options, with what somebody thinks that each gains and costs."""
        told = zip(self.options, gains, nano_usd, strict=True)
        return tuple(Offer(outcome.option, gain, round(cost)) for outcome, gain, cost in told)


@dataclass(frozen=True)
class Sample:
    """One LLM's queries."""

    llm: str
    rows: tuple[Row, ...]

    @property
    def simulated(self) -> bool:
        """Whether the LLM is a simulation."""
        return self.llm.startswith("sim/")

    @property
    def label(self) -> str:
        """The LLM's name, which says so if it is none."""
        return f"{self.llm} (simulated)" if self.simulated else self.llm

    @property
    def collections(self) -> str:
        """Where the queries are from."""
        return ", ".join(sorted({row.case.collection for row in self.rows} - {""})) or "unnamed cases"

    @cached_property
    def local(self) -> float:
        """nDCG@10 with no query escalated."""
        return float(np.mean([row.case.local for row in self.rows]))

    @cached_property
    def gains(self) -> Floats:
        """[queries], of the deepest option, realised."""
        return np.array([row.gains[-1] for row in self.rows])

    @cached_property
    def predicted(self) -> Floats:
        """[queries], of the deepest option."""
        return np.array([row.predicted[-1] for row in self.rows])

    @cached_property
    def nano_usd(self) -> Floats:
        """[queries], of the deepest option."""
        return np.array([row.nano_usd[-1] for row in self.rows], np.float64)

    @cached_property
    def foreseen(self) -> Floats:
        """[queries, options], nano-dollars as far as a router knows them: an option's mean, in proportion to the
        length of a query's passages. How often an LLM must be asked until an order is settled, nobody foresees."""
        means = np.array([row.nano_usd for row in self.rows], np.float64).mean(axis=0)
        lengths = np.array([_length(row.case.signals) for row in self.rows])
        known = np.isfinite(lengths)
        average = lengths[known].mean() if known.any() else 1.0
        return np.asarray(np.where(known, lengths / average, 1.0)[:, None] * means, np.float64)

    @cached_property
    def urgency(self) -> Mapping[str, Floats]:
        """[queries] for each of `ORDERS`: who goes first. Queries without a margin go last by it."""
        margins = [row.case.signals.get("margin", np.inf) for row in self.rows]
        return {
            "router": self.predicted,
            "random": np.zeros(len(self.rows)),
            "margin": -np.array(margins),
            "oracle": self.gains,
        }


def samples(cases: Sequence[Case], model: GainModel) -> list[Sample]:
    """Each LLM's queries, in the order of the cases; seeds of one simulated kind are averaged, query by query.

    Raises:
        InputError: there are no cases; the options of an LLM's queries differ; or gains are estimates from the log
            of routes, of which nDCG@10 is not known.
    """
    if not cases:
        raise InputError("there are no routing cases")
    if any(case.collection == LOG or case.weight != 1 for case in cases):
        raise InputError("there are cases from the log of routes: what they reached is not known, only estimated")
    by_llm: dict[str, dict[tuple[str, str], list[Case]]] = {}
    for case in cases:
        by_llm.setdefault(case.llm.partition(",seed=")[0], {}).setdefault(case.query, []).append(case)
    return [Sample(llm, tuple(_row(each, model) for each in _alike(by_query))) for llm, by_query in by_llm.items()]


def _alike(by_query: Mapping[tuple[str, str], list[Case]]) -> list[list[Case]]:
    told = list(by_query.values())
    options = {_options(case) for each in told for case in each}
    if len(options) != 1 or () in options:
        raise InputError("all cases of an LLM must have the same options, and at least one", qid=told[0][0].qid)
    return told


def _options(case: Case) -> tuple[Option, ...]:
    return tuple(sorted((outcome.option for outcome in case.outcomes), key=_depth))


def _depth(option: Option) -> tuple[int, int, str]:
    return option.depth, option.votes, option.tier


def _row(cases: Sequence[Case], model: GainModel) -> Row:
    options = _options(cases[0])
    outcomes = []
    for option in options:
        told = [outcome for case in cases for outcome in case.outcomes if outcome.option == option]
        nano_usd = round(sum(each.nano_usd for each in told) / len(told))
        outcomes.append(Outcome(option, sum(each.ndcg for each in told) / len(told), nano_usd))
    return Row(cases[0], tuple(outcomes), _predicted(model, cases[0].signals, options))


def _length(signals: Signals) -> float:
    """Tokens for each passage of a prompt, as `listwise.offering` counts; not a number where that is unknown."""
    passages = max(1.0, min(20.0, signals.get("candidates", 20.0)))
    return PROMPT_TOKENS / WINDOW + PASSAGE_TOKENS + signals.get("tokens", np.nan) / passages


def _predicted(model: GainModel, signals: Signals, options: Sequence[Option]) -> tuple[float, ...]:
    """For options that the model was not fitted on, of the next deeper one that it was, or of its deepest."""
    known = model.predict(signals)
    ranked = sorted(known, key=_depth)
    return tuple(
        known.get(option, known[next((each for each in ranked if each.depth >= option.depth), ranked[-1])])
        for option in options
    )


def escalated(urgency: Floats, values: Floats, share: float, counts: Floats | None = None) -> Floats:
    """What escalating a share of the queries adds up to, divided by the number of all queries.

    Args:
        urgency: [queries], the greatest first; among equals by chance, of which this is the expectation.
        values: [queries], of an escalated query.
        counts: [resamples, queries], how often each query is in a resample; each row sums to as many as there are
            queries. By default each is there once.

    Returns:
        [resamples]; one, by default.
    """
    times = np.ones((1, len(values))) if counts is None else counts
    order = np.argsort(-urgency, kind="stable")
    ranked = urgency[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    size = np.add.reduceat(times[:, order], starts, axis=1)
    total = np.add.reduceat(times[:, order] * values[order], starts, axis=1)
    before = np.cumsum(size, axis=1) - size
    part = np.clip((share * len(values) - before) / np.maximum(size, 1), 0.0, 1.0)
    return np.asarray((part * total).sum(axis=1) / len(values), np.float64)


@dataclass(frozen=True, slots=True)
class Curve:
    """nDCG@10 and dollars against the share escalated, or against a budget: numbers of each, point by point."""

    name: str
    shares: tuple[float, ...]
    """Escalated."""
    ndcg: tuple[float, ...]
    """Mean over all queries."""
    usd: tuple[float, ...]
    """For a thousand queries."""


def curves(sample: Sample, shares: Sequence[float] = GRID) -> list[Curve]:
    """A curve for each of `ORDERS`, all at full depth."""
    found = []
    for name in ORDERS:
        first = sample.urgency[name]
        ndcg = [sample.local + float(escalated(first, sample.gains, share)[0]) for share in shares]
        usd = [float(escalated(first, sample.nano_usd, share)[0]) / 1e6 for share in shares]
        found.append(Curve(name, tuple(shares), tuple(ndcg), tuple(usd)))
    return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """Orders at one share of the queries, with 95 % intervals by bootstrap over queries, all in pairs."""

    share: float
    gains: Mapping[str, Interval]
    """nDCG@10 over the local order's, for each of `ORDERS`."""
    over_random: Interval
    over_margin: Interval
    of_oracle: Interval | None
    """The router's gain as a share of the oracle's; None where the oracle's is not clearly above 0."""
    times_random: Interval | None
    """The router's gain over random's; None where random's is not clearly above 0: then a ratio means nothing."""


def compare(sample: Sample, shares: Sequence[float] = SHARES, *, seed: int = 0) -> list[Comparison]:
    """The router against the other orders, at each share."""
    times = resampled(len(sample.rows), seed)
    found = []
    for share in shares:
        told = {name: escalated(sample.urgency[name], sample.gains, share, times) for name in ORDERS}
        gains = {name: interval_of(each) for name, each in told.items()}
        ratios = [
            ratio_of(told["router"], told[name]) if gains[name].low > 0 else None for name in ("oracle", "random")
        ]
        over_random, over_margin = (interval_of(told["router"] - told[name]) for name in ("random", "margin"))
        found.append(Comparison(share, gains, over_random, over_margin, *ratios))
    return found


def resampled(count: int, seed: int) -> Floats:
    """[1 + resamples, queries]: how often each is in a resample. The first has each once."""
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return np.concatenate([np.ones((1, count)), drawn])


def interval_of(values: Floats) -> Interval:
    """Of the first, by the others, which are resamples."""
    low, high = np.quantile(values[1:], TAILS, method="nearest")
    return Interval(float(values[0]), float(low), float(high))


def ratio_of(ours: Floats, theirs: Floats) -> Interval:
    """Without end in the resamples where ``theirs`` is not above 0, which are few."""
    return interval_of(np.divide(ours, theirs, out=np.full_like(ours, np.inf), where=theirs > 0))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Predicted against realised gains of the deepest option."""

    bins: tuple[tuple[float, Interval], ...]
    """By rising prediction, of equal size: the mean prediction, and what was realised, with its 95 % interval."""
    error: float
    """Mean distance of the two."""
    by_chance: float
    """What the error would be of predictions that are right on average, with so few queries."""


def calibration(sample: Sample) -> Calibration:
    """Compare predictions with what came of them."""
    order = np.argsort(sample.predicted, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    bins = tuple((float(sample.predicted[part].mean()), bootstrap(sample.gains[part].tolist())) for part in parts)
    noise = [sample.gains[part].std() / len(part) ** 0.5 * len(part) for part in parts]
    by_chance = (2 / np.pi) ** 0.5 * float(sum(noise)) / len(order)
    return Calibration(bins, calibration_error(sample.predicted, sample.gains), by_chance)
