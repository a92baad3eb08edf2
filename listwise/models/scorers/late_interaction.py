"""Late interaction by MaxSim (ColBERT, arXiv 2004.12832): a vector a token, and for each token of the query the
closest of the passage. Checkpoints of PyLate and sentence-transformers, and of ColBERTv2 as Stanford writes it.

A query is filled up to a fixed length with ``[MASK]`` tokens, which are vectors like the others; punctuation of a
passage is read but not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from listwise.errors import ConfigError
from listwise.models.scorers.late_settings import LateSettings, Layer, read_late_settings, read_layers
from listwise.models.scorers.memory import Memory
from listwise.models.scorers.passages import Array, Floats
from listwise.models.scorers.pretrained import kinds_wanted, loading, padded, reader_of
from listwise.models.scorers.reading import Input

MASK = ("[MASK]", "<mask>")
"""Tokens that fill up a query; the first that a vocabulary has."""


class LateInteraction:
    """Compares tokens; the vectors of passages are kept in memory, in half precision.

    Raises:
        MissingExtra: `transformers` or torch is not installed.
        ConfigError: the files cannot be used.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.settings: LateSettings = read_late_settings(path)
        with loading(path, f"the local model {name!r}, of late interaction,", "late-interaction"):
            from transformers import AutoModel

            folder = path / self.settings.encoder
            self._model: Any = AutoModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            self._model.float().eval()
            self._layers: list[Layer] = read_layers(path, self.settings)
            self.reader = reader_of(folder, self.settings.document_length)
        self._query_prefix = self._prefix(self.settings.query_prefix)
        self._document_prefix = self._prefix(self.settings.document_prefix)
        skipped = (self.reader.token(word) for word in self.settings.skiplist)
        self._skipped = np.array([token for token in skipped if token is not None], np.int64)
        self._mask = next((token for text in MASK if (token := self.reader.token(text)) is not None), None)
        if self.settings.expand and self._mask is None:
            raise ConfigError(f"{path}: queries are filled up with {MASK[0]}, which the vocabulary lacks")
        self._memory = Memory()

    def ask(self, query: str) -> Tokens:
        """A query is cut to the length that the model was trained for, usually 32 tokens."""
        special = self.reader.single.tokens
        most = self.settings.query_length - special - len(self._query_prefix)
        text = self.reader.single.around([*self._query_prefix, *self.reader.ids(query, most)])
        fill = self.settings.query_length - len(text.ids) if self.settings.expand else 0
        room = self.reader.max_tokens - special - len(self._document_prefix)
        return Tokens(self, room, self._read_query(text, fill))

    def passages(self, pieces: Sequence[Sequence[int]]) -> Iterator[tuple[int, Array]]:
        """The place of each piece and its vectors, [tokens, width] of float16, in no certain order."""
        return self._memory.recall(pieces, self._read_passages)

    def _prefix(self, text: str) -> list[int]:
        """A prefix is one token, with its trailing space or without, or else a text."""
        for spelt in (text, text.strip()):
            token = self.reader.token(spelt) if spelt else None
            if token is not None:
                return [token]
        return self.reader.ids(text)

    def _read_query(self, text: Input, fill: int) -> Floats:
        import torch

        ids = torch.tensor([text.ids + [cast(int, self._mask)] * fill if fill else text.ids])
        seen = torch.ones_like(ids)
        if not self.settings.attend:
            seen[:, len(text.ids) :] = 0
        kinds = torch.zeros_like(ids)
        [vectors] = self._vectors({"input_ids": ids, "attention_mask": seen, "token_type_ids": kinds})
        return cast(Floats, vectors)

    def _read_passages(self, pieces: Sequence[Sequence[int]]) -> Iterator[tuple[int, Array]]:
        texts = [self.reader.single.around([*self._document_prefix, *piece]) for piece in pieces]
        for places, inputs in padded(texts, self._mask or 0):
            vectors = self._vectors(inputs).astype(np.float16)
            for row, place in enumerate(places):
                ids = np.array(texts[place].ids, np.int64)
                yield place, vectors[row, : len(ids)][~np.isin(ids, self._skipped)]

    def _vectors(self, inputs: dict[str, Any]) -> Floats:
        """Vectors of unit length, [batch, length, width]."""
        import torch

        if not kinds_wanted(self._model):
            inputs = {name: value for name, value in inputs.items() if name != "token_type_ids"}
        with torch.inference_mode():
            states = self._model(**inputs).last_hidden_state
            for layer in self._layers:
                states = layer(states)
            return cast(Floats, torch.nn.functional.normalize(states, dim=-1).numpy())


class Tokens:
    """The vectors of one query, [tokens, width]."""

    def __init__(self, model: LateInteraction, room: int, query: Floats) -> None:
        self.room, self._model, self._query = room, model, query

    def score(self, pieces: Sequence[Sequence[int]]) -> Floats:
        """The sum, over the query's tokens, of the best cosine with a token of a piece."""
        scores = np.zeros(len(pieces), np.float32)
        for place, vectors in self._model.passages(pieces):
            scores[place] = (self._query @ vectors.astype(np.float32).T).max(axis=1).sum()
        return scores
