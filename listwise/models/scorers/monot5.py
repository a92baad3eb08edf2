"""monoT5 (arXiv 2003.06713): a T5 that was trained to go on with ``true`` after a relevant passage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from listwise.errors import ConfigError
from listwise.models.scorers.passages import Floats
from listwise.models.scorers.pretrained import loading, padded, reader_of
from listwise.models.scorers.reading import Input

PROMPT = ("Query:", "Document:", "Relevant:")
"""What stands before the query, between query and passage, and behind both."""
ANSWERS = ("▁false", "▁true")
"""The two tokens that are compared."""


class MonoT5:
    """Scores by the log of the probability of ``true``, of the two answers.

    Raises:
        MissingExtra: `transformers` or torch is not installed.
        ConfigError: the files cannot be used, or the vocabulary has no such answers.
    """

    def __init__(self, name: str, path: Path, max_tokens: int) -> None:
        with loading(path, f"the local model {name!r}, a monoT5,", "monot5"):
            from transformers import T5ForConditionalGeneration

            self._model: Any = T5ForConditionalGeneration.from_pretrained(path, local_files_only=True).eval()
            self.reader = reader_of(path, max_tokens)
        answers = [self.reader.token(answer) for answer in ANSWERS]
        if None in answers:
            raise ConfigError(f"{path} is no monoT5: its vocabulary lacks {' or '.join(ANSWERS)}")
        self._answers = answers
        self._words = [self.reader.ids(word) for word in PROMPT]

    def ask(self, query: str) -> Prompted:
        """Of a long query, half of what fits is read."""
        fits = self.reader.max_tokens - self.reader.single.tokens - sum(map(len, self._words))
        about = self.reader.ids(query, fits // 2)
        return Prompted(self, fits - len(about), [*self._words[0], *about, *self._words[1]], self._words[2])

    def log_likelihood(self, texts: Sequence[Input]) -> Floats:
        """The log of the probability of ``true`` behind each text, [texts]."""
        import torch

        found = np.zeros(len(texts), np.float32)
        for places, inputs in padded(texts, int(self._model.config.pad_token_id or 0)):
            start = torch.full((len(places), 1), int(self._model.config.decoder_start_token_id))
            with torch.inference_mode():
                logits = self._model(
                    input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], decoder_input_ids=start
                ).logits
            found[places] = logits[:, 0, self._answers].float().log_softmax(dim=-1)[:, 1].numpy()
        return found


class Prompted:
    """One query, to be put in one prompt with each passage."""

    def __init__(self, model: MonoT5, room: int, before: Sequence[int], after: Sequence[int]) -> None:
        self.room, self._model, self._before, self._after = room, model, before, after

    def score(self, pieces: Sequence[Sequence[int]]) -> Floats:
        """The log of the probability that a piece is relevant, 0 at most."""
        single = self._model.reader.single
        return self._model.log_likelihood(
            [single.around([*self._before, *piece, *self._after]) for piece in pieces]
        )
