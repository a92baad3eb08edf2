"""What the files of a directory say about its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from listwise.errors import ConfigError
from listwise.models.calibration import Calibration

LONGEST = 512
"""Tokens that a Hugging Face model reads at most, even where it could read more."""
OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "data2vec-text"})
"""Model types that number positions from behind the padding token, so that a few cannot be used."""


class _Config(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    max_tokens: int = Field(default=512, ge=8)
    """Longest input of the model, special tokens included; what is longer is cut or chunked."""


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
    feedback: int = Field(default=0, ge=0)
    """How many of a request's best passages say what the query means (pseudo-relevance feedback); 0 is none."""
    feedback_weight: float = 0.0
    """Of the cosine with their mean vector."""


Config = Annotated[CrossEncoderConfig | BiEncoderConfig | HybridConfig, Field(discriminator="kind")]


def calibration_of(path: Path) -> Calibration | None:
    """What makes probabilities of a model's scores: ``calibration`` in its ``config.json``, of any kind of model.

    Raises:
        ConfigError: it is malformed.
    """
    given = read_settings(path / "config.json", needed=False).get("calibration")
    try:
        return None if given is None else Calibration.model_validate(given)
    except ValidationError as exc:
        raise _malformed(path, exc, "calibration") from exc


def read_settings(path: Path, *, needed: bool = True) -> dict[str, Any]:
    """The JSON object in a file; an empty one where it is missing and not ``needed``.

    Raises:
        ConfigError: it is missing, not JSON, or no object.
    """
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        if not needed:
            return {}
        raise ConfigError(f"{path.parent} is no model: it has no {path.name}") from exc
    except ValueError as exc:
        raise ConfigError(f"{path} is not JSON: {exc}") from exc
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} is not a JSON object")
    return settings


def our_config(path: Path, settings: dict[str, Any]) -> Config:
    """The settings of a directory that we wrote.

    Raises:
        ConfigError: something is missing or malformed.
    """
    try:
        config: Config = TypeAdapter[Config](Config).validate_python(settings)
    except ValidationError as exc:
        raise _malformed(path, exc) from exc
    return config


def _malformed(path: Path, error: ValidationError, *place: str) -> ConfigError:
    problems = (f"{'.'.join(map(str, (*place, *each['loc'])))}: {each['msg']}" for each in error.errors())
    return ConfigError(f"{path / 'config.json'}: {'; '.join(problem.removeprefix(': ') for problem in problems)}")


def architecture(settings: dict[str, Any]) -> str:
    """The class of `transformers` that a ``config.json`` names; empty where it names none."""
    return str(next(iter(settings.get("architectures") or ()), ""))


def labels(settings: dict[str, Any]) -> int:
    """How many logits a model for sequence classification gives, as `transformers` counts them."""
    return len(settings.get("id2label") or ()) or int(settings.get("num_labels", 2))


def longest_input(path: Path, settings: dict[str, Any]) -> int:
    """Tokens that a Hugging Face model reads at most: what its positions, its tokenizer and `LONGEST` allow."""
    positions = settings.get("max_position_embeddings") or settings.get("n_positions") or LONGEST
    if settings.get("model_type") in OFFSET_POSITIONS:
        positions = int(positions) - int(settings.get("pad_token_id") or 0) - 1
    stated = read_settings(path / "tokenizer_config.json", needed=False).get("model_max_length") or LONGEST
    return int(min(LONGEST, positions, stated))
