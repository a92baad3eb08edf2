"""Hybrids: query and passage apart, as one vector, as a vector a token, and as weighted terms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from listwise.models.scorers.configs import HybridConfig
from listwise.models.scorers.network import Network
from listwise.models.scorers.passages import Floats, Ids
from listwise.models.scorers.reading import Reader

LEAST_A_FEEDBACK = 10
"""Passages for each that feedback is taken from."""


class Hybrid:
    """Compares a query and a passage by meaning as a whole, by meaning token for token, and by weighted terms.

    The graph is one of `listwise.distill.export`, which describes its inputs and outputs.
    """

    def __init__(self, reader: Reader, network: Network, config: HybridConfig) -> None:
        self.reader, self._network, self._config = reader, network, config

    def ask(self, query: str) -> Likeness:
        """A query is cut where a passage is."""
        room = self.reader.max_tokens - self.reader.single.tokens
        every = np.arange(self.reader.vocabulary, dtype=np.int64)
        nothing = np.zeros((1, self._network.width("query_states")), np.float32)
        [about], [states], [weights] = self._network.run(
            self.reader.single.around(self.reader.ids(query, room)),
            ("dense", "states", "sparse"),
            terms=every,
            query_states=nothing,
        )
        terms = np.argsort(-weights, kind="stable")[: self._config.query_terms]
        return Likeness(self.reader, self._network, self._config, about, states, terms, weights[terms])


class Likeness:
    """A query's vector [hidden], its tokens' vectors [tokens, hidden], its heaviest terms and weights [terms]."""

    def __init__(
        self,
        reader: Reader,
        network: Network,
        config: HybridConfig,
        about: Floats,
        states: Floats,
        terms: Ids,
        weights: Floats,
    ) -> None:
        self.room = reader.max_tokens - reader.single.tokens
        self._reader, self._network, self._config = reader, network, config
        self._about, self._states, self._terms = about, states, terms
        self._weights = weights
        self._vectors: list[Floats] = []

    def score(self, pieces: Sequence[Sequence[int]]) -> Floats:
        """The weighted sum of the three, a piece."""
        return self.weigh(self.parts(pieces))

    def parts(self, pieces: Sequence[Sequence[int]]) -> Floats:
        """The three kinds of likeness, unweighted: dense, late and sparse, [pieces, 3]."""
        made = self._network.each(self._one, pieces)
        self._vectors += [vector for _, vector in made]
        return np.array([parts for parts, _ in made], np.float32)

    def weigh(self, parts: Floats) -> Floats:
        """One score a row."""
        weights = self._config.dense_weight, self._config.late_weight, self._config.sparse_weight
        return np.asarray((parts * np.array(weights, np.float32)).sum(axis=1), np.float32)

    def reconsider(self, scores: Floats) -> Floats:
        """With feedback: the mean vector of the best pieces stands for what the query means, and likeness with it
        counts, too (pseudo-relevance feedback by vectors, arXiv 2108.11044).

        Among few passages the best are too seldom good: there it is left out.
        """
        best = self._config.feedback
        if not best or len(scores) < LEAST_A_FEEDBACK * best:
            return scores
        vectors = np.stack(self._vectors).astype(np.float32)
        meant = vectors[np.argsort(-scores, kind="stable")[:best]].mean(axis=0)
        likeness = (vectors * (meant / np.linalg.norm(meant))).sum(axis=1)
        return np.asarray(scores + self._config.feedback_weight * likeness, np.float32)

    def _one(self, piece: Sequence[int]) -> tuple[tuple[float, float, float], Floats]:
        text = self._reader.single.around(piece)
        [dense], [late], [sparse] = self._network.run(
            text, ("dense", "late", "sparse"), terms=self._terms, query_states=self._states
        )
        parts = (dense * self._about).sum(), late.mean(), (sparse * self._weights).sum()
        return (float(parts[0]), float(parts[1]), float(parts[2])), dense.astype(np.float16)
