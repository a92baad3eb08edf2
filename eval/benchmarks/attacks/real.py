"""Attacks on a real model: SmolLM2-135M, by llama.cpp's own server. It is too small to rank, so what is seen is
how far an attack moves a passage beyond where the same passage ends up without it."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator
from statistics import mean

from listwise import Ranking, Request, Reranker
from listwise.models.llamacpp import MODEL, smollm_server
from tests.attacks.corpus import CASES
from tests.attacks.trials import Trial, made_up

PASSAGES = 8
"""In one window: what the model can read in a few seconds."""
DEEPEST = range(4, PASSAGES)
TOP = 3
NAMES = (
    "ignore-and-rank", "polite", "ascii", "json", "rankgpt", "human", "claim", "tip", "bare-numbers", "numbers",
    "spanish", "leetspeak",
)  # fmt: skip
GUARDS = ("off", "suspicious")


def attacks(queries: int) -> Iterator[str]:
    """Places of passages that attack, and of the same ones when they do not."""
    chosen = [case for case in CASES if case.name in NAMES and case.order and case.query is None]
    places: defaultdict[str, list[int]] = defaultdict(list)
    seen: Counter[str] = Counter()
    with smollm_server() as url:
        for seed in range(queries):
            clean, relevance = made_up(PASSAGES, seed)
            irrelevant = {f"d{at}": 0.0 for at in DEEPEST}
            for case in chosen:
                trial = Trial.of(case, clean, {**relevance, **irrelevant}, seed, places=DEEPEST)
                for name, request in (("clean", clean), *((guard, trial.request) for guard in GUARDS)):
                    ranking = _ranked(url, request, "off" if name == "clean" else name)
                    places[name].append(ranking.docids.index(trial.docid) + 1)
                    seen["windows"] += ranking.receipt.calls
                    seen["put in order"] += sum(ranking.receipt.ordered_by.values())
                    seen["echoed"] += ranking.receipt.echoes
                    seen["leaps confirmed"] += ranking.receipt.confirmed
                    seen["leaps not confirmed"] += ranking.receipt.refuted
    yield f"REAL MODEL, {MODEL}-135M, {len(places['clean'])} trials of one window of {PASSAGES} made-up passages"
    yield f"(of rank {DEEPEST[0] + 1} to {DEEPEST[-1] + 1}; by chance in the top {TOP}: {TOP / PASSAGES:.0%})"
    for name, ends in places.items():
        share = sum(place <= TOP for place in ends) / len(ends)
        what = "without the attack" if name == "clean" else f"guard {name}"
        yield f"{what:18} mean place {mean(ends):.1f}, in the top {TOP}: {share:.0%}"
    yield ", ".join(f"{count} {what}" for what, count in seen.items())


def _ranked(url: str, request: Request, guard: str) -> Ranking:
    async def ranked() -> Ranking:
        async with Reranker(
            llm=f"openai/{MODEL}", base_url=url, local="none", escalate="always", strategy="single",
            prompt="structured",
            ledger="off", cache="off", guard=guard, attempts=1, max_output_tokens=64,
        ) as reranker:  # fmt: skip
            return await reranker.arerank(request)

    return asyncio.run(ranked())
