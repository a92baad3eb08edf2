"""Scores passages on the CPU with onnxruntime and tokenizers, without torch.

One small class a kind of model: a cross-encoder reads query and passage together, a bi-encoder apart, and a hybrid
compares them both by meaning and by weighted terms.

A passage's score depends on the query and the passage alone, to the last bits of floating point: batches bound the
memory and change no score, as long as the graph quantizes activations with fixed scales, as our exports do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from tokenizers import Encoding, Tokenizer

from listwise.errors import ConfigError

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
Inputs = dict[str, NDArray[Any]]
"""``input_ids``, ``attention_mask`` and ``token_type_ids`` of one batch, [batch, length], and what a graph wants
besides."""

CHARS_A_TOKEN = 16
"""Characters times the token limit that are tokenized; what lies behind them would hardly be read."""
TOKENS_A_BATCH = 4096
"""Tokens, padding included, that are encoded at once."""
TEXTS_A_CHUNK = 1024
"""Texts that are tokenized and sorted by length at once."""


class _Config(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    max_tokens: int = Field(default=512, ge=8)
    """Longest input of the model, special tokens included; what is longer is cut."""


class CrossEncoderConfig(_Config):
    """Query and passage in one input; one logit, or two of which the second means relevant."""

    kind: Literal["cross-encoder"]


class BiEncoderConfig(_Config):
    """Query and passage apart; the score is the cosine of the two vectors."""

    kind: Literal["bi-encoder"]
    pooling: Literal["mean", "cls"] = "mean"
    """How the states in the graph's first output become one vector."""


class HybridConfig(_Config):
    """Query and passage apart, each as a unit vector, as a unit vector a token, and as weighted terms."""

    kind: Literal["hybrid"]
    query_terms: int = Field(default=128, ge=1)
    """So many of the query's heaviest terms are compared."""
    dense_weight: float
    """Of the cosine of the two vectors."""
    late_weight: float
    """Of the mean, over the query's tokens, of the best cosine with a token of the passage."""
    sparse_weight: float
    """Of the product of the two texts' term weights."""


Config = Annotated[CrossEncoderConfig | BiEncoderConfig | HybridConfig, Field(discriminator="kind")]


class Reader:
    """Turns texts into batches of token ids, similar lengths together. Safe to share between threads.

    Raises:
        ConfigError: the file is missing or no tokenizer.
    """

    def __init__(self, path: Path, max_tokens: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as exc:  # tokenizers raises nothing more precise
            raise ConfigError(f"{path} is no tokenizer: {exc}") from exc
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self._max_chars = max_tokens * CHARS_A_TOKEN

    @property
    def vocabulary(self) -> int:
        """How many terms there are."""
        return self._tokenizer.get_vocab_size()

    def read(self, text: str) -> Inputs:
        """A single text as a batch of one."""
        return _pad(self._encode([text], None))

    def batches(self, texts: Sequence[str], query: str | None = None) -> Iterator[tuple[list[int], Inputs]]:
        """Cut texts into batches of bounded size.

        Args:
            texts: of any length and number.
            query: put in front of each text, as the first of a pair, where given.

        Yields:
            Positions in ``texts``, and the inputs of the texts there.
        """
        for start in range(0, len(texts), TEXTS_A_CHUNK):
            chunk = self._encode(texts[start : start + TEXTS_A_CHUNK], query)
            order = sorted(range(len(chunk)), key=lambda position: len(chunk[position]))
            for batch in cut([len(chunk[position]) for position in order]):
                positions = order[batch]
                yield (
                    [start + position for position in positions],
                    _pad([chunk[position] for position in positions]),
                )

    def _encode(self, texts: Sequence[str], query: str | None) -> list[Encoding]:
        clipped = [text[: self._max_chars] for text in texts]
        if query is None:
            return self._tokenizer.encode_batch_fast(clipped)
        asked = query[: self._max_chars]
        return self._tokenizer.encode_batch_fast([(asked, text) for text in clipped])


def cut(lengths: Sequence[int], tokens: int = TOKENS_A_BATCH) -> list[slice]:
    """Cut ascending lengths into runs that take at most ``tokens`` once padded, or hold a single text."""
    runs, start = [], 0
    for end, length in enumerate(lengths):
        if end > start and length * (end + 1 - start) > tokens:
            runs.append(slice(start, end))
            start = end
    return [*runs, slice(start, len(lengths))] if lengths else []


def _pad(encodings: Sequence[Encoding]) -> Inputs:
    shape = len(encodings), max(len(one) for one in encodings)
    ids, mask, kinds = (np.zeros(shape, np.int64) for _ in range(3))
    for row, one in enumerate(encodings):
        ids[row, : len(one)], kinds[row, : len(one)], mask[row, : len(one)] = one.ids, one.type_ids, 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}


class Network:
    """An ONNX graph on the CPU. Safe to share between threads.

    Raises:
        ConfigError: onnxruntime cannot load the file.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Idle threads sleep: this process also waits for LLMs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # onnxruntime's exceptions have no common base of their own
            raise ConfigError(f"{path} cannot be loaded: {exc}") from exc
        self._wanted = {node.name: node.shape for node in self._session.get_inputs()}

    def width(self, name: str) -> int:
        """The last dimension of an input."""
        return int(self._wanted[name][-1])

    def run(self, inputs: Inputs, outputs: Sequence[str] | None = None) -> list[Floats]:
        """The graph's outputs, all of them unless named; inputs that it does not take are left out."""
        taken = {name: value for name, value in inputs.items() if name in self._wanted}
        return cast(list[Floats], self._session.run(outputs, taken))


class CrossEncoder:
    """Reads a query and a passage together."""

    def __init__(self, name: str, reader: Reader, network: Network) -> None:
        self.name = name
        self._reader, self._network = reader, network

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """The logit of relevance, or the difference of the two logits, a passage."""
        scores = np.zeros(len(passages), np.float32)
        for batch, inputs in self._reader.batches(passages, query):
            logits = self._network.run(inputs)[0]
            scores[batch] = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        return scores.tolist()


class BiEncoder:
    """Compares a query and a passage by the cosine of their vectors."""

    def __init__(self, name: str, reader: Reader, network: Network, config: BiEncoderConfig) -> None:
        self.name = name
        self._reader, self._network, self._config = reader, network, config

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """A cosine a passage, -1 to 1."""
        if not passages:
            return []
        [about] = self._vectors(self._reader.read(query))
        scores = np.zeros(len(passages), np.float32)
        for batch, inputs in self._reader.batches(passages):
            scores[batch] = _products(self._vectors(inputs), about)
        return scores.tolist()

    def _vectors(self, inputs: Inputs) -> Floats:
        states = self._network.run(inputs)[0]
        weight = inputs["attention_mask"][:, :, None].astype(np.float32)
        pooled = states[:, 0] if self._config.pooling == "cls" else (states * weight).sum(axis=1)
        return cast(Floats, pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-9))


class Hybrid:
    """Compares a query and a passage by meaning as a whole, by meaning token for token, and by weighted terms.

    The graph is one of `listwise.distill.export`, which describes its inputs and outputs.
    """

    def __init__(self, name: str, reader: Reader, network: Network, config: HybridConfig) -> None:
        self.name = name
        self._reader, self._network, self._config = reader, network, config

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """The weighted sum of the three, a passage."""
        if not passages:
            return []
        about, states, terms, weights = self._read_query(query)
        asked: Inputs = {"terms": terms, "query_states": states}
        scores = np.zeros(len(passages), np.float32)
        for batch, inputs in self._reader.batches(passages):
            dense, late, sparse = self._network.run({**inputs, **asked}, ("dense", "late", "sparse"))
            likeness = self._config.dense_weight * _products(dense, about)
            scores[batch] = likeness + self._config.late_weight * late.mean(axis=1) + _products(sparse, weights)
        return scores.tolist()

    def _read_query(self, query: str) -> tuple[Floats, Floats, Ids, Floats]:
        """The query's vector, its tokens' vectors, its heaviest terms and their weights in the score."""
        every = np.arange(self._reader.vocabulary, dtype=np.int64)
        nothing = np.zeros((1, self._network.width("query_states")), np.float32)
        inputs: Inputs = {**self._reader.read(query), "terms": every, "query_states": nothing}
        [about], [states], [weights] = self._network.run(inputs, ("dense", "states", "sparse"))
        terms = np.argsort(-weights, kind="stable")[: self._config.query_terms]
        return about, states, terms, self._config.sparse_weight * weights[terms]


def _products(rows: Floats, vector: Floats) -> Floats:
    """Row by row, so that the order of addition is the same whatever the number of rows."""
    return cast(Floats, (rows * vector).sum(axis=1))
