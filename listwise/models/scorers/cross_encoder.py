"""Cross-encoders: query and passage in one input, as a graph or as weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np

from listwise.models.scorers.network import Network
from listwise.models.scorers.passages import Floats
from listwise.models.scorers.reading import Input, Reader


class Classifier(Protocol):
    """What gives logits, whatever computes them."""

    def logits(self, texts: Sequence[Input]) -> Floats:
        """The logits of each text, [texts, labels]."""
        ...


class GraphClassifier:
    """An ONNX graph whose first output is [batch, labels]."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def logits(self, texts: Sequence[Input]) -> Floats:
        """The logits of each text, [texts, labels]."""
        return np.concatenate(self._network.each(lambda text: self._network.run(text)[0], texts))


class CrossEncoder:
    """Reads a query and a passage together."""

    def __init__(self, reader: Reader, classifier: Classifier) -> None:
        self.reader, self._classifier = reader, classifier

    def ask(self, query: str) -> Pairs:
        """Of a long query, half of what fits is read."""
        return Pairs(self.reader, self._classifier, self.reader.pair_query(query))


class Pairs:
    """One query, to be read together with passages."""

    def __init__(self, reader: Reader, classifier: Classifier, query: Sequence[int]) -> None:
        self.room = reader.max_tokens - reader.pair.tokens - len(query)
        self._classifier, self._around = classifier, partial(reader.pair.around, query)

    def score(self, pieces: Sequence[Sequence[int]]) -> Floats:
        """The logit of relevance, or the difference of the two logits, a piece."""
        logits = self._classifier.logits([self._around(piece) for piece in pieces])
        return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
