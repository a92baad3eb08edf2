"""What several teachers together think of a pool of queries and passages, encoded once: no judgement is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from listwise.distill.lessons import Lesson
from listwise.distill.sentences import Sentences
from listwise.distill.student import Read, Student

CANDIDATES = 250
"""Passages that a query's lessons are drawn from: those of the pool that the teachers like best."""
BANDS = ((0, 8, 4), (8, 60, 5), (60, CANDIDATES, 3))
"""How many of a lesson come from which of their ranks: the best, and hard negatives behind them."""
RANDOM = 2
"""How many of a lesson come from anywhere."""
HYBRID_SPREAD = 7.67
"""Standard deviation of the hybrid's scores in a list of BM25's, on DL21 and DL23."""
SENTENCE_SPREAD = 0.0225
"""Likewise of the sentence encoder's cosines."""
SENTENCE_WEIGHT = 0.75
"""Of the sentence encoder beside the hybrid; between 0.5 and 1 nothing changes on DL21 and DL23."""
QUERY_TOKENS = 48
AT_ONCE = 128
"""Queries that are compared with the whole pool at once."""


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

    def likeliest(self, share: float) -> dict[int, list[int]]:
        """The `CANDIDATES` best passages of each query, best first, roughly: mean states stand in for states.

        Only of the ``share`` of the queries whose best passage is closest: the others have nothing in the pool.
        """
        dense = torch.stack([passage.dense for passage in self.read])
        terms = torch.stack([passage.terms for passage in self.read]).float().coalesce()
        found: dict[int, list[int]] = {}
        nearest: dict[int, float] = {}
        for start in range(0, len(self.queries), AT_ONCE):
            asked = self.asked[start : start + AT_ONCE]
            likeness = sum(self.weights) * dense @ torch.stack([query.dense for query in asked]).T
            wanted = torch.stack([query.terms.to_dense() for query in asked]).float().T
            hybrid = likeness + torch.sparse.mm(terms, wanted)
            sentence = self.sentences[1] @ self.sentences[0][start : start + AT_ONCE].T
            scores = hybrid / hybrid.std(dim=0) + SENTENCE_WEIGHT * sentence / sentence.std(dim=0)
            best = scores.topk(min(CANDIDATES, len(self.passages)), dim=0).indices.T.tolist()
            for at, places in enumerate(best, start):
                found[at], nearest[at] = places, sentence[:, at - start].max().item()
        kept = sorted(nearest, key=lambda at: -nearest[at])[: max(1, round(share * len(nearest)))]
        return {at: found[at] for at in kept}

    def lesson(self, at: int, candidates: Sequence[int], rng: np.random.Generator) -> Lesson:
        """A part of a query's candidates, a few passages from anywhere, and what the teachers think of each."""
        places: list[int] = []
        for first, last, count in BANDS:
            band = candidates[first:last]
            places += [int(place) for place in rng.permutation(band)[:count]]
        places += [int(place) for place in rng.integers(0, len(self.passages), RANDOM)]
        places = list(dict.fromkeys(places))
        texts = tuple(self.passages[place] for place in places)
        wanted = self.opinions(at, places).numpy().astype(np.float32)
        return Lesson(str(at), self.queries[at], texts, wanted, "margin-mse")

    def opinions(self, at: int, places: Sequence[int]) -> Tensor:
        """What the teachers together think of some passages for a query, [passages], as logits."""
        query, passages = self.asked[at], [self.read[place] for place in places]
        states = query.states.float()
        late = torch.stack([(each.states.float() @ states.T).amax(dim=0).mean() for each in passages])
        dense = torch.stack([each.dense for each in passages]) @ query.dense
        wanted = query.terms.to_dense().float()
        sparse = torch.stack([each.terms.to_dense().float() @ wanted for each in passages])
        hybrid = self.weights[0] * dense + self.weights[1] * late + sparse
        sentence = self.sentences[1][list(places)] @ self.sentences[0][at]
        return hybrid / HYBRID_SPREAD + SENTENCE_WEIGHT * sentence / SENTENCE_SPREAD
