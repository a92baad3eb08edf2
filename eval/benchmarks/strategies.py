"""All strategies side by side on a simulated ranker: how good, and what each takes.

    python -m eval.benchmarks.strategies --data DIR [--collection dl19] [--seeds 3] [--only adaptive topdown ...]

For each prior (BM25, the embedded model over it, SPLADE++) and each condition (little and much noise, positional
bias off and on): nDCG@10 with its 95 % interval over queries; of what sliding windows over all candidates gain on
the prior, the share that the strategy gains; calls, passages read, steps (mean and median), tokens with the
strategy's own prompt, and seconds at one a call, 16 at a time. **The ranker is a simulation**
(`listwise.eval.simulate`); the last table has recorded orders of real models in its place.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple, get_args

from eval.benchmarks.simulation import CONDITIONS, DEPTH, PRIORS, Judged, Meter, Row, measure
from listwise.eval.simulate import Traits, replay
from listwise.formats.trec import read_run
from listwise.prompt_choice import default_prompt
from listwise.strategies import Strategy, StrategyName, make, play, question_of
from listwise.strategies.adaptive import FIRST_STAGE_TRUST, LOCAL_TRUST
from listwise.strategies.base import windows_of

WINDOW, STRIDE = 20, 10
HEADS = (30, 50)
"""Depths at which sliding windows are shown, too: what a good prior alone would save; `adaptive` at the first."""
RECORDED = {
    "gpt-3.5-turbo": "gpt-3.5-turbo__bm25__top100__2023-08-04T232651",
    "RankVicuna": "rank_vicuna_7b__bm25__top100__2023-09-12T183614",
    "gpt-4o-mini, setwise": "gpt-4o-mini_setwise_heapsort",
    "Flan-T5-XL, pairwise": "flan-t5-xl.pairwise.allpair",
}


class Contender(NamedTuple):
    """A strategy as it is shown."""

    label: str
    name: str
    depth: int = DEPTH
    trust: float | None = None
    """None: what is usual for the prior."""

    def strategy(self, prior: str) -> Strategy:
        usual = LOCAL_TRUST if prior == "embedded" else FIRST_STAGE_TRUST
        trust = usual if self.trust is None else self.trust
        return make(self.name, window=WINDOW, stride=STRIDE, depth=self.depth, trust=trust)

    @property
    def template(self) -> str:
        widest = max(map(len, windows_of(play(self.strategy("BM25"), 2 * WINDOW, lambda window: None))))
        return default_prompt("openai/gpt-4o", question_of(self.name), widest)


SLIDING = Contender("sliding", "sliding")


def contenders(only: Sequence[str]) -> list[Contender]:
    names = [name for name in get_args(StrategyName) if name in only]
    shown = [Contender(name, name) for name in names]
    if "sliding" in only:
        shown += [Contender(f"sliding, first {depth}", "sliding", depth) for depth in HEADS]
    if "adaptive" in only:
        shown.append(Contender(f"adaptive, trust {LOCAL_TRUST}", "adaptive", trust=LOCAL_TRUST))
        shown.append(Contender(f"adaptive, first {HEADS[0]}", "adaptive", HEADS[0]))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--collection", default="dl19")
    parser.add_argument("--seeds", type=int, default=3, help="simulated rankers of each kind [3]")
    parser.add_argument("--only", nargs="+", choices=get_args(StrategyName), default=get_args(StrategyName))
    chosen = parser.parse_args()
    judged = Judged(chosen.data / chosen.collection)
    shown = contenders(chosen.only)
    meters = {name: Meter(judged, name) for name in {each.template for each in (*shown, SLIDING)}}
    for prior in filter(judged.has, PRIORS):
        for line in tables(judged, prior, shown, meters, range(chosen.seeds)):
            print(line, flush=True)
    for line in recorded(judged, chosen.data / chosen.collection / "llm_runs"):
        print(line, flush=True)


HEAD = (
    "| strategy | nDCG@10 | 95 % interval | of sliding's gain | calls | passages read | of sliding's "
    "| steps (median) | tokens | seconds |\n|---|---|---|---|---|---|---|---|---|---|"
)


def tables(
    judged: Judged, prior: str, shown: Sequence[Contender], meters: dict[str, Meter], seeds: Sequence[int]
) -> Iterator[str]:
    """A table a condition; each line as soon as it is known."""
    start = fmean(judged.ndcg({each.qid: each.docids for each in judged.priors(prior)}).values())
    for condition, traits in CONDITIONS.items():
        yield f"\n### {judged.name}, {prior} prior ({start:.4f}), {condition} (simulated ranker)\n\n{HEAD}"
        reference = _row(judged, prior, traits, SLIDING, meters, seeds)
        for each in shown:
            yield _line(each.label, _row(judged, prior, traits, each, meters, seeds), reference, start)


def _row(
    judged: Judged, prior: str, traits: Traits, contender: Contender, meters: dict[str, Meter], seeds: Sequence[int]
) -> Row:
    meter = meters[contender.template]
    return measure(judged, prior, traits, contender.strategy(prior), question_of(contender.name), meter, seeds)


def _line(label: str, row: Row, reference: Row, start: float) -> str:
    gain = (row.ndcg.mean - start) / (reference.ndcg.mean - start)
    return (
        f"| {label} | {row.ndcg.mean:.4f} | {row.ndcg.low:.3f} to {row.ndcg.high:.3f} | {gain:.0%} "
        f"| {row.calls:,.1f} | {row.reads:,.1f} | {row.reads / reference.reads:.0%} "
        f"| {row.depth:.1f} ({row.median_depth:g}) | {row.tokens:,.0f} | {row.seconds:.1f} |"
    )


def recorded(judged: Judged, folder: Path) -> Iterator[str]:
    """Strategies over the embedded prior, where a model is consistent and has the recorded order of a real one."""
    files = {name: folder / f"{stem}.trec.gz" for name, stem in RECORDED.items()}
    found = {name: file for name, file in files.items() if file.exists()}
    if not found:
        return
    priors = judged.priors("embedded")
    start = fmean(judged.ndcg({each.qid: each.docids for each in priors}).values())
    yield (
        f"\n### {judged.name}, embedded prior ({start:.4f}), recorded orders of real models for the model\n\n"
        "| model | its own run | sliding | adaptive | of the gain | passages read | of sliding's "
        "| steps (median) |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for name, file in found.items():
        orders = {qid: [entry.docid for entry in entries] for qid, entries in read_run(file).items()}
        known = [each for each in priors if each.qid in orders]
        own = fmean(judged.ndcg({each.qid: orders[each.qid] for each in known}).values())
        sliding, adaptive = (
            [replay(Contender(name, name).strategy("embedded"), each, orders[each.qid]) for each in known]
            for name in ("sliding", "adaptive")
        )
        slid, adapted = (
            fmean(judged.ndcg({play.prior.qid: play.docids for play in plays}).values())
            for plays in (sliding, adaptive)
        )
        reads, most = (fmean(play.reads for play in plays) for plays in (adaptive, sliding))
        depths = sorted(play.depth for play in adaptive)
        gain = f"{(adapted - start) / (slid - start):.0%}" if slid > start else f"{adapted - slid:+.4f}"
        yield (
            f"| {name} | {own:.4f} | {slid:.4f} | {adapted:.4f} | {gain} | {reads:.1f} | {reads / most:.0%} "
            f"| {fmean(depths):.1f} ({depths[len(depths) // 2]}) |"
        )


if __name__ == "__main__":
    main()
