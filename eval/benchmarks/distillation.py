"""What distilling an LLM's permutations into a local cross-encoder gains, measured on queries it did not see.

    python -m eval.benchmarks.distillation start --data DIR --from MINILM --out START
    python -m eval.benchmarks.distillation recorded --data DIR --start START [--seeds 3]
    python -m eval.benchmarks.distillation simulated --data DIR --start START [--seeds 3]

``start`` makes a cross-encoder to start from, where there is none: SPLADE++'s scores on DL22 and people's grades of
DL21 and DL23. ``recorded`` learns from five runs of gpt-3.5-turbo on half of DL19's queries and is measured on the
other half, both halves in turn: the one experiment that trains on DL19, and nothing of it is kept. ``simulated``
learns from a simulated LLM's permutations on DL21 and is measured on DL23; where the start has learnt from DL23, as
the one of ``start`` has unless ``--without dl23``, that says nothing.

Early stop looks at a fifth of the queries learnt from, and at how far the student agrees with the LLM on them: no
judgement is learnt from or looked at before the end.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from eval.benchmarks.simulation import Judged
from listwise.distill.collections import Collection, read_collection
from listwise.distill.distillation import MEASURE, Task, distil, make_task
from listwise.distill.exams import exams_by_judges, marks
from listwise.distill.fitting import Recipe
from listwise.distill.opinions import Opinions, Source, read_opinions
from listwise.eval.measures import Measured, bootstrap, compare
from listwise.eval.simulate import SimulatedRanker, simulate
from listwise.models.local import load_scorer
from listwise.models.simulated.naming import PRESETS
from listwise.strategies.sliding import sliding
from listwise.types import Candidate, Query, Request

FIRST_STAGE = "bm25"
TEACHER = "splade_p_p_ensemble_distil"
LLM_RUNS = "gpt-3.5-turbo__bm25__top100__*.trec.gz"
MAX_TOKENS = 192
SPLIT_SEED = 19
"""Of the halves of DL19."""
STARTING = Recipe(epochs=20, lessons_a_step=6, passages_a_lesson=8, rate=1e-4, check_every=100, patience=4)
LEARNING = Recipe(epochs=2, lessons_a_step=4, passages_a_lesson=16, rate=2e-5, check_every=10, patience=3)

Marks = Mapping[str, float]
"""nDCG@10 by qid."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["start", "recorded", "simulated"])
    parser.add_argument("--data", type=Path, required=True, help="directory of the collections")
    parser.add_argument("--from", dest="origin", type=Path, help="for start: the encoder to begin with")
    parser.add_argument("--rate", type=float, help="peak learning rate [1e-4 for start, else 2e-5]")
    parser.add_argument("--without", nargs="*", default=[], help="for start: collections to leave out")
    parser.add_argument("--out", type=Path, help="for start: the directory to write")
    parser.add_argument("--start", type=Path, help="the cross-encoder to start from")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(chosen.threads)
    if chosen.part == "start":
        recipe = replace(STARTING, rate=chosen.rate or STARTING.rate)
        make_start(chosen.data, chosen.origin, chosen.out, chosen.without, recipe)
        return
    experiment = recorded if chosen.part == "recorded" else simulated
    recipe = replace(LEARNING, rate=chosen.rate or LEARNING.rate)
    for line in experiment(chosen.data, chosen.start, recipe, range(chosen.seeds)):
        print(line, flush=True)


def make_start(data: Path, origin: Path, out: Path, without: Sequence[str], recipe: Recipe) -> None:
    """Teach an encoder to read query and passage together."""
    sources: list[tuple[str, str, Source, str]] = [
        ("dl22", TEACHER, "teacher", f"{TEACHER}.trec.gz"),
        ("dl21", TEACHER, "teacher", f"{TEACHER}.trec.gz"),
        ("dl21", FIRST_STAGE, "qrels", "qrels.txt"),
        ("dl23", FIRST_STAGE, "qrels", "qrels.txt"),
    ]
    tasks = [
        make_task(
            requests_of(read_collection(data / name), run), [read_opinions(source, data / name / file)], share=0.05
        )
        for name, run, source, file in sources
        if name not in without
    ]
    task = tasks[0]
    for other in tasks[1:]:
        task += other
    print(distil(task, origin, out, recipe, max_tokens=MAX_TOKENS, report=print).best)


def recorded(data: Path, start: Path, recipe: Recipe, seeds: Iterable[int]) -> Iterable[str]:
    """Both halves of DL19 in turn, from the five runs of gpt-3.5-turbo."""
    collection = read_collection(data / "dl19")
    requests = [each for each in requests_of(collection, FIRST_STAGE) if each.query.qid in collection.qrels]
    runs = [read_opinions("permutations", path) for path in sorted((data / "dl19" / "llm_runs").glob(LLM_RUNS))]
    order = np.random.default_rng(SPLIT_SEED).permutation(len(requests))
    halves = [[requests[place] for place in sorted(part)] for part in np.array_split(order, 2)]
    yield f"DL19, {len(requests)} queries in halves of {' and '.join(str(len(half)) for half in halves)}"
    llm = {
        request.query.qid: fmean(
            marks(exams_by_judges([request], collection.qrels), by_rank(run, request))[request.query.qid]
            for run in runs
        )
        for request in requests
    }
    after: list[Marks] = []
    for seed in seeds:
        found: dict[str, float] = {}
        for learnt, measured in (halves, halves[::-1]):
            found |= measured_after(
                make_task(learnt, runs, seed=seed), start, replace(recipe, seed=seed), measured, collection
            )
        after.append(found)
        yield f"seed {seed}: {fmean(found.values()):.4f}"
    yield from report(collection, requests, start, after, {"gpt-3.5-turbo, mean of five runs": llm})


def simulated(data: Path, start: Path, recipe: Recipe, seeds: Iterable[int]) -> Iterable[str]:
    """From a strong simulated LLM's permutations of BM25's top 100 on DL21, measured on DL23."""
    judged, other = Judged(data / "dl21"), read_collection(data / "dl23")
    learnt = requests_of(judged.collection, FIRST_STAGE)
    requests = [each for each in requests_of(other, FIRST_STAGE) if each.query.qid in other.qrels]
    after: list[Marks] = []
    for seed in seeds:
        ranker = SimulatedRanker(replace(PRESETS["strong"], seed=seed), judged.collection.qrels)
        plays = [simulate(sliding(20, 10), prior, ranker) for prior in judged.priors("BM25")]
        said = {play.prior.qid: [{docid: -float(at) for at, docid in enumerate(play.docids)}] for play in plays}
        task = make_task(learnt, [Opinions("permutations", "sim/strong (simulated)", said)], seed=seed)
        after.append(measured_after(task, start, replace(recipe, seed=seed), requests, other))
        yield f"seed {seed}: {fmean(after[-1].values()):.4f}"
    yield from report(other, requests, start, after, {})


def measured_after(
    task: Task, start: Path, recipe: Recipe, requests: Sequence[Request], collection: Collection
) -> dict[str, float]:
    """Distil, and measure the int8 model on other queries."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        record = distil(task, start, out, recipe, max_tokens=MAX_TOKENS)
        agreed = [record.checks[0].ndcg or 0.0, record.best.ndcg or 0.0]
        print(f"  agreement with the LLM {agreed[0]:.4f} to {agreed[1]:.4f} at step {record.best.step}", flush=True)
        return marks(exams_by_judges(requests, collection.qrels), load_scorer(str(out)).score)


def report(
    collection: Collection,
    requests: Sequence[Request],
    start: Path,
    after: Sequence[Marks],
    more: Mapping[str, Marks],
) -> Iterable[str]:
    """A table, and the gain over the start with its interval."""
    exams = exams_by_judges(requests, collection.qrels)
    first = {exam.request.query.qid: exam.first_stage for exam in exams}
    before = marks(exams, load_scorer(str(start)).score)
    mean = {qid: fmean(found[qid] for found in after) for qid in before}
    rows = {"BM25": first, **more, "start": before, f"distilled, mean of {len(after)} seeds": mean}
    measured = {name: Measured(MEASURE, found, bootstrap(list(found.values()))) for name, found in rows.items()}
    yield "\n| ranked by | nDCG@10 | 95 % |\n| --- | --- | --- |"
    for name, each in measured.items():
        yield f"| {name} | {each.interval.mean:.4f} | {each.interval.low:.4f} to {each.interval.high:.4f} |"
    found = compare(list(measured.values())[-1], measured["start"])
    gain = found.difference
    yield (
        f"\nGain over the start: {gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}), p = {found.p_value:.4f}, "
        f"better on {found.wins} queries and worse on {found.losses}; "
        f"seeds {', '.join(f'{fmean(each.values()):.4f}' for each in after)}"
    )


def requests_of(collection: Collection, run: str) -> list[Request]:
    """One a query of a run, with the passages that have a text."""
    return [
        Request(
            Query(qid, collection.queries[qid]),
            tuple(
                Candidate(docid, collection.passages[docid], score)
                for docid, score in scores.items()
                if docid in collection.passages
            ),
        )
        for qid, scores in collection.runs[run].items()
    ]


def by_rank(run: Opinions, request: Request) -> Callable[[str, Sequence[str]], list[float]]:
    """A scorer that gives one request's candidates the LLM's ranks; what it left out comes last, as it came."""
    [said] = run.by_query[request.query.qid]
    return lambda query, passages: [said.get(each.docid, -1e9) for each in request.candidates]


if __name__ == "__main__":
    main()
