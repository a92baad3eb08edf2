"""Bi-encoders: query and passage apart, each as one vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from listwise.models.scorers.configs import BiEncoderConfig
from listwise.models.scorers.memory import Memory
from listwise.models.scorers.network import Network
from listwise.models.scorers.passages import Floats
from listwise.models.scorers.reading import Reader


class BiEncoder:
    """Compares a query and a passage by the cosine of their vectors; vectors of passages are kept."""

    def __init__(self, reader: Reader, network: Network, config: BiEncoderConfig) -> None:
        self.reader, self._network, self._config = reader, network, config
        self._memory = Memory()

    def ask(self, query: str) -> _Compared:
        """A query is cut where a passage is."""
        room = self.reader.max_tokens - self.reader.single.tokens
        return _Compared(self, room, self.vector(self.reader.ids(query, room)))

    def vectors(self, pieces: Sequence[Sequence[int]]) -> Floats:
        """Vectors of unit length, [pieces, hidden]; only what is new is encoded."""
        found = dict(self._memory.recall(pieces, self._encode))
        return np.stack([found[place] for place in range(len(pieces))])

    def vector(self, piece: Sequence[int]) -> Floats:
        """The vector of one text, of unit length."""
        states = self._network.run(self.reader.single.around(piece))[0][0]
        pooled = states[0] if self._config.pooling == "cls" else states.sum(axis=0)
        return cast(Floats, pooled / max(np.linalg.norm(pooled), 1e-9))

    def _encode(self, pieces: Sequence[Sequence[int]]) -> Iterator[tuple[int, Floats]]:
        return iter(enumerate(self._network.each(self.vector, pieces)))


class _Compared:
    def __init__(self, encoder: BiEncoder, room: int, about: Floats) -> None:
        self.room, self._encoder, self._about = room, encoder, about

    def score(self, pieces: Sequence[Sequence[int]]) -> Floats:
        """A cosine a piece, -1 to 1."""
        # Row by row, so that the order of addition is the same whatever the number of rows.
        return cast(Floats, (self._encoder.vectors(pieces) * self._about).sum(axis=1))
