"""What several teachers together think of a pool of queries and passages: no judgement is needed.

Everything is encoded once, where the hybrid's weights are. Then each query's best passages are found roughly, and
judged exactly: by the hybrid, by the sentence encoder, and by the likeness to the best of them (pseudo-relevance
feedback by vectors, arXiv 2108.11044).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from listwise.distill.lessons import Lesson
from listwise.distill.sentences import Sentences
from listwise.distill.student import Read, Student

CANDIDATES = 200
"""Passages that a query's lessons are drawn from: those of the pool that the teachers like best."""
ANYWHERE = 24
"""Passages from anywhere that join them."""
BANDS = ((0, 8, 5), (8, 60, 5), (60, CANDIDATES, 4))
"""How many of a lesson come from which of their ranks: the best, and hard negatives behind them."""
DRAWN_ANYWHERE = 2
"""How many of a lesson come from anywhere."""
HYBRID_SPREAD = 7.67
"""Standard deviation of the hybrid's scores in a list of BM25's, on DL21 and DL23."""
SENTENCE_SPREAD = 0.0225
"""Likewise of the sentence encoder's cosines."""
SENTENCE_WEIGHT = 0.75
"""Of the sentence encoder beside the hybrid; between 0.5 and 1 nothing changes on DL21 and DL23."""
FEEDBACK = 2
"""Passages, the best of a list, whose mean vector is a second query."""
FEEDBACK_WEIGHT = 0.4
"""Of the likeness to it, by each encoder."""
FEEDBACK_SPREADS = (0.147, 0.0302)
"""Standard deviations of those likenesses: of mean states, and of the sentence encoder's vectors."""
ROUGH_WEIGHT = 42.0
"""Of the cosine of mean states in the rough first look, where it stands in for that of all states, too."""
QUERY_TOKENS = 48
AT_ONCE = 128
"""Queries that are compared with the whole pool at once."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A query's passages, and what the teachers together think of each."""

    query: str
    places: NDArray[np.int32]
    """[passages] in the pool: the likeliest, best first, and `ANYWHERE` from anywhere."""
    opinions: NDArray[np.float32]
    """[passages], as logits."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Queries and passages as the teachers see them."""

    queries: Sequence[str]
    passages: Sequence[str]
    asked: Sequence[Read]
    """The queries by the hybrid's two encoders."""
    read: Sequence[Read]
    """The passages likewise."""
    sentences: tuple[Tensor, Tensor]
    """Unit vectors of the queries and of the passages by the sentence encoder."""
    weights: tuple[float, float]
    """The hybrid's, of dense and of late."""

    @classmethod
    def of(
        cls, hybrid: Student, sentences: Sentences, queries: Sequence[str], passages: Sequence[str], max_tokens: int
    ) -> Pool:
        """Encode everything: on two cores, a minute for some 2,000 passages."""
        return cls(
            queries,
            passages,
            hybrid.read(queries),
            hybrid.read(passages),
            (sentences.queries(queries, QUERY_TOKENS), sentences.passages(passages, max_tokens)),
            (hybrid.dense_weight.item(), hybrid.late_weight.item()),
        )

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def lists(self, share: float, rng: np.random.Generator) -> list[Listed]:
        """The list of each query, of the ``share`` of them whose best passage is closest: the others have nothing
        in the pool."""
        dense = torch.stack([passage.dense for passage in self.read])
        terms = torch.stack([passage.terms for passage in self.read]).float().coalesce()
        found: list[tuple[float, Listed]] = []
        for start in range(0, len(self.queries), AT_ONCE):
            asked = self.asked[start : start + AT_ONCE]
            likeness = dense @ torch.stack([query.dense for query in asked]).T
            sparse = torch.sparse.mm(terms, torch.stack([query.terms.to_dense() for query in asked]).float().T)
            sentence = self.sentences[1] @ self.sentences[0][start : start + AT_ONCE].T
            rough = ROUGH_WEIGHT * likeness + sparse
            scores = rough / rough.std(dim=0) + SENTENCE_WEIGHT * sentence / sentence.std(dim=0)
            best = scores.topk(min(CANDIDATES, len(self.passages)), dim=0).indices
            anywhere = torch.from_numpy(rng.integers(len(self.passages), size=(ANYWHERE, len(asked)))).to(best)
            for at, places in enumerate(torch.cat([best, anywhere]).T):
                hybrid = self.weights[0] * likeness[places, at] + sparse[places, at]
                hybrid = hybrid + self.weights[1] * self._late(asked[at], places.tolist())
                opinions = hybrid / HYBRID_SPREAD + SENTENCE_WEIGHT * sentence[places, at] / SENTENCE_SPREAD
                opinions = opinions + self._feedback(dense, places, opinions)
                listed = _listed(self.queries[start + at], places, opinions)
                found.append((sentence[:, at].max().item(), listed))
        found.sort(key=lambda each: -each[0])
        return [listed for _, listed in found[: max(1, round(share * len(found)))]]

    def lesson(self, listed: Listed, rng: np.random.Generator) -> Lesson:
        """A part of a query's list, to be learnt by its margins."""
        ranked, anywhere = np.split(np.arange(len(listed.places)), [-ANYWHERE])
        bands = [rng.permutation(ranked[first:last])[:count] for first, last, count in BANDS]
        drawn = np.concatenate([*bands, rng.permutation(anywhere)[:DRAWN_ANYWHERE]])
        texts = tuple(self.passages[place] for place in listed.places[drawn])
        return Lesson(listed.query, listed.query, texts, listed.opinions[drawn], "margin-mse")

    def _late(self, query: Read, places: Sequence[int]) -> Tensor:
        """The mean, over the query's tokens, of the best cosine with a token of each passage, [passages]."""
        states = [self.read[place].states for place in places]
        cosines = torch.cat(states).float() @ query.states.float().T
        lengths = torch.tensor([len(each) for each in states], device=cosines.device)
        closest: Tensor = torch.segment_reduce(cosines, "max", lengths=lengths)
        return closest.mean(dim=1)

    def _feedback(self, dense: Tensor, places: Tensor, opinions: Tensor) -> Tensor:
        """What likeness to the best passages of a list adds to the opinions on it, [passages]."""
        best = places[opinions.topk(FEEDBACK).indices]
        added = torch.zeros_like(opinions)
        for vectors, spread in zip((dense, self.sentences[1]), FEEDBACK_SPREADS, strict=True):
            mean = functional.normalize(vectors[best].mean(dim=0), dim=0)
            added += FEEDBACK_WEIGHT * (vectors[places] @ mean) / spread
        return added


def _listed(query: str, places: Tensor, opinions: Tensor) -> Listed:
    """The likeliest by their opinions; those from anywhere stay last."""
    likeliest = len(places) - ANYWHERE
    order = torch.cat(
        [opinions[:likeliest].argsort(descending=True), torch.arange(likeliest, len(places)).to(places)]
    )
    found: NDArray[np.int32] = places[order].cpu().numpy().astype(np.int32)
    return Listed(query, found, opinions[order].float().cpu().numpy())
