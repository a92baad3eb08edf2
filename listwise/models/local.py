"""The local tier: finds a scorer by name, in the package, in a directory or in the cache of Hugging Face.

Nothing here reaches for the network: a model that is not on this machine is an error that says how to fetch it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from listwise.errors import ConfigError, UnknownModel
from listwise.models.base import LongPassages
from listwise.models.rerank.naming import VENDORS
from listwise.models.scorers.bi_encoder import BiEncoder
from listwise.models.scorers.configs import (
    BiEncoderConfig,
    CrossEncoderConfig,
    architecture,
    calibration_of,
    labels,
    longest_input,
    our_config,
    read_settings,
)
from listwise.models.scorers.cross_encoder import CrossEncoder, GraphClassifier
from listwise.models.scorers.hybrid import Hybrid
from listwise.models.scorers.network import Network
from listwise.models.scorers.passages import Kind, PassageScorer
from listwise.models.scorers.reading import Reader
from listwise.resources import did_you_mean

_PACKAGE = Path(__file__).parent.parent
OWN = {"embedded": _PACKAGE / "embedded", "embedded-cross": _PACKAGE / "embedded_cross"}
"""The models that come with the package, by name."""
GRAPHS = ("model.onnx", "onnx/model.onnx")
"""Where a directory may keep its graph; any other name, as FlashRank's, if it is the only graph."""


def load_scorer(name: str, long_passages: LongPassages = "first") -> PassageScorer:
    """Load a local model; takes well under a second for one of ours.

    Args:
        name: ``embedded``, ``embedded-cross``, a directory, or the name of a Hugging Face model in the local
            cache. A directory is ours, with a ``kind`` in its ``config.json``; a cross-encoder of Hugging Face or
            FlashRank; a monoT5; or a late-interaction model of PyLate or Stanford. See docs/local-models.md.
        long_passages: how a passage is read that is longer than the model can read at once.

    Raises:
        UnknownModel: nothing goes by that name, here or in the cache; says the command that fetches it.
        ConfigError: the directory is incomplete, a file in it is malformed, or it wants code of its own run.
        MissingExtra: the model comes without an ONNX graph and what runs it is not installed.
    """
    path = directory_of(name)
    try:
        return PassageScorer(name, _kind(path, name), long_passages, calibration_of(path))
    except (TypeError, ValueError, AttributeError) as exc:  # a text where a number should be, and the like
        raise ConfigError(f"{path}: what its files say of the model cannot be: {exc}") from exc


def directory_of(name: str) -> Path:
    """The directory of that name, or the one that holds the Hugging Face model of that name in the local cache; or
    that of a model of our own that comes with the package.

    Raises:
        UnknownModel: there is neither.
    """
    if name in OWN:
        return OWN[name]
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
            f"no local model {name!r}: none of {', '.join(OWN)}, no directory, and not in the Hugging Face cache; "
            f"if it is a Hugging Face model, fetch it with: hf download {name}{_vendor_meant(name)}"
        )
    return Path(found).parent


def _vendor_meant(name: str) -> str:
    """A guess, where the name looks like that of a rerank API."""
    owner, slash, model = name.partition("/")
    return did_you_mean(f"{owner}{slash}", tuple(f"{vendor}/" for vendor in VENDORS)) if model else ""


def _kind(path: Path, name: str) -> Kind:
    settings = read_settings(path / "config.json", needed=not (path / "modules.json").is_file())
    graph = _graph(path)
    if "kind" in settings:
        return _ours(path, name, settings, graph)
    if graph is not None:
        return _graph_of_another(path, graph, settings)
    return _pretrained(path, name, settings)


def _graph(path: Path) -> Path | None:
    usual = next((path / place for place in GRAPHS if (path / place).is_file()), None)
    others = sorted(path.glob("*.onnx"))
    return usual or (others[0] if len(others) == 1 else None)


def _ours(path: Path, name: str, settings: dict[str, Any], graph: Path | None) -> Kind:
    config = our_config(path, settings)
    if graph is None:
        raise _no_graph(path, name)
    network, reader = Network(graph), Reader.of(path / "tokenizer.json", config.max_tokens)
    match config:
        case CrossEncoderConfig():
            return CrossEncoder(reader, GraphClassifier(network))
        case BiEncoderConfig():
            return BiEncoder(reader, network, config)
        case _:
            return Hybrid(reader, network, config)


def _graph_of_another(path: Path, graph: Path, settings: dict[str, Any]) -> Kind:
    """A cross-encoder by Hugging Face or FlashRank; where the settings do not say so, the graph may."""
    reader, network = Reader.of(path / "tokenizer.json", longest_input(path, settings)), Network(graph)
    if settings.get("architectures") or network.labels not in {1, 2}:
        _check_classifier(path, settings)
    return CrossEncoder(reader, GraphClassifier(network))


def _pretrained(path: Path, name: str, settings: dict[str, Any]) -> Kind:
    """A model of Hugging Face that comes as weights only."""
    from listwise.models.scorers.late_settings import is_late
    from listwise.models.scorers.pretrained import TorchClassifier, reader_of, refuse_code

    weights = [*path.rglob("*.safetensors"), *path.rglob("pytorch_model*.bin")]
    if is_late(path, settings):
        from listwise.models.scorers.late_interaction import LateInteraction

        refuse_code(path, settings)
        return LateInteraction(name, path)
    if settings.get("model_type") == "t5" and architecture(settings) == "T5ForConditionalGeneration":
        from listwise.models.scorers.monot5 import MonoT5

        return MonoT5(name, path, longest_input(path, settings))
    _check_classifier(path, settings)
    refuse_code(path, settings)
    if not weights:
        raise _no_graph(path, name)
    classifier = TorchClassifier(name, path)
    return CrossEncoder(reader_of(path, longest_input(path, settings)), classifier)


def _no_graph(path: Path, name: str) -> ConfigError:
    return ConfigError(
        f"{path} holds no {' or '.join(GRAPHS)} and no weights; fetch the model anew with: hf download {name}"
    )


def _check_classifier(path: Path, settings: dict[str, Any]) -> None:
    named, count = settings.get("architectures") or [], labels(settings)
    if not any(str(one).endswith("ForSequenceClassification") for one in named) or count > 2:
        raise ConfigError(
            f"{path} is no cross-encoder: {named} with {count} labels, where a model for sequence "
            "classification with one label or two is needed"
        )
