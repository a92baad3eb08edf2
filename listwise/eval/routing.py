"""What a router is worth on known cases: nDCG@10 against dollars, beside chance, a margin, and an oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from listwise.routing.cases import Case, Outcome
from listwise.routing.gain import GainModel
from listwise.routing.offers import Offer

Floats = NDArray[np.float64]

SHARES = (0.1, 0.2, 0.3, 0.5)
RESAMPLES = 5000
BINS = 5
RULES = ("router", "margin", "random", "oracle")
"""Who is escalated first: where the router expects most, where the margin is smallest, anybody (the expectation),
and where most is gained."""


@dataclass(frozen=True, slots=True)
class Known:
    """The queries of one LLM: the mean over its seeds where it is simulated."""

    llm: str
    cases: tuple[Case, ...]
    """One a query, all with the same options."""
    local: Floats
    """nDCG@10, [queries], as are the next."""
    gains: Floats
    """Of the deepest option."""
    usd: Floats
    """Of the same."""
    scores: Mapping[str, Floats]
    """By rule, but for chance: the largest go first."""
    predicted: Floats

    @property
    def simulated(self) -> bool:
        """Whether the LLM is a simulation."""
        return self.llm.startswith("sim/")

    def curve(self, rule: str) -> tuple[Floats, Floats]:
        """Dollars and nDCG@10, per query in the mean, when 0, 1, ... all queries are escalated, [queries + 1]."""
        order = np.arange(len(self.cases)) if rule == "random" else np.argsort(-self.scores[rule], kind="stable")
        count = len(self.cases)
        if rule == "random":
            steps = np.arange(count + 1) / count
            return steps * self.usd.mean(), self.local.mean() + steps * self.gains.mean()
        usd = np.concatenate([[0.0], np.cumsum(self.usd[order])]) / count
        return usd, self.local.mean() + np.concatenate([[0.0], np.cumsum(self.gains[order])]) / count


@dataclass(frozen=True, slots=True)
class AtShare:
    """What comes of escalating a share of the queries. Gains are nDCG@10 in the mean over all queries."""

    share: float
    router: float
    random: float
    oracle: float
    over_random: tuple[float, float, float]
    """Router less random, with its 95 % bootstrap interval over queries."""
    over_margin: tuple[float, float, float]

    @property
    def of_oracle(self) -> float:
        """The part of the oracle's gain that the router has."""
        return self.router / self.oracle if self.oracle > 0 else float("nan")

    @property
    def times_random(self) -> float | None:
        """The router's gain over random's; None where random gains nothing."""
        return self.router / self.random if self.random > 0 else None


def known_of(cases: Sequence[Case], model: GainModel) -> list[Known]:
    """Cases by LLM; those of a simulated one's seeds are averaged for each query."""
    by_llm: dict[str, dict[tuple[str, str], list[Case]]] = {}
    for case in cases:
        by_llm.setdefault(case.llm.partition(",seed=")[0], {}).setdefault(case.query, []).append(case)
    return [_known(llm, [_mean(each) for each in queries.values()], model) for llm, queries in by_llm.items()]


def at_shares(known: Known, shares: Sequence[float] = SHARES, *, seed: int = 0) -> list[AtShare]:
    """The router at some shares, with paired bootstrap intervals: queries are drawn, and ranked anew, for each."""
    rng = np.random.default_rng(seed)
    count = len(known.cases)
    drawn = rng.integers(0, count, (RESAMPLES, count))
    return [_at(known, share, drawn) for share in shares]


@dataclass(frozen=True, slots=True)
class Bin:
    """Queries of similar predicted gain."""

    predicted: float
    realised: float
    low: float
    high: float
    """95 % interval of the mean realised gain, over queries."""


def calibration(known: Known, bins: int = BINS, *, seed: int = 0) -> tuple[list[Bin], float]:
    """Predicted against realised gains of the deepest option in bins of equal size, and the mean distance."""
    rng = np.random.default_rng(seed)
    found = []
    for part in np.array_split(np.argsort(known.predicted, kind="stable"), bins):
        real = known.gains[part]
        means = real[rng.integers(0, len(part), (RESAMPLES, len(part)))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        found.append(Bin(float(known.predicted[part].mean()), float(real.mean()), float(low), float(high)))
    return found, float(np.mean([abs(each.predicted - each.realised) for each in found]))


def offers_of(case: Case, model: GainModel) -> list[Offer]:
    """What a router would have been offered: predicted gains, and the costs that the options had."""
    predicted = model.predict(case.signals)
    return [
        Offer(each.option, predicted[each.option], each.nano_usd)
        for each in case.outcomes
        if each.option in predicted
    ]


def true_offers(case: Case) -> list[Offer]:
    """What an oracle knows."""
    return [Offer(each.option, case.gain(each), each.nano_usd) for each in case.outcomes]


def _mean(cases: Sequence[Case]) -> Case:
    """One case of several of the same query."""
    first = cases[0]
    outcomes = tuple(
        Outcome(
            one.option,
            float(np.mean([each.outcomes[at].ndcg for each in cases])),
            round(float(np.mean([each.outcomes[at].nano_usd for each in cases]))),
        )
        for at, one in enumerate(first.outcomes)
    )
    return replace(first, outcomes=outcomes)


def _known(llm: str, cases: Sequence[Case], model: GainModel) -> Known:
    deepest = max(range(len(cases[0].outcomes)), key=lambda at: cases[0].outcomes[at].option)
    chosen = [case.outcomes[deepest] for case in cases]
    gains = np.array([case.gain(outcome) for case, outcome in zip(cases, chosen, strict=True)])
    best = np.array([max(model.predict(case.signals).values()) for case in cases])
    margins = np.array([-case.signals.get("margin", 0.0) for case in cases])
    return Known(
        llm,
        tuple(cases),
        np.array([case.local for case in cases]),
        gains,
        np.array([outcome.nano_usd / 1e9 for outcome in chosen]),
        {"router": best, "margin": margins, "oracle": gains},
        best,
    )


def _at(known: Known, share: float, drawn: NDArray[np.int64]) -> AtShare:
    count = round(share * len(known.cases))
    every = np.arange(len(known.cases))[None]
    gain = {rule: _gain(known, rule, every, count)[0] for rule in ("router", "margin", "oracle")}
    random = share * float(known.gains.mean())
    routed = _gain(known, "router", drawn, count)
    against = {
        "random": routed - share * known.gains[drawn].mean(axis=1),
        "margin": routed - _gain(known, "margin", drawn, count),
    }
    (low, high), (lower, higher) = (np.quantile(each, [0.025, 0.975]) for each in against.values())
    return AtShare(
        share,
        float(gain["router"]),
        random,
        float(gain["oracle"]),
        (float(gain["router"] - random), float(low), float(high)),
        (float(gain["router"] - gain["margin"]), float(lower), float(higher)),
    )


def _gain(known: Known, rule: str, drawn: NDArray[np.int64], count: int) -> Floats:
    """Of escalating the first ``count`` of each draw, [draws]."""
    order = np.argsort(-known.scores[rule][drawn], axis=1, kind="stable")[:, :count]
    return np.asarray(np.take_along_axis(known.gains[drawn], order, 1).sum(axis=1) / drawn.shape[1])
