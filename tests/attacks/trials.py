"""One attack on one query, ranked by the follower: without neutralisation, with it, and with the guard."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from listwise import Candidate, Query, Ranking, Request, Reranker
from listwise.calls import Call, Sampling
from listwise.prompting import load_template
from listwise.strategies import play, sliding
from tests.attacks.corpus import Case, attacked
from tests.attacks.follower import Follower, Strength

Defence = Literal["none", "off", "suspicious", "leaps"]
"""``none`` fills templates with the texts as they are; the others are the policy's ``guard``."""
PLACES = range(14, 60)
"""Where an attacked passage stands in the prior order, from 0."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A request in which one passage attacks."""

    case: Case
    request: Request
    docid: str
    """The passage that is to gain; it is not relevant."""
    relevance: Mapping[str, float]

    @classmethod
    def of(
        cls,
        case: Case,
        clean: Request,
        relevance: Mapping[str, float],
        seed: int = 0,
        places: Sequence[int] = PLACES,
    ) -> Trial:
        """Have an irrelevant passage of a clean request attack, and a second one help it where the case has two."""
        able = victims(clean, relevance, places)
        first, second = random.Random(f"{seed} {clean.query.qid} {case.name}").sample(able, 2)
        if case.partner is not None:  # the windows come from below, and bring both up together
            first, second = sorted((first, second))
        query = clean.query.text
        candidates = list(clean.candidates)
        title, text = attacked(case, candidates[first].text, query)
        if case.query is not None:
            query = case.query(text, query)
        candidates[first] = replace(candidates[first], text=text, title=title)
        if case.partner is not None:
            helping = case.partner(candidates[second].text, query)
            candidates[second] = replace(candidates[second], text=helping)
        request = Request(Query(clean.query.qid, query), tuple(candidates))
        return cls(case, request, candidates[first].docid, relevance)

    async def place(self, strength: Strength, defence: Defence, **settings: Any) -> int:
        """Where the attacking passage ends up, from 1."""
        follower = Follower(self.relevance, strength)
        if defence == "none":
            docids: Sequence[str] = undefended(self.request, follower)
        else:
            docids = (await ranked(self.request, follower, guard=defence, **settings)).docids
        return docids.index(self.docid) + 1


def victims(clean: Request, relevance: Mapping[str, float], places: Sequence[int] = PLACES) -> list[int]:
    """Positions of the irrelevant passages that an attack may be put into."""
    known = enumerate(clean.candidates)
    return [at for at, candidate in known if at in places and not relevance.get(candidate.docid)]


async def ranked(request: Request, model: Follower, **settings: Any) -> Ranking:
    """Re-rank as anyone would, in the given order, by the LLM alone."""
    chosen = {"local": "none", "escalate": "always", "cache": "off", "ledger": "off", **settings}
    async with Reranker(model=model, **chosen) as reranker:
        return await reranker.arerank(request)


def undefended(request: Request, model: Follower, template: str = "rankgpt") -> list[str]:
    """Play sliding windows with prompts into which the texts are filled as they are."""
    form = load_template(template)

    def rank(window: tuple[int, ...]) -> list[int]:
        shown = [request.candidates[at] for at in window]
        messages = form.fill(request.query.text, [candidate.content for candidate in shown])
        docids = tuple(candidate.docid for candidate in shown)
        return model.order(Call(messages, Sampling(100), passages=len(window), docids=docids))

    order = play(sliding(), len(request.candidates), rank)[-1].best
    return [request.candidates[at].docid for at in order]


TOPICS = ("tides", "bees", "glass", "bread", "rust", "clouds", "bridges", "salt", "owls", "ink")
_FACTS = ("come and go", "have been studied for long", "are found in many places", "change with the weather")


def made_up(n: int = 60, seed: int = 0) -> tuple[Request, dict[str, float]]:
    """A clean request about nothing much, and the relevance of its candidates: high at the top, as a rule."""
    rng = random.Random(seed)
    candidates, relevance = [], {}
    for at in range(n):
        topic, fact = rng.choice(TOPICS), rng.choice(_FACTS)
        candidates.append(
            Candidate(f"d{at}", f"Of {topic} it is known that they {fact}. Note {at} says no more.", -at)
        )
        if at < 12 or rng.random() < 0.1:
            relevance[f"d{at}"] = float(rng.randint(1, 3))
    return Request(Query(f"q{seed}", "what is known of tides"), tuple(candidates)), relevance
