"""Attacks on a simulated model that follows orders, and what the guard does to clean queries. No real model is
asked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

from listwise import Request, formats
from listwise.eval.measures import evaluate
from listwise.strategies.guard import GuardName
from tests.attacks.corpus import CASES
from tests.attacks.follower import Follower, Strength
from tests.attacks.trials import Defence, Trial, ranked, victims

DEFENCES: tuple[Defence, ...] = get_args(Defence)
STRENGTHS: tuple[Strength, ...] = get_args(Strength)
NOISES = (1.0, 3.0)
"""Against grades of 0 to 3."""
TOPS = (3, 10)

Places = Mapping[Defence, list[int]]


def attacks(data: Path, queries: int) -> Iterator[str]:
    """How often the attacking passage, irrelevant and at rank 15 to 60, gets into the top."""
    requests, qrels = _dl19(data)
    able = [each for each in requests if len(victims(each, qrels[each.query.qid])) > 1]
    tried = [able[at * len(able) // queries] for at in range(queries)]
    by_family: dict[str, Places] = defaultdict(lambda: defaultdict(list))
    by_strength: dict[str, Places] = defaultdict(lambda: defaultdict(list))
    for case in CASES:
        for request in tried:
            trial = Trial.of(case, request, qrels[request.query.qid])
            for strength in STRENGTHS:
                for defence in DEFENCES:
                    place = asyncio.run(trial.place(strength, defence))
                    by_family[case.family][defence].append(place)
                    by_strength[strength][defence].append(place)
    yield f"SIMULATION, {len(CASES)} attacks on {len(tried)} queries of DL19: in the top {TOPS[0]} / top {TOPS[1]}"
    yield f"{'':24} {'trials':>6} {'as it is':>12} {'neutralised':>12} {'suspicious':>12} {'leaps':>12}"
    for name, places in (*by_family.items(), *by_strength.items()):
        yield f"{name:24} {len(places['off']):6} " + " ".join(f"{_share(places[each]):>12}" for each in DEFENCES)


def harm(data: Path, queries: int) -> Iterator[str]:
    """Clean queries, ranked by relevance with noise that differs with the order shown."""
    requests, qrels = _dl19(data)
    yield f"SIMULATION, {len(requests)} clean queries of DL19, relevance with noise: nDCG@10, windows asked, leaps"
    for noise in NOISES:
        for guard in get_args(GuardName):
            rankings = [
                asyncio.run(ranked(request, Follower(qrels[request.query.qid], "wary", noise=noise), guard=guard))
                for request in requests
            ]
            run = {
                each.query.qid: [formats.Scored(docid, -at, at) for at, docid in enumerate(each.docids)]
                for each in rankings
            }
            (measured,) = evaluate(run, qrels, ["nDCG@10"])
            calls, confirmed, refuted = (
                sum(getattr(each.receipt, name) for each in rankings) for name in ("calls", "confirmed", "refuted")
            )
            yield (
                f"noise {noise:.0f}, guard {guard:10}: {measured.interval.mean:.4f}, {calls} windows, "
                f"{confirmed} leaps confirmed, {refuted} not"
            )


def _share(places: list[int]) -> str:
    return " / ".join(f"{sum(place <= top for place in places) / len(places):.0%}" for top in TOPS)


def _dl19(data: Path) -> tuple[list[Request], formats.Qrels]:
    folder = data / "dl19"
    requests = formats.requests_from(folder / "queries.tsv", folder / "corpus.jsonl.gz", folder / "bm25.trec.gz")
    return requests, formats.read_qrels(folder / "qrels.txt")
