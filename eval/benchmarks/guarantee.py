"""Whether the router's guarantee holds: thresholds fitted on resampled cases, measured where the truth is known.

    python -m eval.benchmarks.guarantee --cases FILE [--router NAME | --signal NAME] [--option N]
        [--alpha 0.01] [--confidence 0.9]
    python -m eval.benchmarks.guarantee --synthetic

The cases are taken for the whole population of queries, so that the mean loss of every threshold in it is known.
Each trial draws calibration cases from it with replacement, fits a threshold, and looks whether its true mean loss
is above alpha; of the trials this may be at most one less the confidence. Printed: that share with its 95 %
interval (Clopper and Pearson), in how many trials anything could be promised, the queries escalated (all of them
where nothing could), and the true mean loss; by the betting test, and for comparison by Hoeffding-Bentkus, over
losses in [-1, 1], and in [0, 1] where what the local tier does better counts as nothing.

FILE has a JSON object a line: ``local``, ``options`` with ``ndcg`` and ``nano_usd``, and ``predicted``, the gain,
or ``signals``, of which one is named, or all are read by a router. The thresholds that are tried are the router's
own for a predicted gain, and 40 quantiles in the population for a signal, which is turned so that more of it means
more gain.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil, exp, lgamma, log, log1p
from pathlib import Path
from random import Random
from statistics import correlation, fmean, quantiles
from typing import Any, NamedTuple

from listwise.routing.gain import GainModel
from listwise.routing.guarantee import THRESHOLDS, PValue, betting, guarantee

SIZES = (50, 200, 300, 500, 1000, 2000)
"""Calibration cases, where not told."""
SYNTHETIC_CASES = 20_000


class Population(NamedTuple):
    """Queries of which all is known."""

    name: str
    predicted: Sequence[float]
    gains: Sequence[float]
    """Of always escalating, realised."""
    thresholds: Sequence[float]


class Row(NamedTuple):
    """What came of the trials with one test."""

    broken: int
    """Trials in which the true mean loss was above alpha."""
    feasible: int
    escalated: float
    loss: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--cases", type=Path, help="JSON lines, one a query")
    source.add_argument("--synthetic", action="store_true", help="populations that are made up")
    predicting = parser.add_mutually_exclusive_group()
    predicting.add_argument("--signal", help="stands in for the predicted gain")
    predicting.add_argument(
        "--router", help="predicts gains from the signals: of the best option, as a policy does"
    )
    parser.add_argument(
        "--option", type=int, help="which of the options is always escalating, from 0 [the dearest]"
    )
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--confidence", type=float, default=0.9)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--calibration", type=int, nargs="+", help="cases a trial [several]")
    chosen = parser.parse_args()
    populations = (
        synthetic(chosen.alpha)
        if chosen.synthetic
        else [read(chosen.cases, chosen.signal, chosen.option, chosen.router)]
    )
    print(f"alpha {chosen.alpha:g}, confidence {chosen.confidence:g}, {chosen.trials} trials\n")
    print(HEAD)
    for population in populations:
        for size in chosen.calibration or SIZES:
            for line in lines(population, size, chosen.alpha, chosen.confidence, chosen.trials):
                print(line, flush=True)


HEAD = (
    "| population | cases | test | loss above alpha | interval | feasible | escalated | true loss |\n"
    "|---|---|---|---|---|---|---|---|"
)


def lines(population: Population, size: int, alpha: float, confidence: float, trials: int) -> Iterator[str]:
    for name, test in TESTS.items():
        row = measure(population, size, alpha, confidence, trials, test)
        low, high = interval(row.broken, trials)
        yield (
            f"| {population.name} | {size} | {name} | {row.broken / trials:.3f} | {low:.3f} to {high:.3f} "
            f"| {row.feasible / trials:.3f} | {row.escalated:.3f} | {row.loss:.4f} |"
        )


def measure(
    population: Population, size: int, alpha: float, confidence: float, trials: int, test: PValue = betting
) -> Row:
    """Fits on ``size`` cases drawn with replacement, again and again; the same draws for every test."""
    drawing = Random(0)
    truth = {threshold: true_of(population, threshold) for threshold in population.thresholds}
    reached: list[tuple[float, float]] = []
    feasible = 0
    for _ in range(trials):
        drawn = drawing.choices(range(len(population.gains)), k=size)
        found = guarantee(
            [population.predicted[at] for at in drawn],
            [population.gains[at] for at in drawn],
            alpha,
            confidence,
            thresholds=population.thresholds,
            p_value=test,
        )
        feasible += found.feasible
        reached.append((1.0, 0.0) if found.threshold is None else truth[found.threshold])
    broken = sum(loss > alpha for _, loss in reached)
    return Row(broken, feasible, fmean(share for share, _ in reached), fmean(loss for _, loss in reached))


def true_of(population: Population, threshold: float) -> tuple[float, float]:
    """The share escalated, and the mean loss."""
    kept = [gain for said, gain in zip(population.predicted, population.gains, strict=True) if said < threshold]
    return 1 - len(kept) / len(population.gains), sum(kept) / len(population.gains)


def read(path: Path, signal: str | None, option: int | None, router: str | None = None) -> Population:
    """The cases of a file as a population."""
    cases: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines() if line]
    gains = [_always(case["options"], option)["ndcg"] - case["local"] for case in cases]
    if router is not None:
        model = GainModel.read(router)
        said = [max(model.predict(case["signals"]).values()) for case in cases]
        return Population(f"{path.stem} by {router}", said, gains, THRESHOLDS)
    if signal is None:
        return Population(path.stem, [case["predicted"] for case in cases], gains, THRESHOLDS)
    seen = [case["signals"][signal] for case in cases]
    turned = [-value for value in seen] if correlation(seen, gains) < 0 else seen
    return Population(f"{path.stem} by {signal}", turned, gains, quantiles(turned, n=41, method="inclusive"))


def _always(options: Sequence[dict[str, Any]], option: int | None) -> dict[str, Any]:
    if option is not None:
        return options[option]
    return max(options, key=lambda each: (each["nano_usd"], each["depth"], each["votes"]))


def synthetic(alpha: float) -> list[Population]:
    """Made-up queries, from those that no one could do wrong with to those that are made to deceive."""
    return [make(alpha, Random(7)) for make in (harmless, typical, heavy_tailed, at_the_bound, rare_disasters)]


def harmless(alpha: float, rng: Random) -> Population:
    """Hardly anything is ever gained, and the prediction knows nothing."""
    return _made("harmless", rng, lambda said: rng.gauss(0.001, 0.02))


def typical(alpha: float, rng: Random) -> Population:
    """Gains as wide as those of real collections, and a prediction that is right on average."""
    return _made("typical", rng, lambda said: rng.gauss(said, 0.12))


def heavy_tailed(alpha: float, rng: Random) -> Population:
    """Nine in ten gain nothing; the others ten times what is predicted, and more."""
    return _made(
        "heavy-tailed", rng, lambda said: rng.expovariate(0.1 / max(1e-6, said)) if rng.random() < 0.1 else 0
    )


def at_the_bound(alpha: float, rng: Random) -> Population:
    """Whoever escalates less than all loses 1 on hardly more than alpha of the queries: nothing may be promised."""
    lost = ceil(alpha * SYNTHETIC_CASES) + 1
    predicted = [0.001] * lost + [rng.uniform(0.003, 0.3) for _ in range(SYNTHETIC_CASES - lost)]
    return Population("at the bound", predicted, [1.0] * lost + [0.0] * (SYNTHETIC_CASES - lost), THRESHOLDS)


def rare_disasters(alpha: float, rng: Random) -> Population:
    """The LLM harms a little nearly always, which looks like money saved, and rarely saves everything."""
    share, harm = 3 * alpha, 2 * alpha
    return _made("rare disasters", rng, lambda said: 1.0 if rng.random() < share else -harm)


def _made(name: str, rng: Random, gain: Callable[[float], float]) -> Population:
    predicted = [max(0.0, rng.gauss(0.08, 0.06)) for _ in range(SYNTHETIC_CASES)]
    return Population(name, predicted, [max(-1.0, min(1.0, gain(said))) for said in predicted], THRESHOLDS)


def hoeffding_bentkus(losses: Sequence[float], alpha: float, least: float = -1.0) -> float:
    """The p-value that Angelopoulos et al. (arXiv 2110.01052) use, of losses from ``least``, at most 0, to 1; what
    is below counts as ``least``.
    """
    if not losses:
        return 1.0
    mean, bound = ((each - least) / (1 - least) for each in (fmean(max(least, loss) for loss in losses), alpha))
    if mean >= bound:
        return 1.0
    count = len(losses)
    divergence = (mean * log(mean / bound) if mean else 0.0) + (1 - mean) * log((1 - mean) / (1 - bound))
    return min(exp(-count * divergence), exp(1) * at_most(ceil(count * mean - 1e-9), count, bound), 1.0)


def at_most(successes: int, trials: int, chance: float) -> float:
    """The binomial distribution function."""
    ways = lgamma(trials + 1)
    terms = (
        exp(ways - lgamma(k + 1) - lgamma(trials - k + 1) + k * log(chance) + (trials - k) * log1p(-chance))
        for k in range(successes + 1)
    )
    return min(1.0, sum(terms))


def interval(successes: int, trials: int, error: float = 0.05) -> tuple[float, float]:
    """Clopper and Pearson's for a share."""
    low = 0.0 if successes == 0 else _root(lambda chance: 1 - at_most(successes - 1, trials, chance) < error / 2)
    high = 1.0 if successes == trials else _root(lambda chance: at_most(successes, trials, chance) > error / 2)
    return low, high


def _root(below: Callable[[float], bool]) -> float:
    """Where a chance stops being below."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


TESTS: dict[str, PValue] = {
    "betting": betting,
    "H.-B. [-1, 1]": hoeffding_bentkus,
    "H.-B. [0, 1]": partial(hoeffding_bentkus, least=0.0),
}

if __name__ == "__main__":
    main()
