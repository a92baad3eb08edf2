"""What a directory of a late-interaction model says: PyLate's ``config_sentence_transformers.json`` with its
modules, or Stanford's ``artifact.metadata`` with the projection among the encoder's weights."""

from __future__ import annotations

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from listwise.errors import ConfigError
from listwise.models.scorers.configs import LONGEST, architecture, read_settings

Layer = Callable[[Any], Any]
"""A projection of states, [batch, length, width], to another width; tensors of torch."""

STANFORD = "HF_ColBERT"
"""The architecture that checkpoints in Stanford's format name."""
QUERY_LENGTH, DOCUMENT_LENGTH = 32, 180
"""Where a directory does not say."""


@dataclass(frozen=True, slots=True)
class LateSettings:
    """How a late-interaction model reads queries and passages."""

    encoder: str
    """The folder of the encoder, under the directory."""
    dense: tuple[str, ...]
    """The folders of the projections, in order; empty where Stanford's one projection is among the weights."""
    query_prefix: str
    document_prefix: str
    query_length: int
    """Tokens of a query at most, special tokens and prefix included; exactly so many where ``expand``."""
    document_length: int
    expand: bool
    """Whether queries are filled up with masks."""
    attend: bool
    """Whether the other tokens attend to those masks."""
    skiplist: tuple[str, ...]
    """Tokens of a passage that are not compared."""


def is_late(path: Path, settings: dict[str, Any]) -> bool:
    """Whether a directory of Hugging Face holds a late-interaction model."""
    if architecture(settings) == STANFORD:
        return True
    told = read_settings(path / "config_sentence_transformers.json", needed=False)
    return "query_prefix" in told or told.get("model_type") == "ColBERT"


def read_late_settings(path: Path) -> LateSettings:
    """Read the settings of a directory for which `is_late`.

    Raises:
        ConfigError: a file is malformed, or asks for what is not supported.
    """
    if not (path / "modules.json").is_file():
        return _of_stanford(read_settings(path / "artifact.metadata", needed=False))
    told = read_settings(path / "config_sentence_transformers.json")
    encoder, dense = _modules(path)
    return LateSettings(
        encoder=encoder,
        dense=dense,
        query_prefix=_or(told.get("query_prefix"), "[Q] "),
        document_prefix=_or(told.get("document_prefix"), "[D] "),
        query_length=int(_or(told.get("query_length"), QUERY_LENGTH)),
        document_length=min(LONGEST, int(_or(told.get("document_length"), DOCUMENT_LENGTH))),
        expand=bool(_or(told.get("do_query_expansion"), True)),
        attend=bool(_or(told.get("attend_to_expansion_tokens"), False)),
        skiplist=tuple(_or(told.get("skiplist_words"), string.punctuation)),
    )


def _of_stanford(told: dict[str, Any]) -> LateSettings:
    return LateSettings(
        encoder="",
        dense=(),
        query_prefix=told.get("query_token_id") or "[unused0]",
        document_prefix=told.get("doc_token_id") or "[unused1]",
        query_length=int(told.get("query_maxlen") or QUERY_LENGTH),
        document_length=min(LONGEST, int(told.get("doc_maxlen") or DOCUMENT_LENGTH)),
        expand=True,
        attend=bool(told.get("attend_to_mask_tokens", False)),
        skiplist=tuple(string.punctuation) if told.get("mask_punctuation", True) else (),
    )


def _modules(path: Path) -> tuple[str, tuple[str, ...]]:
    """The folder of the encoder and those of the projections."""
    import json

    try:
        modules = json.loads((path / "modules.json").read_text(encoding="utf-8"))
        kinds = [(str(module["type"]).rpartition(".")[2], str(module["path"])) for module in modules]
    except (ValueError, TypeError, KeyError) as exc:
        raise ConfigError(f"{path / 'modules.json'} is malformed: {exc!r}") from exc
    encoders = [folder for kind, folder in kinds if kind == "Transformer"]
    if len(encoders) != 1:
        raise ConfigError(f"{path / 'modules.json'} names {len(encoders)} encoders, where one is needed")
    return encoders[0], tuple(folder for kind, folder in kinds if kind == "Dense")


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def read_layers(path: Path, settings: LateSettings) -> list[Layer]:
    """The projections with their weights.

    Raises:
        ConfigError: one does more than to project.
    """
    if not settings.dense and not (path / "modules.json").is_file():
        weights = _weights(path)
        if "linear.weight" not in weights:
            raise ConfigError(f"{path} has no projection: linear.weight is not among its weights")
        return [_projection(weights["linear.weight"], None, None, residual=False)]
    return [_dense(path / folder) for folder in settings.dense]


def _dense(folder: Path) -> Layer:
    told = read_settings(folder / "config.json")
    activation = str(told.get("activation_function", "Identity"))
    if not activation.endswith("Identity"):
        raise ConfigError(f"{folder / 'config.json'}: a projection followed by {activation} is not supported")
    weights = _weights(folder)
    return _projection(
        weights["linear.weight"],
        weights.get("linear.bias"),
        weights.get("residual.weight"),
        residual=bool(told.get("use_residual")),
    )


def _projection(weight: Any, bias: Any, beside: Any, *, residual: bool) -> Layer:
    from torch.nn.functional import linear

    def project(states: Any) -> Any:
        projected = linear(states, weight, bias)
        if not residual:
            return projected
        return projected + (states if beside is None else linear(states, beside))

    return project


def _weights(folder: Path) -> dict[str, Any]:
    """The tensors of a folder, in float."""
    if (folder / "model.safetensors").is_file():
        from safetensors.torch import load_file

        tensors = load_file(folder / "model.safetensors")
    else:
        import torch

        tensors = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
    return {name: tensor.float() for name, tensor in tensors.items()}
