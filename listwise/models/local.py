"""The local tier: scores passages on the CPU with onnxruntime and tokenizers, without torch and without a network.

A model is a directory of ``model.onnx``, ``tokenizer.json`` and ``config.json``. The config's ``kind`` says how a
query and a passage become a score: a cross-encoder reads them together, a bi-encoder apart, and a hybrid compares
them both by meaning and by weighted terms. A Hugging Face cross-encoder directory works as it is.

A passage's score depends on the query and the passage alone: batches are cut by length, not by request, and
quantization in our exports is static. What remains is the last bit of floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from tokenizers import Tokenizer

from listwise.errors import ConfigError, MissingExtra, UnknownModel
from listwise.models.base import Scorer

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
T = TypeVar("T")

EMBEDDED = Path(__file__).parent.parent / "embedded"
"""The model that comes with the package."""
CHARS_A_TOKEN = 16
"""No more characters than this times the token limit are tokenized; what lies behind could hardly be read."""
TOKENS_A_BATCH = 4096
"""Tokens, padding included, that are encoded at once: bounds memory whatever the request."""
TEXTS_A_CHUNK = 512
"""Texts that are tokenized at once."""


class _Config(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    """How receipts call the model."""
    max_tokens: int = Field(default=512, ge=8)
    """Longest input of the model, special tokens included; what is longer is cut."""


class CrossEncoderConfig(_Config):
    """Query and passage in one input; one logit, or two of which the second means relevant."""

    kind: Literal["cross-encoder"]


class BiEncoderConfig(_Config):
    """Query and passage apart; the score is the cosine of the two vectors."""

    kind: Literal["bi-encoder"]
    pooling: Literal["mean", "cls"] = "mean"
    """How the states of the first output become one vector."""


class HybridConfig(_Config):
    """Query and passage apart, each as a unit vector and as weighted terms of the vocabulary."""

    kind: Literal["hybrid"]
    query_terms: int = Field(default=128, ge=1)
    """So many of the query's heaviest terms are compared."""
    dense_weight: float
    sparse_weight: float


Config = Annotated[CrossEncoderConfig | BiEncoderConfig | HybridConfig, Field(discriminator="kind")]


def load_scorer(name: str) -> Scorer:
    """Load a local model.

    Args:
        name: ``embedded``, a directory, or the name of a Hugging Face model in the local cache. A directory is ours,
            with a ``kind`` in its ``config.json``, or any cross-encoder of Hugging Face.

    Raises:
        UnknownModel: nothing goes by that name, here or in the cache; says the command that fetches it.
        ConfigError: the directory is incomplete or its config is malformed.
        MissingExtra: the model comes without an ONNX export and sentence-transformers is not installed.
    """
    if name == "embedded":
        return _load_directory(EMBEDDED, name)
    if Path(name).is_dir():
        return _load_directory(Path(name), name)
    return _load_directory(_cached_snapshot(name), name)


class Reader:
    """Turns texts into batches of token ids, similar lengths together. Safe to share between threads."""

    def __init__(self, path: Path, max_tokens: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self._max_chars = max_tokens * CHARS_A_TOKEN

    def batches(self, texts: Sequence[str], query: str | None = None) -> Iterator[tuple[list[int], Inputs]]:
        """Cut texts into batches of bounded size.

        Args:
            texts: any length, any number.
            query: is put in front of each text where given.

        Yields:
            Positions in ``texts``, and the inputs of these, [batch, length].
        """
        encoded = [entry for start in range(0, len(texts), TEXTS_A_CHUNK) for entry in self._encode(texts, start, query)]
        order = sorted(range(len(encoded)), key=lambda position: len(encoded[position][0]))
        for batch in _cut(order, [len(ids) for ids, _ in encoded]):
            yield batch, _pad([encoded[position] for position in batch])

    def _encode(self, texts: Sequence[str], start: int, query: str | None) -> list[tuple[Ids, Ids]]:
        clipped = [text[: self._max_chars] for text in texts[start : start + TEXTS_A_CHUNK]]
        given = clipped if query is None else [(query[: self._max_chars], text) for text in clipped]
        encodings = self._tokenizer.encode_batch_fast(given)
        return [(np.array(one.ids, np.int64), np.array(one.type_ids, np.int64)) for one in encodings]


class Inputs(dict[str, Ids]):
    """``input_ids``, ``attention_mask`` and ``token_type_ids`` of one batch, [batch, length]."""


class Network:
    """An ONNX graph that runs on the CPU. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._wanted = {node.name for node in self._session.get_inputs()}

    def run(self, inputs: dict[str, Ids], outputs: Sequence[str] | None = None) -> list[Floats]:
        """The graph's outputs, all of them unless named; inputs that it does not take are left out."""
        taken = {name: value for name, value in inputs.items() if name in self._wanted}
        return cast(list[Floats], self._session.run(outputs, taken))


class CrossEncoder:
    """Reads a query and a passage together."""

    def __init__(self, config: CrossEncoderConfig, reader: Reader, network: Network) -> None:
        self.name = config.name
        self._reader, self._network = reader, network

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """The logit of relevance, or the difference of the two logits, a passage."""
        scores = np.zeros(len(passages), np.float32)
        for batch, inputs in self._reader.batches(passages, query):
            logits = self._network.run(inputs)[0]
            scores[batch] = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        return [float(score) for score in scores]


class BiEncoder:
    """Compares a query and a passage by the cosine of their vectors."""

    def __init__(self, config: BiEncoderConfig, reader: Reader, network: Network) -> None:
        self.name = config.name
        self._pooling = config.pooling
        self._reader, self._network = reader, network

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """A cosine a passage, -1 to 1."""
        if not passages:
            return []
        [(_, inputs)] = self._reader.batches([query])
        [about] = self._vectors(inputs)
        scores = np.zeros(len(passages), np.float32)
        for batch, inputs in self._reader.batches(passages):
            scores[batch] = self._vectors(inputs) @ about
        return [float(score) for score in scores]

    def _vectors(self, inputs: Inputs) -> Floats:
        states = self._network.run(inputs)[0]
        weight = inputs["attention_mask"][:, :, None].astype(np.float32)
        pooled = states[:, 0] if self._pooling == "cls" else (states * weight).sum(axis=1)
        return cast(Floats, pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-9))


class Hybrid:
    """Compares a query and a passage by meaning and by terms, with the graph of `listwise.distill.export`."""

    def __init__(self, config: HybridConfig, reader: Reader, network: Network) -> None:
        self.name = config.name
        self._config = config
        self._reader, self._network = reader, network

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """The weighted sum of the cosine and of the product of the two texts' term weights, a passage."""
        if not passages:
            return []
        about, terms, weights = self._read(query)
        scores = np.zeros(len(passages), np.float32)
        for batch, inputs in self._reader.batches(passages):
            dense, sparse = self._network.run({**inputs, "terms": terms}, ["dense", "sparse"])
            scores[batch] = self._config.dense_weight * (dense @ about) + sparse @ weights
        return [float(score) for score in scores]

    def _read(self, query: str) -> tuple[Floats, Ids, Floats]:
        """The query's vector, its heaviest terms, and their weights in the score."""
        [(_, inputs)] = self._reader.batches([query])
        every = np.arange(self._vocabulary, dtype=np.int64)
        [about], [weights] = self._network.run({**inputs, "terms": every}, ["dense", "sparse"])
        terms = np.argsort(-weights, kind="stable")[: self._config.query_terms].astype(np.int64)
        return about, terms, self._config.sparse_weight * weights[terms]

    @property
    def _vocabulary(self) -> int:
        return self._reader.vocabulary
