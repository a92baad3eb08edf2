"""What the benchmarks of strategies and votes share: priors of judged collections, and plays on a simulated ranker.

Every figure got with this is of a simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from statistics import fmean

from eval.benchmarks.local_tier import rescore
from listwise.distill.collections import Collection, Scores, read_collection
from listwise.eval.measures import Interval, bootstrap, evaluate
from listwise.eval.simulate import Played, Prior, SimulatedRanker, Traits, simulate
from listwise.formats.trec import Scored
from listwise.models.local import load_scorer
from listwise.models.simulated.naming import PRESETS
from listwise.prompting import Template, load_template, render
from listwise.spend.tokens import ESTIMATED_MESSAGE, ESTIMATED_PROMPT, counter_for
from listwise.strategies import Question, Strategy

DEPTH = 100
CONCURRENCY = 16
"""Calls at a time, as the engine's default has it."""
CONDITIONS: Mapping[str, Traits] = {
    "little noise": PRESETS["strong"],
    "little noise, bias": replace(PRESETS["strong"], bias="ends", strength=1.0),
    "much noise": PRESETS["weak"],
    "much noise, bias": replace(PRESETS["weak"], bias="ends", strength=1.0),
}
"""A strong and a weak ranker, without positional bias and with one that favours both ends of a window by a
grade."""

PRIORS = {
    "BM25": "bm25",
    "embedded": "embedded",
    "SPLADE++": "splade_p_p_ensemble_distil",
}
"""What is shown of a prior, and the run that it is; ``embedded`` is BM25's, scored by the embedded model."""


class Judged:
    """A judged collection with its priors."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.collection: Collection = read_collection(path)

    @cached_property
    def embedded(self) -> Scores:
        """The first stage's candidates by the embedded model's scores, best first."""
        scored = rescore(self.collection, load_scorer("embedded"))
        return {qid: dict(sorted(scores.items(), key=lambda each: -each[1])) for qid, scores in scored.items()}

    def has(self, prior: str) -> bool:
        return prior == "embedded" or PRIORS[prior] in self.collection.runs

    def priors(self, prior: str) -> list[Prior]:
        """One a judged query."""
        run = self.embedded if prior == "embedded" else self.collection.runs[PRIORS[prior]]
        found = [(qid, list(scores.items())[:DEPTH]) for qid, scores in run.items() if qid in self.collection.qrels]
        return [
            Prior(qid, tuple(docid for docid, _ in first), tuple(float(score) for _, score in first))
            for qid, first in found
        ]

    def ndcg(self, rankings: Mapping[str, Sequence[str]]) -> Mapping[str, float]:
        """nDCG@10 by query."""
        run = {
            qid: [Scored(docid, -float(at), at + 1) for at, docid in enumerate(docids)]
            for qid, docids in rankings.items()
        }
        (measured,) = evaluate(run, self.collection.qrels, ["nDCG@10"])
        return measured.by_query


class Meter:
    """Counts the tokens of a window's prompt and answer, as OpenAI would."""

    def __init__(self, judged: Judged, template: str) -> None:
        self._template: Template = load_template(template)
        self._collection = judged.collection
        self._count = counter_for("openai/gpt-4o").estimate
        self._passages: dict[str, int] = {}
        self._frames: dict[tuple[str, int], int] = {}

    def tokens(self, qid: str, docids: Sequence[str]) -> int:
        """Of the prompt; the answer adds four for every identifier."""
        frame = qid, len(docids)
        if frame not in self._frames:
            self._frames[frame] = self._of(qid, [""] * len(docids))
        answer = 4 * len(docids) if self._template.form in ("text", "order") else 2
        return self._frames[frame] + sum(map(self._passage, docids)) + answer

    def _passage(self, docid: str) -> int:
        if docid not in self._passages:
            words = self._collection.passages.get(docid, "").split()[: self._template.rules.words]
            self._passages[docid] = self._count(" ".join(words))
        return self._passages[docid]

    def _of(self, qid: str, passages: Sequence[str]) -> int:
        messages = render(self._template, self._collection.queries[qid], passages)
        return ESTIMATED_PROMPT + sum(ESTIMATED_MESSAGE + self._count(each.content) for each in messages)


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy under one condition, in the mean over queries and seeds."""

    by_query: Mapping[str, float]
    ndcg: Interval
    calls: float
    reads: float
    depth: float
    median_depth: float
    tokens: float
    seconds: float
    """If a call takes one, and `CONCURRENCY` go at a time."""


def measure(
    judged: Judged,
    prior: str,
    traits: Traits,
    strategy: Strategy,
    question: Question,
    meter: Meter,
    seeds: Sequence[int],
) -> Row:
    """Play a strategy for all queries, on as many simulated rankers as there are seeds."""
    played: list[Played] = []
    measured: list[Mapping[str, float]] = []
    for seed in seeds:
        ranker = SimulatedRanker(replace(traits, seed=seed), judged.collection.qrels)
        plays = [simulate(strategy, each, ranker, question) for each in judged.priors(prior)]
        measured.append(judged.ndcg({play.prior.qid: play.docids for play in plays}))
        played += plays
    by_query = {qid: fmean(values[qid] for values in measured) for qid in measured[0]}
    depths = sorted(play.depth for play in played)
    return Row(
        by_query=by_query,
        ndcg=bootstrap(list(by_query.values())),
        calls=_mean(played, lambda play: play.calls),
        reads=_mean(played, lambda play: play.reads),
        depth=fmean(depths),
        median_depth=depths[len(depths) // 2],
        tokens=_mean(played, lambda play: _tokens(play, meter)),
        seconds=_mean(played, lambda play: sum(ceil(len(step.windows) / CONCURRENCY) for step in play.steps)),
    )


def _tokens(play: Played, meter: Meter) -> int:
    docids = play.prior.docids
    return sum(
        meter.tokens(play.prior.qid, [docids[at] for at in window])
        for step in play.steps
        for window in step.windows
    )


def _mean(played: Sequence[Played], figure: Callable[[Played], float]) -> float:
    return fmean(map(figure, played))
