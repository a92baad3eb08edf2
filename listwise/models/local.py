"""The local tier: finds a scorer by name, in the package, in a directory or in the cache of Hugging Face.

Nothing here reaches for the network: a model that is not on this machine is an error that says how to fetch it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from listwise.errors import ConfigError, MissingExtra, UnknownModel
from listwise.models.base import Scorer
from listwise.models.onnx import (
    BiEncoder,
    BiEncoderConfig,
    Config,
    CrossEncoder,
    CrossEncoderConfig,
    Hybrid,
    Network,
    Reader,
)

EMBEDDED = Path(__file__).parent.parent / "embedded"
"""The model that comes with the package."""
GRAPHS = ("model.onnx", "onnx/model.onnx")
"""Where a directory may keep its graph."""
LONGEST = 512
"""Tokens that a Hugging Face model reads at most, even where it could read more."""


def load_scorer(name: str) -> Scorer:
    """Load a local model; takes well under a second for one of ours.

    Args:
        name: ``embedded``, a directory, or the name of a Hugging Face model in the local cache. A directory is
            ours, with a ``kind`` in its ``config.json``, or any cross-encoder of Hugging Face.

    Raises:
        UnknownModel: nothing goes by that name, here or in the cache; says the command that fetches it.
        ConfigError: the directory is incomplete, or a file in it is malformed.
        MissingExtra: the model comes without an ONNX graph and sentence-transformers is not installed.
    """
    return _load_directory(EMBEDDED if name == "embedded" else directory_of(name), name)


def directory_of(name: str) -> Path:
    """The directory of that name, or the one that holds the Hugging Face model of that name in the local cache.

    Raises:
        UnknownModel: there is neither.
    """
    return Path(name) if Path(name).is_dir() else _cached_snapshot(name)


def _cached_snapshot(name: str) -> Path:
    """The directory in the cache of Hugging Face that holds the model ``name``."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError as exc:
        raise UnknownModel(
            f"no local model {name!r}: no such directory, and no name of a Hugging Face model"
        ) from exc
    if not isinstance(found, str):
        raise UnknownModel(
            f"no local model {name!r}: not 'embedded', no directory, and not in the Hugging Face cache; "
            f"if it is a Hugging Face model, fetch it with: hf download {name}"
        )
    return Path(found).parent


def _load_directory(path: Path, name: str) -> Scorer:
    settings = _read_settings(path)
    graph = next((path / place for place in GRAPHS if (path / place).is_file()), None)
    config = _ours(path, settings) if "kind" in settings else _hugging_face(path, settings)
    if graph is None:
        return _without_graph(path, name, config)
    network, reader = Network(graph), Reader(path / "tokenizer.json", config.max_tokens)
    match config:
        case CrossEncoderConfig():
            return CrossEncoder(name, reader, network)
        case BiEncoderConfig():
            return BiEncoder(name, reader, network, config)
        case _:
            return Hybrid(name, reader, network, config)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise ConfigError(f"{path} is no model: it has no config.json") from exc
    except ValueError as exc:
        raise ConfigError(f"{path / 'config.json'} is not JSON: {exc}") from exc
    if not isinstance(settings, dict):
        raise ConfigError(f"{path / 'config.json'} is not a JSON object")
    return settings


def _ours(path: Path, settings: dict[str, Any]) -> Config:
    try:
        config: Config = TypeAdapter[Config](Config).validate_python(settings)
    except ValidationError as exc:
        raise ConfigError(f"{path / 'config.json'}: {exc}") from exc
    return config


def _hugging_face(path: Path, settings: dict[str, Any]) -> Config:
    """Read the settings of a cross-encoder as `transformers` writes them."""
    architectures = settings.get("architectures") or []
    labels = len(settings.get("id2label") or ()) or int(settings.get("num_labels", 2))
    if not any(str(one).endswith("ForSequenceClassification") for one in architectures) or labels > 2:
        raise ConfigError(
            f"{path} is no cross-encoder: {architectures} with {labels} labels, where a model for sequence "
            "classification with one label or two is needed"
        )
    positions = int(settings.get("max_position_embeddings", LONGEST))
    return CrossEncoderConfig(kind="cross-encoder", max_tokens=min(LONGEST, positions))


def _without_graph(path: Path, name: str, config: Config) -> Scorer:
    """A cross-encoder that comes as weights only: run by sentence-transformers."""
    if not isinstance(config, CrossEncoderConfig) or not any(path.glob("*.safetensors")):
        raise ConfigError(f"{path} holds no {' or '.join(GRAPHS)}; fetch the model anew with: hf download {name}")
    return TorchCrossEncoder(name, path, config)


class TorchCrossEncoder:
    """A cross-encoder of Hugging Face without an ONNX graph, run by sentence-transformers.

    Raises:
        MissingExtra: sentence-transformers is not installed.
    """

    def __init__(self, name: str, path: Path, config: CrossEncoderConfig) -> None:
        try:
            from sentence_transformers import CrossEncoder as Pretrained
            from torch.nn import Identity
        except ImportError as exc:
            raise MissingExtra(f"the local model {name!r}, which has no ONNX graph,", "cross-encoder") from exc
        self.name = name
        self._model = Pretrained(
            str(path),
            max_length=config.max_tokens,
            activation_fn=Identity(),
            device="cpu",
            local_files_only=True,
            trust_remote_code=False,
        )

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """The logit of relevance, or the difference of the two logits, a passage."""
        if not passages:
            return []
        pairs = [(query, passage) for passage in passages]
        logits = self._model.predict(pairs, convert_to_numpy=True, show_progress_bar=False)
        relevant = logits[:, 1] - logits[:, 0] if logits.ndim == 2 and logits.shape[1] == 2 else logits.reshape(-1)
        return [float(score) for score in relevant]
