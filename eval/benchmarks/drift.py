"""How often `listwise route check` sees drift where there is none, and how much of it is seen where there is.

    python -m eval.benchmarks.drift [--data DIR] [--routers 200] [--windows 20]

Simulated: twelve signals that go together, two of them with ties, of which one moves; a third of the queries is
escalated, 2 % of the others explored; gains and costs come out as predicted, with noise, or do not. With judged
data also real signals: those of BM25's scores, fitted on DL21 and DL23, against other collections.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from listwise.formats.collections import read_queries
from listwise.formats.trec import read_run
from listwise.routing.drift import COSTS, GAINS, WIDE, WINDOW, Fitted, check
from listwise.routing.reference import Reference
from listwise.routing.signals import margin
from listwise.spend.routes import Routed, RouteNote

SIGNALS = 12
SHIFTS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
"""In standard deviations."""
SPREADS = (1.5, 2.0)
FITTED_ON = (135, 1000)
EXPLORE = 0.02
SLOPE = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--routers", type=int, default=200)
    parser.add_argument("--windows", type=int, default=20)
    chosen = parser.parse_args()
    seeds = range(chosen.routers)
    print(
        "| fitted on | routers that alarm in the first window | in any of the first "
        f"{chosen.windows} |\n|---|---|---|"
    )
    for count in FITTED_ON:
        seen = [alarms(fitted(seed, count), log_of(chosen.windows * WINDOW, seed)) for seed in seeds]
        print(f"| {count} | {fmean(each[0] for each in seen):.1%} | {fmean(map(any, seen)):.1%} |", flush=True)
    print(
        f"\n| one signal of {SIGNALS} moves | "
        + " | ".join(f"found, fit of {n}" for n in FITTED_ON)
        + " |\n|---|---|---|"
    )
    moves = [(f"by {by} s.d.", by, 1.0) for by in SHIFTS] + [(f"spread times {s}", 0.0, s) for s in SPREADS]
    for label, by, spread in moves:
        found = [fmean(_found(seed, count, by, spread) for seed in seeds) for count in FITTED_ON]
        print(f"| {label} | {' | '.join(f'{each:.0%}' for each in found)} |", flush=True)
    print(f"\n| in {WINDOW * WIDE} queries | found |\n|---|---|")
    for label, off, dearer, name in (
        *((f"gains off by {off} nDCG@10", off, 1.0, GAINS) for off in (0.02, 0.03, 0.04, 0.06)),
        *((f"costs times {dearer}", 0.0, dearer, COSTS) for dearer in (1.1, 1.12, 1.15)),
    ):
        logs = (log_of(WINDOW * WIDE, seed, off=off, dearer=dearer) for seed in seeds[:50])
        found = [name in check(log, fitted(seed, 135)).moved for seed, log in enumerate(logs)]
        print(f"| {label} | {fmean(found):.0%} |", flush=True)
    if chosen.data is not None:
        for line in real(chosen.data):
            print(line, flush=True)


def signals_of(draw: random.Random, by: float = 0.0, spread: float = 1.0) -> dict[str, float]:
    common = draw.gauss(0, 0.7)
    values = [common + draw.gauss(0, 0.714) for _ in range(SIGNALS)]
    values[0] = values[0] * spread + by
    values[1] = float(round(values[1] * 1.5))
    values[2] = float(values[2] > 0.8)
    return {f"signal {at}": value for at, value in enumerate(values)}


def fitted(seed: int, count: int) -> Fitted:
    draw = random.Random(f"fit {seed}")
    seen = [signals_of(draw) for _ in range(count)]
    return Fitted("r", {name: Reference.of(each[name] for each in seen) for name in seen[0]}, 0.0, SLOPE)


def log_of(
    count: int, seed: int, by: float = 0.0, spread: float = 1.0, *, off: float = 0.0, dearer: float = 1.0
) -> list[Routed]:
    draw = random.Random(seed)
    log = []
    for at in range(count):
        predicted = draw.uniform(0, 0.2)
        escalated, explored = predicted > 0.133, draw.random() < EXPLORE
        note = RouteNote(
            "gain",
            signals_of(draw, by, spread),
            propensity=1.0 if escalated else EXPLORE,
            predicted_gain=predicted,
            predicted_nano_usd=10**6,
        )
        if escalated or explored:
            realised = predicted + off + draw.gauss(0, 0.15)
            spent = int(10**6 * dearer * draw.lognormvariate(-0.02, 0.2))
            note = replace(note, tier="llm", disagreement=realised / SLOPE, nano_usd=spent)
        log.append(Routed(float(at), "r", "a", f"q{at}", note))
    return log


def alarms(router: Fitted, log: Sequence[Routed]) -> list[bool]:
    """After each window."""
    return [check(log[:end], router).status == "refit" for end in range(WINDOW, len(log) + 1, WINDOW)]


def _found(seed: int, count: int, by: float, spread: float) -> bool:
    return "signal 0" in check(log_of(WINDOW, seed, by, spread), fitted(seed, count)).moved


def real(data: Path) -> list[str]:
    """A line a collection."""
    fit = [*_signals(data / "dl21"), *_signals(data / "dl23")]
    router = Fitted("r", {name: Reference.of(each[name] for each in fit) for name in fit[0]}, 0.0)
    lines = [f"\nReal signals, fitted on {len(fit)} queries of DL21 and DL23\n"]
    for name in ("dl22", "dl19", "cranfield"):
        log = [
            Routed(0.0, "", "", str(at), RouteNote("gain", each)) for at, each in enumerate(_signals(data / name))
        ]
        found = check(log, router, window=len(log))
        lines.append(f"- {name}, {len(log)} queries, {len(found.shifts)} signals compared: {found.verdict}")
    return lines


def _signals(folder: Path) -> list[dict[str, float]]:
    queries = read_queries(folder / "queries.tsv")
    found: list[dict[str, float]] = []
    for qid, entries in read_run(folder / "bm25.trec.gz").items():
        scores = [entry.score for entry in entries][:100]
        found.append(
            {
                "margin": margin(scores) or 0.0,
                "gap 1|2": scores[0] - scores[1],
                "gap 10|11": scores[9] - scores[10],
                "best score": scores[0],
                "query words": float(len(queries[qid].split())),
            }
        )
    return found


if __name__ == "__main__":
    main()
