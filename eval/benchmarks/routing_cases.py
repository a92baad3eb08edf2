"""Cases for the router: what an LLM gains on each query of a collection, over the local order.

    python -m eval.benchmarks.routing_cases --data DIR --collections dl21 dl23 --out FILE
    python -m eval.benchmarks.routing_cases --data DIR --collections dl19 --recorded --out FILE
    python -m eval.benchmarks.routing_cases --data DIR --collections cranfield --seeds 1 --out FILE

BM25's top 100, scored by the embedded model; the LLM reads it by the adaptive strategy, as deep as each option
says. The LLM is a **simulation** (``sim/...``, each kind with several seeds), or, with ``--recorded``, the recorded
ranking of a real model, taken for its opinion of every window. Dollars are gpt-4o-mini's for the prompts that would
be sent.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from eval.benchmarks.local_tier import rescored
from eval.benchmarks.simulation import DEPTH, Judged, Meter
from listwise.distill.collections import Collection, Scores
from listwise.eval.simulate import Played, Prior, SimulatedRanker, replay, simulate
from listwise.formats.trec import read_run
from listwise.models.calibration import Calibration
from listwise.models.local import load_scorer
from listwise.models.simulated.naming import PRESETS
from listwise.prompt_choice import default_prompt
from listwise.routing.cases import Case, Outcome, write_cases
from listwise.routing.offers import Option
from listwise.routing.signals import Seen, Signals, signals_of
from listwise.strategies import Strategy, make, question_of
from listwise.strategies.adaptive import LOCAL_TRUST

STRATEGY = "adaptive"
WINDOW, STRIDE = 20, 10
OPTIONS = tuple(Option("llm", depth) for depth in (20, 50, 100))
KINDS = ("strong", "weak", "biased")
SEEDS = 4
USD_PER_MILLION = 0.15
"""Tokens of prompt, gpt-4o-mini's list price in 2026; answers are some percent of it and left out."""
RECORDED = {
    "gpt-3.5-turbo": "gpt-3.5-turbo__bm25__top100__2023-08-04T232651",
    "RankVicuna": "rank_vicuna_7b__bm25__top100__2023-09-12T183614",
    "gpt-4o-mini": "gpt-4o-mini_setwise_heapsort",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--collections", nargs="+", required=True)
    parser.add_argument("--recorded", action="store_true", help="recorded rankings in place of simulated LLMs")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"of each simulated LLM [{SEEDS}]")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--scores", type=Path, help="keep the model's scores in this folder")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    cases: list[Case] = []
    for name in chosen.collections:
        scores = rescored(chosen.data, name, chosen.model, chosen.scores)
        seeds = None if chosen.recorded else chosen.seeds
        cases += cases_of(chosen.data / name, scores, load_scorer(chosen.model).calibration, seeds)
    write_cases(chosen.out, cases)
    print(f"{chosen.out}: {len(cases)} cases of {len({case.query for case in cases})} queries")


def cases_of(path: Path, scores: Scores, calibration: Calibration | None, seeds: int | None) -> Iterator[Case]:
    """All cases of a collection: of so many seeds of each simulated LLM, or, without, of the recorded LLMs."""
    judged = Judged(path)
    ranked = {
        qid: dict(sorted(each.items(), key=lambda one: -one[1])[:DEPTH])
        for qid, each in scores.items()
        if qid in judged.collection.qrels
    }
    priors = [Prior(qid, tuple(each), tuple(each.values())) for qid, each in ranked.items()]
    local = judged.ndcg({prior.qid: prior.docids for prior in priors})
    signals = {prior.qid: read_signals(judged.collection, prior, calibration) for prior in priors}
    meter = Meter(judged, default_prompt("openai/gpt-4o", question_of(STRATEGY), WINDOW))
    for llm, played in _recorded(path, priors) if seeds is None else _simulated(judged, priors, seeds):
        measured = [judged.ndcg({one.prior.qid: one.docids for one in each}) for each in played]
        for at, prior in enumerate(priors):
            outcomes = tuple(
                Outcome(option, by_query[prior.qid], _nano_usd(each[at], meter))
                for option, each, by_query in zip(OPTIONS, played, measured, strict=True)
            )
            yield Case(prior.qid, signals[prior.qid], local[prior.qid], outcomes, path.name, llm)


def read_signals(collection: Collection, prior: Prior, calibration: Calibration | None) -> Signals:
    """Of BM25's candidates in the local order."""
    assert prior.scores is not None
    first = {docid: place for place, docid in enumerate(collection.runs["bm25"][prior.qid])}
    return signals_of(
        Seen(
            query=collection.queries[prior.qid],
            passages=[collection.passages[docid] for docid in prior.docids],
            scores=prior.scores,
            probabilities=[calibration.probability(score) for score in prior.scores] if calibration else (),
            first_stage=[first[docid] for docid in prior.docids],
        )
    )


def _simulated(judged: Judged, priors: Sequence[Prior], seeds: int) -> Iterator[tuple[str, list[list[Played]]]]:
    """Plays by option."""
    for kind in KINDS:
        for seed in range(seeds):
            ranker = SimulatedRanker(replace(PRESETS[kind], seed=seed), judged.collection.qrels)
            question = question_of(STRATEGY)
            yield (
                f"sim/{kind},seed={seed}",
                [[simulate(_strategy(option), prior, ranker, question) for prior in priors] for option in OPTIONS],
            )


def _recorded(path: Path, priors: Sequence[Prior]) -> Iterator[tuple[str, list[list[Played]]]]:
    for llm, name in RECORDED.items():
        run = read_run(path / "llm_runs" / f"{name}.trec.gz")
        orders = {qid: [each.docid for each in ranked] for qid, ranked in run.items()}
        yield (
            llm,
            [
                [replay(_strategy(option), prior, orders.get(prior.qid, prior.docids)) for prior in priors]
                for option in OPTIONS
            ],
        )


def _strategy(option: Option) -> Strategy:
    return make(STRATEGY, window=WINDOW, stride=STRIDE, depth=option.depth, trust=LOCAL_TRUST)


def _nano_usd(play: Played, meter: Meter) -> int:
    docids = play.prior.docids
    tokens = sum(
        meter.tokens(play.prior.qid, [docids[at] for at in window])
        for step in play.steps
        for window in step.windows
    )
    return round(tokens * USD_PER_MILLION * 1000)


if __name__ == "__main__":
    main()
