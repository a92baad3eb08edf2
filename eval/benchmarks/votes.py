"""Votes and aggregation: over recorded runs of real models, and on a simulated ranker with positional bias.

    python -m eval.benchmarks.votes --data DIR [--seeds 3]

Recorded, on DL19: five runs of gpt-3.5-turbo and three of RankVicuna, each set put together by every rule, against
the mean single run, with the paired 95 % interval of the difference. Simulated, also on DL19: nDCG@10 of one vote
and of more, balanced against random shuffles at the same cost, and of ``auto``; what is gained for each call more.
**What is simulated says nothing about a real model.**
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import get_args

from eval.benchmarks.simulation import Judged, Meter, Row, measure
from listwise.eval.measures import bootstrap
from listwise.eval.simulate import Traits
from listwise.formats.trec import read_run
from listwise.models.simulated.naming import PRESETS
from listwise.strategies import make
from listwise.strategies.adaptive import LOCAL_TRUST
from listwise.strategies.aggregate import Aggregate, aggregate
from listwise.strategies.vote import Ballot

SETS = {"gpt-3.5-turbo": "gpt-3.5-turbo__bm25__*", "RankVicuna": "rank_vicuna_7b__bm25__*"}
BIASES: Mapping[str, Traits] = {
    "both ends": PRESETS["biased"],
    "the head": replace(PRESETS["biased"], bias="head"),
    "the tail": replace(PRESETS["biased"], bias="tail"),
    "the middle": replace(PRESETS["biased"], bias="middle"),
    "nothing": replace(PRESETS["weak"]),
}
"""What a simulated ranker favours."""
BALLOTS: Mapping[str, Ballot] = {
    "1": Ballot(),
    "2 balanced": Ballot(2, "balanced"),
    "2 random": Ballot(2, "random"),
    "3 balanced": Ballot(3, "balanced"),
    "3 random": Ballot(3, "random"),
    "5 balanced": Ballot(5, "balanced"),
    "5 random": Ballot(5, "random"),
    "auto": Ballot("auto", "balanced"),
}
STRATEGIES = {"sliding": "BM25", "single": "embedded", "adaptive": "embedded"}
"""With the prior that each starts from."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3, help="simulated rankers of each kind [3]")
    chosen = parser.parse_args()
    judged = Judged(chosen.data / "dl19")
    for part in (recorded(judged, chosen.data / "dl19" / "llm_runs"), simulated(judged, range(chosen.seeds))):
        for line in part:
            print(line, flush=True)


def recorded(judged: Judged, folder: Path) -> Iterator[str]:
    """Each set of runs of one model, by every rule."""
    yield (
        "### Recorded runs of real models, DL19\n\n| model | runs | mean single run | rule | nDCG@10 "
        "| over the mean single run, 95 % interval |\n|---|---|---|---|---|---|"
    )
    for model, pattern in SETS.items():
        runs = [_docids(path) for path in sorted(folder.glob(f"{pattern}.trec.gz"))]
        measured = [judged.ndcg(run) for run in runs]
        single = {qid: fmean(each[qid] for each in measured) for qid in measured[0]}
        mean = fmean(single.values())
        for rule in get_args(Aggregate):
            made = {qid: aggregate(rule, [run[qid] for run in runs]) for qid in runs[0]}
            values = judged.ndcg(made)
            gain = bootstrap([values[qid] - single[qid] for qid in single])
            yield (
                f"| {model} | {len(runs)} | {mean:.4f} | {rule} | {fmean(values.values()):.4f} "
                f"| {gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}) |"
            )


def _docids(path: Path) -> dict[str, list[str]]:
    return {qid: [entry.docid for entry in entries] for qid, entries in read_run(path).items()}


def simulated(judged: Judged, seeds: Sequence[int]) -> Iterator[str]:
    """Votes around three strategies, by what the simulated ranker favours."""
    meter = Meter(judged, "rankgpt")
    for name, prior in STRATEGIES.items():
        for favoured, traits in BIASES.items():
            yield (
                f"\n### {name}, {prior} prior, a simulated ranker that favours {favoured}\n\n| votes | nDCG@10 "
                "| gained | of what 5 balanced gain | calls | of 5 votes' | passages read | of 5 votes' | steps "
                "| nDCG gained a call more |\n|---|---|---|---|---|---|---|---|---|---|"
            )
            rows = {
                label: measure(
                    judged,
                    prior,
                    traits,
                    make(name, window=20, stride=10, depth=100, trust=LOCAL_TRUST, ballot=ballot),
                    "order",
                    meter,
                    seeds,
                )
                for label, ballot in BALLOTS.items()
            }
            for label, row in rows.items():
                yield _line(label, row, rows["1"], rows["5 balanced"])


def _line(label: str, row: Row, one: Row, five: Row) -> str:
    gained, most = row.ndcg.mean - one.ndcg.mean, five.ndcg.mean - one.ndcg.mean
    a_call = f"{gained / (row.calls - one.calls):+.5f}" if row.calls > one.calls else ""
    return (
        f"| {label} | {row.ndcg.mean:.4f} | {gained:+.4f} | {gained / most:.0%} | {row.calls:.1f} "
        f"| {row.calls / five.calls:.0%} | {row.reads:.1f} | {row.reads / five.reads:.0%} | {row.depth:.1f} "
        f"| {a_call} |"
    )


if __name__ == "__main__":
    main()
