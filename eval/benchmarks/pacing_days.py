"""Simulated days for the benchmark of pacing, and the plans that spend a cap over them.

A query is a row: when it comes, and for each option what it is expected to gain and to cost, and what it does.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from listwise.routing.demand import DAY_S
from listwise.routing.offers import Offer, Option
from listwise.routing.pacing import Pacer
from listwise.spend.money import NANO

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CORRELATION = 0.4
"""Of the signal that gains are predicted by with the real gain at full depth, over queries."""
LEVELS = 100
"""Of the signal, equally many queries at each. The prediction is the mean gain at a level."""
WINDOWS = {20: 1, 50: 4, 100: 9}
"""Calls at each depth, windows of 20 by steps of 10."""
SHARES = {20: 0.55, 50: 0.85, 100: 1.0}
"""Of the gain at depth 100."""
CALL_NANO = 300_000
"""A window of 20 passages by a model of the price of gpt-4o-mini."""
DEARER = 1.2
"""How many times the estimate the average bill is."""
BILL_SIGMA = 0.3
"""Of the logarithm of a bill around that."""
LATENCY_S = 3.0
"""From a decision to its bill."""


@dataclass(frozen=True)
class Population:
    """Queries to draw from; arrays of [queries, options], options by cost."""

    options: tuple[Option, ...]
    gains: Floats
    """nDCG@10 with the option less that of the local order."""
    nano_usd: Floats
    """Expected cost."""


def synthetic(rng: np.random.Generator, count: int = 50_000) -> Population:
    """Three depths. Of the queries 30 % gain next to nothing (sd 0.01), the others 0.07 on average (sd 0.14).

    A shallower window has its share of the gain, give or take 0.02; prompts' lengths are lognormal (sigma 0.3).
    """
    deepest = np.where(rng.random(count) < 0.3, rng.normal(0, 0.01, count), rng.normal(0.07, 0.14, count))
    length = rng.lognormal(0, 0.3, count)
    gains = [SHARES[depth] * deepest + rng.normal(0, 0.02, count) * (depth < 100) for depth in WINDOWS]
    costs = [CALL_NANO * calls * length for calls in WINDOWS.values()]
    options = tuple(Option("llm", depth) for depth in WINDOWS)
    return Population(options, np.clip(np.stack(gains, 1), -1, 1), np.stack(costs, 1))


def from_cases(path: Path) -> Population:
    """Cases, as the gain model is fitted on; those that lack one of the first case's options are left out."""
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    by_option = [
        {
            Option(each["tier"], each["depth"], each["votes"]): (each["ndcg"] - case["local"], each["nano_usd"])
            for each in case["options"]
        }
        for case in cases
    ]
    options = tuple(sorted(by_option[0], key=lambda option: by_option[0][option][1]))
    rows = np.array([[case[option] for option in options] for case in by_option if case.keys() >= set(options)])
    return Population(options, rows[:, :, 0], rows[:, :, 1])


@dataclass(frozen=True)
class Day:
    """A day's queries in the order of their coming; arrays of [queries], or of [queries, options]."""

    options: tuple[Option, ...]
    times: Floats
    """Unix seconds."""
    predicted: Floats
    gains: Floats
    expected: Floats
    bills: Floats

    @property
    def hours(self) -> Ints:
        """0 to 23."""
        return (self.times % DAY_S // 3600).astype(np.int64)

    def spends(self, choice: Ints) -> Floats:
        """What each query costs by a plan."""
        return _picked(self.bills, choice)

    def brings(self, choice: Ints) -> float:
        """nDCG points gained by a plan, summed over queries."""
        return float(_picked(self.gains, choice).sum())


def traffic(hour: float) -> float:
    """Queries an hour, up to a factor: quiet nights, a rush at 10 and a higher one at 20, UTC."""
    rushes = ((10.0, 2.0, 1.0), (14.0, 3.0, 0.5), (20.0, 1.8, 1.3))
    return 0.15 + sum(height * exp(-(((hour - at) / width) ** 2)) for at, width, height in rushes)


def simulate(population: Population, number: int, count: int, rng: np.random.Generator) -> Day:
    """A day of so many queries; each quarter of an hour is busier or calmer than usual (lognormal, sigma 0.2).

    Predictions are calibrated: the mean real gain of those with one signal is the prediction.
    """
    rates = np.array([traffic(slot / 4) for slot in range(96)]) * rng.lognormal(0, 0.2, 96)
    slots = rng.choice(96, count, p=rates / rates.sum())
    times = np.sort(number * DAY_S + (slots + rng.random(count)) * DAY_S / 96)
    drawn = rng.integers(0, len(population.gains), count)
    gains, expected = population.gains[drawn], population.nano_usd[drawn]
    deepest = gains[:, -1]
    signal = CORRELATION * (deepest - deepest.mean()) / deepest.std()
    signal += np.sqrt(1 - CORRELATION**2) * rng.normal(0, 1, count)
    levels = signal.argsort().argsort() * LEVELS // count
    predicted = np.stack([gains[levels == level].mean(0) for level in range(LEVELS)])[levels]
    noise = rng.lognormal(-(BILL_SIGMA**2) / 2, BILL_SIGMA, (count, 1))
    return Day(population.options, times, predicted, gains, expected, np.rint(DEARER * expected * noise))


Plan = Callable[[Day, float], Ints]
"""Chooses an option a query, or -1, within a cap in nano-dollars."""


def at_price(gains: Floats, costs: Floats, price: float) -> Ints:
    """The best option of each query if a dollar is worth ``price``; -1 for none."""
    worth = gains - price * costs / NANO
    best = worth.argmax(1)
    return np.where(_picked(worth, best) > 0, best, -1)


def price_for(gains: Floats, costs: Floats, bills: Floats, cap: float) -> float:
    """The lowest price at which queries taken by gain and cost do not bill more than the cap."""
    if _picked(bills, at_price(gains, costs, 0.0)).sum() <= cap:
        return 0.0
    low, high = 1e-6, 1e9
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        dear = _picked(bills, at_price(gains, costs, middle)).sum() > cap
        low, high = (middle, high) if dear else (low, middle)
    return high


def until_spent(choice: Ints, day: Day, cap: float) -> Ints:
    """The same, but whoever does not fit into what is left gets nothing."""
    held, kept = 0.0, choice.copy()
    for at, cost in enumerate(day.spends(choice)):
        if held + cost > cap:
            kept[at] = -1
        else:
            held += cost
    return kept


def fixed(yesterday: Day) -> Plan:
    """The price at which yesterday's queries would have spent the cap by their bills."""

    def plan(day: Day, cap: float) -> Ints:
        price = price_for(yesterday.predicted, yesterday.expected, yesterday.bills, cap)
        return until_spent(at_price(day.predicted, day.expected, price), day, cap)

    return plan


def first_come(day: Day, cap: float) -> Ints:
    """Everyone gets the option of the highest predicted gain, as long as there is money."""
    return until_spent(at_price(day.predicted, day.expected, 0.0), day, cap)


def oracle(day: Day, cap: float) -> Ints:
    """Knows the whole day with all its bills, but no gain beyond the prediction."""
    return at_price(day.predicted, day.bills, price_for(day.predicted, day.bills, day.bills, cap))


def paced(pacer: Pacer) -> Plan:
    """Our controller, which goes on with what it learnt before."""

    def plan(day: Day, cap: float) -> Ints:
        assert pacer.cap == cap
        choice = np.full(len(day.times), -1)
        place = {option: at for at, option in enumerate(day.options)}
        open_bills: deque[tuple[float, Offer, int]] = deque()
        rows = zip(day.times.tolist(), day.predicted.tolist(), day.expected.tolist(), strict=True)
        for at, (now, gains, costs) in enumerate(rows):
            while open_bills and open_bills[0][0] <= now:
                pacer.settled(*open_bills.popleft())
            offers = [Offer(o, g, int(c)) for o, g, c in zip(day.options, gains, costs, strict=True)]
            taken = pacer.decide(now, offers)
            if taken is not None:
                choice[at] = place[taken.option]
                open_bills.append((now + LATENCY_S, taken, int(day.bills[at, choice[at]])))
        for bill in open_bills:
            pacer.settled(*bill)
        return choice

    return plan


def refused_most(day: Day, choice: Ints, fair: Ints) -> float:
    """Of the queries that the fair plan takes, the share that got nothing, in the hour where it is largest."""
    hours: Mapping[int, tuple[Ints, Ints]] = {
        hour: (choice[day.hours == hour], fair[day.hours == hour]) for hour in range(24)
    }
    return max(float((got[due >= 0] < 0).mean()) for got, due in hours.values() if (due >= 0).any())


def _picked(values: Floats, choice: Ints) -> Floats:
    """Each row's value at its choice; 0 for -1."""
    rows = np.take_along_axis(values, np.maximum(choice, 0)[:, None], 1)[:, 0]
    return np.where(choice >= 0, rows, 0.0)
