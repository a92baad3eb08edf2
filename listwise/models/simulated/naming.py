"""Names of simulated models: ``sim/strong,seed=3,qrels=PATH``."""

from __future__ import annotations

from dataclasses import fields, replace
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from listwise.calls import Identity
from listwise.errors import ConfigError
from listwise.formats.trec import read_qrels
from listwise.models.simulated.model import SimulatedModel
from listwise.models.simulated.ranker import Bias, SimulatedRanker, Traits
from listwise.resources import did_you_mean

PRESETS = MappingProxyType(
    {
        "strong": Traits(error=0.6, noise=0.4),
        "weak": Traits(error=0.9, noise=0.9),
        "biased": Traits(error=0.6, noise=0.6, bias="ends", strength=2.0),
        "sloppy": Traits(error=0.9, noise=0.9, malformed=0.25),
        "echo": Traits(echo=1.0),
        "perfect": Traits(error=0.0, noise=0.0),
    }
)
"""By name. Over BM25's first 100 of DL21, in sliding windows, ``strong`` comes to an nDCG@10 of .74, ``weak`` to
.62."""
USAGE = "sim/PRESET,NAME=VALUE,...,qrels=FILE"
_NUMBERS = tuple(field.name for field in fields(Traits) if field.name not in ("bias", "seed"))
_OPTIONS = (*(field.name for field in fields(Traits)), "latency", "qrels")


def load_simulated(name: str) -> SimulatedModel:
    """The model that a name (without ``sim/``) describes.

    Raises:
        ConfigError: the name cannot be read, or does not say where the judgements are.
        InputError: the judgements cannot be read.
    """
    described, _, qrels = name.partition(",qrels=")
    if not qrels:
        raise ConfigError(f"a simulated model needs judgements: {USAGE}")
    preset, *options = described.split(",")
    if preset not in PRESETS:
        raise ConfigError(
            f"no simulated model {preset!r}{did_you_mean(preset, tuple(PRESETS))}; there are "
            f"{', '.join(PRESETS)}, as in {USAGE}"
        )
    traits, latency_s = PRESETS[preset], 0.0
    for option in options:
        key, _, value = option.partition("=")
        if key == "latency":
            latency_s = _number(key, value)
        else:
            traits = replace(traits, **{key: _value(key, value)})
    path = Path(qrels)
    judged = read_qrels(path)
    digest = blake2b(path.read_bytes(), digest_size=8).hexdigest()
    identity = Identity("sim", ",".join((preset, *options)), f"qrels:{digest}")
    grades = {qid: {docid: float(grade) for docid, grade in of.items()} for qid, of in judged.items()}
    return SimulatedModel(identity, SimulatedRanker(traits, grades), latency_s=latency_s)


def _value(key: str, value: str) -> Any:
    if key == "bias":
        if value not in get_args(Bias):
            raise ConfigError(f"bias is {value!r}; there are: {', '.join(get_args(Bias))}")
        return value
    if key == "seed":
        if not value.isdecimal():
            raise ConfigError(f"seed is {value!r}: a whole number, from 0")
        return int(value)
    if key not in _NUMBERS:
        raise ConfigError(
            f"simulated models have no {key!r}{did_you_mean(key, _OPTIONS)}; they have {', '.join(_OPTIONS)}"
        )
    return _number(key, value)


def _number(key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    most = 1.0 if key in ("echo", "malformed") else float("inf")
    if not (isfinite(number) and 0 <= number <= most):
        raise ConfigError(f"{key} is {value!r}: a number from 0" + (" to 1" if most == 1 else ""))
    return number
